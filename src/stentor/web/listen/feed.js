/** Brings chunks in order, the last minute from the edge, what is older from the archive, and goes on after any failure. */

const RING_S = 40; // an edge holds a minute
const RANGE = 40; // chunks in a request to the archive, aligned so that caches share them
const BURST_MAX = 32;
const BACKOFF_S_MAX = 60;
const LIVE_AHEAD_S = 300;
const PAST_AHEAD_S = 30;

/** `signal` ends it with an error, a "wake" at `target` without. */
function pause(seconds, signal, target) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const end = (act) => () => (clearTimeout(timer), over.abort(), act());
    const timer = setTimeout(end(resolve), seconds * 1000);
    signal.addEventListener("abort", end(() => reject(signal.reason)), { signal: over.signal });
    target.addEventListener("wake", end(resolve), { signal: over.signal });
  });
}

export class Feed extends EventTarget {
  #stop = new AbortController();
  n = null;
  stamp = null;
  silences = 0;

  /**
   * `limits()`: {open, endN}. Events: "state", `detail`: {state: "connecting" | "flowing" | "waiting", reason, retryAtMs};
   * "words", `detail`: what an edge says between chunks, a piece of the `now` object.
   */
  constructor(mount, sink, limits) {
    super();
    Object.assign(this, { mount, sink, limits });
  }

  /** From chunk `n` on; null: the live edge. */
  start(n) {
    this.stop();
    this.#stop = new AbortController();
    this.n = n;
    this.#run(this.#stop.signal).catch(() => {}); // ended by stop()
  }

  stop() {
    this.#stop.abort();
  }

  wake() {
    this.dispatchEvent(new Event("wake"));
  }

  async #run(signal) {
    for (let failures = 0; ; ) {
      const [before, error] = [this.n, await this.#step(signal)];
      if (this.#over()) return this.sink.end();
      failures = this.n === before ? failures + 1 : 0;
      if (error) await this.#retry(failures, error, signal);
    }
  }

  /** One connection, or one request for the past. -> what broke it, or null. */
  async #step(signal) {
    try {
      await this.#room(signal);
      return this.#over() ? null : await (this.#isPast() ? this.#past(signal) : this.#live(signal));
    } catch (error) {
      signal.throwIfAborted();
      return error;
    }
  }

  /** Full jitter, U(0, 2^failures) s, on top of what the server asked for. */
  #retry(failures, { name, code: reason, retryAfterS = 0 }, signal) {
    this.silences += name === "TimeoutError";
    const seconds = retryAfterS + Math.random() * Math.min(BACKOFF_S_MAX, 2 ** failures);
    this.#say("waiting", typeof reason === "string" ? reason : "lost", Date.now() + seconds * 1000);
    return pause(seconds, signal, this);
  }

  #say(state, reason, retryAtMs) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, reason, retryAtMs } }));
  }

  #over() {
    return this.limits().endN > 0 && this.n >= this.limits().endN;
  }

  #isPast() {
    return this.n !== null && this.stamp !== null && this.stamp.now() - this.n * this.stamp.chunkS > RING_S;
  }

  /** Waits for the doors, and for the playhead to use up most of what is here. */
  async #room(signal) {
    while (!this.limits().open) await pause(BACKOFF_S_MAX, signal, this);
    if (this.sink.aheadS() < (this.#isPast() ? PAST_AHEAD_S : LIVE_AHEAD_S)) return;
    while (this.sink.aheadS() > PAST_AHEAD_S / 2) await pause(1, signal, this);
  }

  async #live(signal) {
    this.#say("connecting");
    const { n: wanted } = this;
    const burst = Math.min(BURST_MAX, Math.ceil(this.sink.marginS() / (this.stamp?.chunkS ?? 0.5)) + 1);
    const { stamp, parts, close } = await this.mount.open(wanted === null ? `burst=${burst}` : `from=${wanted}`, signal);
    this.stamp = stamp;
    if (stamp.n > wanted && this.#isPast()) return void close();
    this.sink.opened(stamp);
    this.#say("flowing");
    for await (const part of parts) {
      await this.#take(part, signal);
      if (this.sink.aheadS() > LIVE_AHEAD_S) return null;
    }
    return { code: "lost" };
  }

  async #past(signal) {
    const { n: first } = this;
    const last = first + RANGE - 1 - (first % RANGE);
    this.#say("flowing");
    const [header] = await this.mount.past("header", signal);
    for (const part of [header, ...(await this.mount.past(`${first}-${last}`, signal))]) await this.#take(part, signal);
    if (this.n === first) this.n = last + 1; // a hole in the tape
    return null;
  }

  async #take(part, signal) {
    signal.throwIfAborted();
    if (part.words) return void this.dispatchEvent(new CustomEvent("words", { detail: part.words }));
    if (part.header) return this.sink.header(part.bytes);
    if (part.n >= (this.n ?? 0)) {
      await this.sink.chunk(part);
      signal.throwIfAborted();
      this.n = part.n + 1;
    }
    return null;
  }
}
