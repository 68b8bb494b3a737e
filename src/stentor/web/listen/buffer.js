/** A source buffer that takes one thing at a time and stays small. */

const BEHIND_S_MAX = 600;
const AHEAD_S_MAX = 360;
const TRIM_EVERY = 20;
const GAP_S = 0.06; // browsers play across less than a few frames
const SMALLER = [[BEHIND_S_MAX / 5, AHEAD_S_MAX], [30, 120], [3, 60]]; // [behind, ahead] when the quota is full

export class MediaBuffer {
  #last = Promise.resolve();
  #count = 0;

  constructor(source, type, position) {
    Object.assign(this, { source, type, position, inner: source.addSourceBuffer(type) });
  }

  append(bytes) {
    return this.#inTurn(async () => {
      if (++this.#count % TRIM_EVERY === 0) await this.#keep(BEHIND_S_MAX, AHEAD_S_MAX);
      await this.#fit(bytes, SMALLER);
    });
  }

  appendHeader(bytes, type) {
    return this.#inTurn(() => {
      if (type !== this.type) this.inner.changeType(type);
      this.type = type;
      return this.#fit(bytes, SMALLER);
    });
  }

  end() {
    return this.#inTurn(() => this.source.readyState === "open" && this.source.endOfStream());
  }

  /** The stretch that holds `time`: [start, end] or undefined. */
  rangeAt(time) {
    return this.ranges().find(([start, end]) => start - GAP_S <= time && time <= end);
  }

  ranges() {
    if (this.source.readyState === "closed") return [];
    const { buffered } = this.inner;
    return Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)]);
  }

  #inTurn(work) {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #fit(bytes, [next, ...smaller]) {
    try {
      await this.#settled(() => this.inner.appendBuffer(bytes));
    } catch (error) {
      if (error.name !== "QuotaExceededError" || !next) throw error;
      await this.#keep(...next);
      await this.#fit(bytes, smaller);
    }
  }

  async #keep(behind, ahead) {
    const [from, to] = [this.position() - behind, this.position() + ahead];
    const ends = this.ranges().flat();
    if (ends[0] < from) await this.#settled(() => this.inner.remove(0, from));
    if (ends.at(-1) > to) await this.#settled(() => this.inner.remove(to, Infinity));
  }

  #settled(start) {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error("not decodable"));
      this.inner.addEventListener("error", failed, { once: true });
      this.inner.addEventListener("updateend", () => (this.inner.removeEventListener("error", failed), resolve()), { once: true });
      start();
    });
  }
}
