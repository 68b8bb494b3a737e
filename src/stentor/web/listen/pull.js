/** Plays HLS, by the browser itself or by hls.js. The playlists' dates say where in the show the playhead is. */

import { keep, ticket } from "./ticket.js";
import { ticketInTheEnd } from "./patience.js";

const REACH_MS = 2_000; // then the edge is tried by way of the page's own origin
const SOON_S = 6; // nearer to live than this there is no past to go to
const DOORS_MS_MAX = 10_000;
const KEPT_BEHIND_S = 60;
const HALF_PART_S = 0.25; // by so much a playlist is old, on average
const OFF_S = 0.1;
const BEACON_MS = 30_000; // an edge knows by it that somebody listens: pieces come from caches, the same for all
const FAR_S = 2; // who has fallen so far behind by a stall goes on at live: hls.js would stay there
const NATIVE = "application/vnd.apple.mpegurl";

/** What is cut on the way, or meets an edge that is being restarted, is asked for again before the buffer is empty: hls.js' own first pause is a second. */
const AGAIN = {
  maxTimeToFirstByteMs: 10_000,
  maxLoadTimeMs: 20_000,
  timeoutRetry: { maxNumRetry: 2, retryDelayMs: 0, maxRetryDelayMs: 0 },
  errorRetry: { maxNumRetry: 8, retryDelayMs: 100, maxRetryDelayMs: 4_000, shouldRetry: (_, count, timeout, answer, would) => would || (count < 8 && !answer?.code) },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** -> what plays a playlist here, or undefined. The browser itself where it has no MediaSource of the plain kind. */
export async function player(audio) {
  if (!globalThis.MediaSource) return audio.canPlayType(NATIVE) ? Native : undefined;
  const module = await import("../vendor/hls.js").catch(() => null); // an installation may be without
  return module?.default.isSupported() ? byScript(module.default) : undefined;
}

class Native {
  constructor(audio) {
    this.audio = audio;
  }

  /** From second `at` of the playlist; null: live. */
  load(url, at) {
    this.audio.src = url;
    if (at !== null) this.audio.addEventListener("loadedmetadata", () => (this.audio.currentTime = at), { once: true });
  }

  /** Unix ms of what is being heard, or null if the browser does not tell. */
  dateMs() {
    const startMs = Number(this.audio.getStartDate?.() ?? NaN);
    return Number.isNaN(startMs) ? null : startMs + 1000 * this.audio.currentTime;
  }

  stop() {}
  goalS = () => Infinity; // it knows best
}

const byScript = (Hls) =>
  class {
    constructor(audio, lost) {
      Object.assign(this, { audio, lost });
    }

    load(url, at) {
      this.stop();
      const policies = { playlistLoadPolicy: { default: AGAIN }, fragLoadPolicy: { default: AGAIN } };
      this.hls = new Hls({ enableWorker: false, autoStartLoad: false, lowLatencyMode: at === null, backBufferLength: KEPT_BEHIND_S, ...policies });
      this.hls.on(Hls.Events.MANIFEST_PARSED, () => this.hls.startLoad(at ?? -1));
      this.hls.on(Hls.Events.ERROR, (_, { fatal }) => fatal && this.lost());
      this.hls.loadSource(url);
      this.hls.attachMedia(this.audio);
    }

    dateMs() {
      return this.hls?.playingDate?.getTime() ?? null;
    }

    /** How far behind live it should be: what the playlist asks for. */
    goalS() {
      return (this.hls?.targetLatency || Infinity) + HALF_PART_S;
    }

    stop() {
      this.hls?.destroy();
    }
  };

async function answered(url, ms) {
  const response = await fetch(url, { signal: AbortSignal.timeout(ms) });
  if (response.status === 403) keep(""); // the next try is with a new ticket
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

export class Pull {
  live = true;
  counters = { stalls: 0, seeks: 0 };
  #atLive = true;
  #placed = false;
  #over = new AbortController();

  /** `page`: {audio, entry, edges, archive, clock, limits(), now(), lost(), refused(reason)}; `lost` is called when it cannot go on, `refused` when it may not. */
  constructor(page, Player) {
    Object.assign(this, page);
    this.player = new Player(this.audio, this.lost);
    const options = { signal: this.#over.signal };
    this.audio.addEventListener("playing", () => this.#plays(), options);
    this.audio.addEventListener("waiting", () => this.#waits(), options);
    this.audio.addEventListener("pause", () => (this.#atLive = false), options);
    const timer = setInterval(() => this.#beacon(), BEACON_MS);
    options.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** In the listener's gesture: once loaded in it, the element may be played later. */
  async start() {
    this.audio.removeAttribute("src");
    this.audio.load();
    await this.#open();
    if (!this.#over.signal.aborted) await this.audio.play();
  }

  stop() {
    this.#over.abort();
    this.player.stop();
  }

  /** Getting ready took time, and so did a long stall: what was lost is made up at once, by one move. */
  #plays() {
    const first = !this.#placed;
    if (first) this.#beacon();
    this.#placed = true;
    const lateS = this.behindS() - this.player.goalS();
    if (this.#atLive && lateS > (first ? OFF_S : FAR_S)) this.#moveTo(this.audio.currentTime + lateS);
  }

  /** While it plays. A ticket that was revoked is the end: media would go on until the show is over. */
  async #beacon() {
    if (this.origin === undefined || this.audio.paused || !ticket()) return;
    const response = await fetch(`${this.origin}/live/${ticket()}/beacon`, { signal: AbortSignal.timeout(REACH_MS * 4) }).catch(() => null);
    if (this.#over.signal.aborted || !response) return;
    if (response.ok) return keep(response.headers.get("Stentor-Ticket") ?? ticket());
    const { code } = await response.json().catch(() => ({}));
    if (code === "ticket-revoked") this.refused("Your ticket was revoked by the crew of this show.");
  }

  #moveTo(at) {
    this.counters.seeks += 1;
    this.audio.currentTime = at;
  }

  #waits() {
    if (this.#placed && !this.audio.seeking && !this.audio.ended) this.counters.stalls += 1;
  }

  async #open() {
    try {
      while (!this.limits().open) await pause(DOORS_MS_MAX * Math.random());
      this.url = await this.#reach();
      if (!this.#over.signal.aborted) this.#load(this.url, null);
    } catch {
      this.#over.signal.aborted || this.lost();
    }
  }

  #load(url, at) {
    [this.#atLive, this.#placed] = [at === null, false];
    this.player.load(url, at);
  }

  /** -> the address of this listener's playlist, at the first origin that has it. */
  async #reach() {
    if (!ticket()) keep(await ticketInTheEnd(this.entry, this.#over.signal));
    const urls = this.edges.map((origin) => [origin, `${origin}/live/${ticket()}/index.m3u8`]);
    for (const [origin, url] of urls.slice(0, -1)) {
      const response = await answered(url, REACH_MS).catch(() => null);
      if (response) return this.#lasting(origin, response);
    }
    const [origin, url] = urls.at(-1);
    return this.#lasting(origin, await answered(url, REACH_MS));
  }

  /** With the ticket to come back by: a player may ask for the address again hours later. */
  #lasting(origin, { headers }) {
    keep(headers.get("Stentor-Ticket") ?? ticket());
    this.origin = origin;
    return `${origin}/live/${ticket()}/index.m3u8`;
  }

  /** Seconds of show time of a Unix time; null if either is not known. */
  #showS(ms) {
    const { t0_ms } = this.now();
    return ms === null || !t0_ms ? null : (ms - t0_ms) / 1000;
  }

  position() {
    return this.#placed ? this.#showS(this.player.dateMs()) : null;
  }

  nowS() {
    return this.#showS(this.clock.now());
  }

  behindS() {
    return this.position() === null ? null : this.nowS() - this.position();
  }

  atLive() {
    return this.#atLive && !this.audio.paused;
  }

  /** Within what the playlist holds, or to the archive's, which begins with the first recorded second. */
  seek(seconds) {
    if (seconds > this.nowS() - SOON_S) return this.goLive();
    const at = this.audio.currentTime + seconds - this.position();
    const { seekable } = this.audio;
    this.#atLive = false;
    if (seekable.length && seekable.start(0) <= at && at <= seekable.end(0)) return this.#moveTo(at);
    const { firstN } = this.limits();
    const firstS = (firstN * this.now().chunk_ms) / 1000;
    this.#load(`${this.archive}/dvr.m3u8`, Math.max(0, seconds - firstS));
    this.audio.play().catch(() => {});
  }

  goLive() {
    this.#load(this.url, null);
    this.audio.play().catch(() => {});
  }
}
