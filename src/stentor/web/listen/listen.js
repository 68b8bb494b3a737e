/** The listener page: joins what the show says (`now`) with what the player does, and shows both. */

import { Clock } from "../shared/time.js";
import { Mount } from "./mount.js";
import { NowFeed } from "./now.js";
import { managed, Push, pushRendition } from "./push.js";
import * as view from "./view.js";
import * as words from "./words.js";

const BACK_S = 15;
const CONNECT_JITTER_MS = 10_000;
const TURN_JITTER_MS = 5_000;
const STUCK_MS = 10_000;
const REBUILDS_MAX = 3;

const config = JSON.parse(view.element("config").textContent);
const showId = location.pathname.split("/").filter(Boolean).at(-1);
const origin = (port) => (port ? `${location.protocol}//${location.hostname}:${port}` : "");
const edge = origin(config.edge_port);
const archive = `${origin(config.archive_port)}/archive/${showId}`;
const audio = view.element("audio");
const clock = new Clock();
const news = new NowFeed([`/s/${showId}/now`, `${edge}/live/${showId}/now`], clock);
const rendition = !managed || kept("managed") ? pushRendition() : undefined;

let now = null;
let engine = null;
let sound = {};
let doorTrouble = "";
let calm = "";
let rebuilds = 0;
let turning = false;
let wasLive = false;
let moved = { atMs: 0, position: null };
let makeEngine = rendition ? makePush : await plainMaker();

function kept(key, value) {
  try {
    return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value);
  } catch {
    return null; // a private window
  }
}

const playing = () => engine !== null && !audio.paused;
const firstS = () => ((now.live_n ?? 0) * (now.chunk_ms ?? 500)) / 1000;
const limits = () => ({ firstN: now.live_n ?? 0, endN: now.end_n ?? 0, open: !["announced", "cancelled"].includes(now.phase) });

/** Seconds since the beginning of what can be heard. */
const sinceStart = (seconds) => (seconds === null ? null : seconds - (engine.live ? firstS() : 0));

// The player.

function makePush() {
  const push = new Push(audio, new Mount(showId, rendition, [edge, ""], archive), limits);
  push.feed.addEventListener("state", ({ detail }) => {
    sound = detail;
    if (detail.reason === "lost") news.soon(2_000);
    draw();
  });
  return push;
}

async function plainMaker() {
  const { Mp3 } = await import("./mp3.js");
  return () => new Mp3(audio, showId);
}

function drop() {
  engine?.stop();
  [engine, sound] = [null, {}];
}

function play() {
  calm = "";
  if (engine?.position() !== null && engine) return void audio.play().catch(() => {});
  drop();
  engine = makeEngine();
  engine.start().catch(({ name }) => {
    if (name !== "NotAllowedError") return;
    drop();
    calm = "Your browser wants you to press play.";
  });
  draw();
}

/** Before the doors open there is nothing to pause: it will not start by itself then. */
function pause() {
  audio.pause();
  if (engine.position() === null) drop();
  draw();
}

function seek(seconds) {
  if (engine && engine.position() !== null) engine.seek(seconds);
  draw();
}

const seekBy = (seconds) => seek((engine?.position() ?? 0) + seconds);

/** The browser gave up on the media: a new source, a few times; then the plainest stream there is. */
async function rebuild() {
  if (!engine?.live || !audio.error) return;
  drop();
  rebuilds += 1;
  if (rebuilds > REBUILDS_MAX) makeEngine = await plainMaker();
  setTimeout(play, 1_000 * rebuilds * Math.random());
}

// From the show to its recording.

function maybeTurn() {
  if (turning || now.phase !== "ended" || !now.replay) return;
  const position = engine?.position() ?? null;
  if (position !== moved.position) moved = { atMs: clock.now(), position };
  if (playing() && !audio.ended && clock.now() - moved.atMs < STUCK_MS) return;
  turning = true;
  setTimeout(turn, wasLive ? Math.random() * TURN_JITTER_MS : 0);
}

/** Whoever had stopped in the middle finds the recording there, all others at its beginning. */
async function turn() {
  const { Replay, offer } = await import("./replay.js");
  const position = sinceStart(engine?.position() ?? null);
  const lengthS = ((now.end_n ?? 0) * now.chunk_ms) / 1000 - firstS();
  drop();
  offer(view.element("record"), archive, showId, now.chain);
  engine = new Replay(audio, archive);
  engine.load(position < lengthS - BACK_S ? position : 0);
  calm = "The recording is ready.";
  draw();
}

// What is shown.

function playLabel() {
  if (playing()) return now.phase === "announced" ? "Do not start by itself" : "Pause";
  if (engine?.live === false) return "Play the recording";
  return now.phase === "announced" ? "Start by itself" : "Play";
}

function drawPlayer() {
  const replaying = engine?.live === false;
  const position = engine ? sinceStart(engine.position()) : null;
  const heard = now.phase === "live" || now.phase === "ended";
  const [label, figure] = words.clockWords(now, clock.now(), position, replaying);
  view.text("clock-label", label);
  view.text("clock", figure);
  view.playButton(playing(), playLabel());
  view.attribute("horn", "data-sound", playing() && audio.readyState > 2 ? "on" : "off");
  view.timeline(heard && position !== null ? Math.max(0, position) : null, engine && sinceStart(engine.nowS()), !replaying);
  view.show("live", heard && !replaying && position !== null);
  view.attribute("live", "aria-disabled", String(engine?.atLive() ?? false));
  view.text("live", engine?.atLive() ? "Live" : "Go live");
  view.text("behind", words.behindText(engine?.behindS() ?? null));
}

function draw() {
  if (!now) return view.status(doorTrouble, "Asking for the show…");
  view.lamp(engine?.live === false ? ["off", "Recording"] : words.lampWords(now));
  view.text("when", words.whenWords(now, clock.now(), playing()));
  view.show("deck", now.phase !== "cancelled" && (now.phase !== "ended" || engine !== null));
  drawPlayer();
  view.status((playing() && engine.live && words.troubleWords(sound)) || doorTrouble, sound.state === "connecting" ? "Connecting…" : calm);
  maybeTurn();
}

function receiveNow({ detail }) {
  const before = now?.phase;
  now = detail;
  doorTrouble = "";
  wasLive ||= now.phase !== "ended";
  if (before !== now.phase) phaseChanged();
  document.title = `${now.phase === "live" ? "● " : ""}${now.title} · Stentor`;
  view.text("title", now.title);
  view.line("voices", now.phase !== "ended" && now.on_air?.length && `with ${new Intl.ListFormat("en").format(now.on_air)}`);
  view.line("notice", now.notice, "notice-text");
  view.text("audience", now.listeners && now.phase !== "ended" ? `${now.listeners.toLocaleString()} listening` : "");
  draw();
}

/** All who wait would come in the same second: spread them, but for the start itself. */
function phaseChanged() {
  const doors = now.starts_at_ms - clock.now() > 60_000;
  setTimeout(() => engine?.feed?.wake(), Math.random() * (doors ? CONNECT_JITTER_MS : 500));
}

function receiveTrouble({ detail: { failures, missing } }) {
  if (missing && !now) doorTrouble = "There is no show at this address.";
  else if (failures > 1) doorTrouble = `The server cannot be reached right now.${playing() ? " What you hear does not depend on it." : ""}`;
  draw();
}

/** What can wait until there is sound: the lock screen and the figures. */
async function afterSound() {
  const [session, figures] = await Promise.all([import("./session.js"), import("./figures.js")]);
  figures.keep(view.element("figures"), window.stentor);
  session.connect({ play, pause, seekBy, seek });
  setInterval(() => session.describe(now, engine), 1_000);
}

function connectControls() {
  const on = (id, event, act) => view.element(id).addEventListener(event, act);
  const bar = view.element("seek");
  on("play", "click", () => (playing() ? pause() : play()));
  on("back", "click", () => seekBy(-BACK_S));
  on("live", "click", () => engine.atLive() || (engine.goLive(), audio.paused && play()));
  on("mute", "click", () => view.attribute("mute", "aria-pressed", String((audio.muted = !audio.muted))));
  on("volume", "input", ({ target }) => (kept("volume", target.value), (audio.volume = target.value / 100)));
  on("seek", "input", () => (bar.dataset.held = "1"));
  on("seek", "change", () => (delete bar.dataset.held, seek(Number(bar.value) + (engine.live ? firstS() : 0))));
  on("managed", "change", ({ target }) => kept("managed", target.checked ? "1" : ""));
  for (const event of ["play", "pause", "playing", "ended", "waiting"]) on("audio", event, draw);
  on("audio", "error", rebuild);
  audio.addEventListener("playing", afterSound, { once: true });
}

/** For people who ask, and for tests. */
window.stentor = Object.freeze({
  get behind_ms() {
    const behindS = engine?.behindS() ?? null;
    return behindS === null ? null : Math.round(behindS * 1000);
  },
  get position_s() { return engine?.position() ?? null; },
  get phase() { return now?.phase ?? ""; },
  get n() { return engine?.n ?? 0; },
  get bytes() { return engine?.mount?.bytes ?? 0; },
  get stalls() { return engine?.counters.stalls ?? 0; },
  get skips() { return engine?.counters.skips ?? 0; },
  get seeks() { return engine?.counters.seeks ?? 0; },
  get rate_changes() { return engine?.counters.rate_changes ?? 0; },
});

audio.volume = (view.element("volume").value = kept("volume") ?? 100) / 100;
view.show("managed-row", managed);
view.element("managed").checked = Boolean(kept("managed"));
connectControls();
news.addEventListener("now", receiveNow);
news.addEventListener("trouble", receiveTrouble);
addEventListener("online", () => (news.soon(500), engine?.feed?.wake()));
document.addEventListener("visibilitychange", () => document.hidden || news.soon(500));
news.soon(0);
setInterval(draw, 500);
