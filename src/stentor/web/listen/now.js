/** Asks for the show's `now` object as often as it says itself. */

const ANSWER_MS = 8_000;
const POLL_MS = 5_000;
const POLL_MS_MIN = 400;
const POLL_MS_MAX = 60_000;

export class NowFeed extends EventTarget {
  #timer = 0;
  #failures = 0;
  #asking = false;
  msMost = Infinity; // between two polls, whatever is asked for

  /** `urls`: tried in turn. Events: "now", the object in `detail`; "trouble", {failures, missing}. */
  constructor(urls, clock) {
    super();
    Object.assign(this, { urls, clock });
  }

  /** Within `ms`, at a moment of this page's own. */
  soon(ms) {
    this.#in(Math.random() * ms);
  }

  #in(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#asking || this.#poll(), ms);
  }

  async #poll() {
    this.#asking = true;
    this.#in(await this.#ask().then((now) => this.#took(now), (error) => this.#failed(error)));
    this.#asking = false;
  }

  async #ask() {
    const response = await fetch(this.urls[0], { signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok) throw Object.assign(new Error(), { missing: response.status === 404 });
    return response.json();
  }

  /** -> ms until the next: U(0.8, 1.2) of what was asked for, or just after the start where that comes first. */
  #took(now) {
    this.#failures = 0;
    this.clock.hear(now.at_ms);
    this.dispatchEvent(new CustomEvent("now", { detail: now }));
    if (now.replay || now.phase === "cancelled") return this.#jittered(POLL_MS_MAX);
    const startMs = now.starts_at_ms - this.clock.now();
    const wantedMs = this.#jittered(Math.min(this.msMost, now.next_poll_ms ?? POLL_MS));
    return Math.max(POLL_MS_MIN, startMs > 0 ? Math.min(wantedMs, startMs + 300 + 900 * Math.random()) : wantedMs);
  }

  #failed({ missing = false }) {
    this.#failures += 1;
    this.urls.push(this.urls.shift());
    this.dispatchEvent(new CustomEvent("trouble", { detail: { failures: this.#failures, missing } }));
    return this.#jittered(Math.min(POLL_MS_MAX, POLL_MS * 2 ** (this.#failures - 1)));
  }

  #jittered(ms) {
    return ms * (0.8 + 0.4 * Math.random());
  }
}
