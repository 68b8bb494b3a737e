/** Plays the show by Media Source Extensions. Media time is show time: docs/LISTENER.md. */

import { MediaBuffer } from "./buffer.js";
import { Feed } from "./feed.js";
import { typeOf } from "./mount.js";
import { Lag, Pace } from "./pace.js";
import { monotonicMs } from "../shared/time.js";

const DRY_S = 0.2; // a browser runs dry before the end: it has handed the rest to the sound card
const OFF_S = 0.03; // a start so far from where it should be is put right at once
const STARTS_MAX = 3;
const SOON_S = 3; // a feed so near to live need not be opened anew
const SLOW_RATE_MIN = 0.75; // while a margin is built for what comes in larger pieces
const SLOW_COST_S = 0.07; // what the change back will lose
const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;
const nowS = () => monotonicMs() / 1000;

/** Push works here only with a managed source, which turns AirPlay off. */
export const managed = !globalThis.MediaSource && Boolean(Source);

/** The rendition this browser takes by push, or undefined. */
export function pushRendition() {
  if (!("body" in Response.prototype)) return undefined;
  const codecs = [["opus", "opus"], ["aac", "mp4a.40.2"]];
  return codecs.find(([, codec]) => Source?.isTypeSupported(`audio/mp4; codecs="${codec}"`))?.[0];
}

export class Push {
  live = true;
  counters = { stalls: 0, skips: 0, seeks: 0, rate_changes: 0 };
  n = 0;
  #following = true;
  #placed = false;
  #starts = 0;
  #buffer = null;
  #header = "";
  #over = new AbortController();
  #pace = new Pace(0.5);
  #lag = new Lag();
  #narrows = null; // {group, fromN}: from that chunk on less is needed
  #slowUntilN = 0;

  /** `limits()`: {open, firstN, endN} of the show. */
  constructor(audio, mount, limits) {
    Object.assign(this, { audio, mount, limits, feed: new Feed(mount, this, limits) });
  }

  /** In the listener's gesture, so that it may sound. */
  start() {
    const [source, options] = [new Source(), { signal: this.#over.signal }];
    const { audio, feed } = this;
    this.source = source;
    feed.addEventListener("words", ({ detail: { ladder } }) => ladder && this.#regroup(ladder), options);
    audio.addEventListener("waiting", () => this.#stalled(), options);
    audio.addEventListener("playing", () => this.#playing(), options);
    audio.addEventListener("timeupdate", () => this.#jump(), options);
    audio.addEventListener("pause", () => this.#unfollow(), options);
    source.addEventListener("sourceopen", () => feed.start(feed.n), options);
    source.addEventListener("endstreaming", () => feed.stop(), options); // a managed source says when it wants more
    source.addEventListener("startstreaming", () => feed.start(feed.n), options);
    audio.disableRemotePlayback = managed;
    audio.src = URL.createObjectURL(source);
    return audio.play();
  }

  stop() {
    this.feed.stop();
    this.#over.abort();
    URL.revokeObjectURL(this.audio.src);
  }

  /** Seconds of show time; null before there is a playhead. */
  position() {
    return this.#placed ? this.audio.currentTime : null;
  }

  nowS() {
    return this.feed.stamp?.now() ?? null;
  }

  behindS() {
    return this.#placed ? this.nowS() - this.audio.currentTime : null;
  }

  atLive() {
    return this.#following && this.#placed && this.#liveS() - this.audio.currentTime < SOON_S;
  }

  seek(seconds) {
    if (!this.#placed) return;
    if (seconds >= this.#liveS()) return this.goLive();
    this.#unfollow();
    const wanted = Math.max(this.limits().firstN * this.#pace.chunkS, seconds);
    const range = this.#buffer.rangeAt(wanted);
    const next = range ? this.#numberAt(range[1]) : Math.floor(wanted / this.#pace.chunkS);
    this.#moveTo(wanted); // an element seeks to where nothing is yet, and goes on when it comes
    if (!range || Math.abs(this.feed.n - next) > 1) this.feed.start(next);
  }

  goLive() {
    this.#unfollow();
    this.#following = true;
    const end = this.#buffer?.ranges().at(-1)?.[1] ?? 0;
    if (this.nowS() - end < SOON_S && Math.abs(this.#numberAt(end) - this.feed.n) <= 1) return this.#moveToLive();
    this.#placed = false;
    this.feed.start(null);
  }

  /** Also for whoever else paused it (the lock screen, a telephone call): it goes on from there. */
  #unfollow() {
    this.#following = false;
    this.#slowUntilN = 0;
    this.#setRate(1);
  }

  /** What comes at a time, and the margin, behind the voice is live. */
  #goalS() {
    return this.#pace.spanS + this.#pace.marginS;
  }

  #liveS() {
    return this.nowS() - this.#goalS();
  }

  #numberAt(seconds) {
    return Math.round(seconds / this.#pace.chunkS);
  }

  #moveTo(seconds, wantedS = null) {
    this.audio.currentTime = seconds;
    this.counters.seeks += 1;
    this.#moved(wantedS);
  }

  #moved(wantedS) {
    this.#lag.touched(wantedS, nowS());
    this.#pace.restart(nowS());
  }

  #moveToLive() {
    this.#moveTo(this.#liveS() + this.#lag.moveS, this.#goalS());
  }

  #moveBy(seconds) {
    this.#moveTo(this.audio.currentTime + seconds + this.#lag.moveS, this.behindS() - seconds);
  }

  #setRate(rate) {
    if (this.audio.playbackRate === rate) return;
    this.audio.playbackRate = rate;
    this.counters.rate_changes += 1;
    this.#lag.touched(null, nowS());
  }

  // Larger pieces, and smaller ones again.

  /** From chunk `fromN` on they come `group` at a time: what that needs is there before, and given up after. */
  #regroup({ group, from_n: fromN }) {
    const comes = fromN > Math.max(this.n, this.feed.stamp.head);
    this.#narrows = comes && group < this.#pace.group ? { group, fromN } : null;
    if (this.#narrows || group === this.#pace.group) return;
    const more = group > this.#pace.group;
    this.#pace.widen(group);
    if (more && this.#placed && this.#following && !this.audio.paused) this.#slowDown(fromN);
  }

  /** A little slower until the margin is there; back at once where there is no time for that. */
  #slowDown(fromN) {
    const lackS = this.#lackS();
    const rate = 1 - (lackS - SLOW_COST_S) / (fromN * this.#pace.chunkS - this.nowS());
    this.#starts = 0;
    if (lackS <= SLOW_COST_S) return;
    this.#slowUntilN = fromN;
    if (rate < 1) this.#setRate(Math.max(SLOW_RATE_MIN, rate));
    else this.#slowEnds();
  }

  #lackS() {
    return this.#goalS() - this.behindS();
  }

  #slowEnds() {
    const lackS = this.#lackS();
    this.#slowUntilN = 0;
    this.#setRate(1);
    if (lackS > 2 * SLOW_COST_S) this.#moveBy(-lackS);
    this.#pace.restart(nowS());
  }

  // The feed's sink.

  marginS() {
    return this.#pace.marginS;
  }

  aheadS() {
    const position = this.audio.currentTime;
    const range = this.#placed ? this.#buffer.rangeAt(position) : null;
    return range ? range[1] - position : 0;
  }

  opened({ chunkS, group }) {
    if (this.#pace.chunkS !== chunkS) this.#pace = new Pace(chunkS);
    if (this.#pace.group !== group) this.#pace.widen(group);
    this.#narrows = null;
  }

  async header(bytes) {
    if (this.#header === String(bytes)) return;
    const type = typeOf(bytes);
    this.#buffer ??= new MediaBuffer(this.source, type, () => this.audio.currentTime);
    await this.#buffer.appendHeader(bytes, type);
    this.#header = String(bytes);
  }

  async chunk({ n, bytes }) {
    const distanceS = this.aheadS();
    if (this.feed.n !== null && n > this.feed.n) this.counters.skips += 1;
    await this.#buffer.append(bytes);
    this.n = n;
    if (n >= this.#narrows?.fromN) this.#pace.widen(this.#narrows.group);
    if (n >= this.#narrows?.fromN) this.#narrows = null;
    if (!this.#placed) this.#place(n);
    else if (this.#following && !this.audio.paused) this.#judge(distanceS);
    this.#jump();
  }

  end() {
    return this.#buffer?.end();
  }

  /** The exact start; by the buffer alone if the clocks make no sense. */
  #place(n) {
    if (n < this.feed.stamp.head) return;
    const [start, end] = this.#buffer.ranges().at(-1);
    const wanted = this.#liveS() + this.#lag.moveS;
    this.audio.currentTime = Math.max(start, wanted < end ? wanted : end - this.#goalS());
    [this.#placed, this.#starts] = [true, STARTS_MAX];
    this.#moved(this.#goalS());
  }

  /** Getting ready took time. */
  #playing() {
    this.#lag.resumed(nowS());
    if (this.#following && this.#starts === STARTS_MAX) this.#putRight(this.behindS() + this.#lag.moveS - this.#goalS());
  }

  #putRight(lateS) {
    if (Math.abs(lateS) > OFF_S && this.#starts-- > 0) this.#moveToLive();
  }

  #judge(distanceS) {
    const { missedS, stood } = this.#lag.look(this.behindS(), nowS(), this.audio.playbackRate);
    this.#putRight(missedS);
    if (Math.abs(missedS) <= OFF_S) this.#starts = 0;
    if (stood) this.#countStall();
    if (this.#slowUntilN) return void ((this.n + 1 >= this.#slowUntilN || this.#lackS() <= SLOW_COST_S) && this.#slowEnds());
    this.#obey(this.#pace.receiveChunk(distanceS, nowS()) ?? {});
  }

  #obey({ live, rate, move }) {
    if (live) this.goLive();
    if (rate) this.#setRate(rate);
    if (move) this.#moveBy(move);
  }

  /** The browser says so; by then the chunk that was missing may be here. */
  #stalled() {
    this.#jump();
    if (!this.#placed || this.audio.seeking || this.audio.ended) return;
    this.#countStall();
    this.#pace.receiveStall(nowS());
  }

  #countStall() {
    this.#starts = 0;
    this.counters.stalls += 1;
    this.#lag.touched(null, nowS());
  }

  /** Over the hole that chunks leave that were never sent. */
  #jump() {
    if (!this.#placed || this.audio.seeking || this.audio.readyState > 2 || this.aheadS() > DRY_S) return;
    const next = this.#buffer.ranges().find(([start]) => start > this.audio.currentTime);
    if (next) this.#moveTo(this.#following ? Math.max(next[0], Math.min(this.#liveS(), next[1])) : next[0]);
  }
}
