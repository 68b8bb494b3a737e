/** Judges how far the playhead stays from the end of the buffer, and what to do about it: docs/LISTENER.md. */

const WINDOW_S = 2;
const WINDOW_CHUNKS = 5;
const FAR_WINDOWS = 5;
const NEAR_WINDOWS = 2;
const BAND_S = 0.06;
const MOVE_S_MAX = 0.3;
const CATCH_UP_S_MAX = 10;
const CATCH_UP_RATE = 1.05;
const MARGIN_S_MAX = 2;
const CALM_S = 120;

export class Pace {
  #least = Infinity;
  #count = 0;
  #since = 0;
  #far = 0;
  #near = 0;
  #stalledAt = -Infinity;
  #relaxedAt = -Infinity;
  #catching = false;

  /** `marginS`: the distance wanted when a chunk of `chunkS` arrives. */
  constructor(chunkS) {
    this.chunkS = chunkS;
    this.baseS = this.marginS = 0.09 + 0.24 * chunkS;
  }

  /** After a start or a move. */
  restart(nowS) {
    [this.#far, this.#near, this.#catching] = [0, 0, false];
    this.#open(nowS);
  }

  #open(nowS) {
    [this.#least, this.#count, this.#since] = [Infinity, 0, nowS];
  }

  /** The buffer ran dry; a second time soon means that this connection needs more margin. */
  receiveStall(nowS) {
    if (nowS - this.#stalledAt < CALM_S) this.marginS = Math.min(MARGIN_S_MAX, this.marginS * 1.5 + 0.05);
    this.#stalledAt = nowS;
    this.#near = NEAR_WINDOWS - 1;
    this.#open(nowS);
  }

  /** A chunk came `distanceS` before it was needed. -> null, {move: seconds}, {rate}, or {live: true}: go to the edge. */
  receiveChunk(distanceS, nowS) {
    this.#least = Math.min(this.#least, distanceS);
    this.#count += 1;
    if (this.#catching) return distanceS - this.marginS > BAND_S / 2 ? null : this.#act({ rate: 1 }, nowS);
    if (nowS - this.#since < WINDOW_S || this.#count < WINDOW_CHUNKS) return null;
    const error = this.#least - this.marginS;
    this.#open(nowS);
    this.#far = error > BAND_S ? this.#far + 1 : 0;
    this.#near = error < -BAND_S ? this.#near + 1 : 0;
    if (this.#near >= NEAR_WINDOWS) return this.#act({ move: error }, nowS);
    if (this.#far >= FAR_WINDOWS) return this.#approach(error, nowS);
    this.#relax(nowS);
    return null;
  }

  #act(advice, nowS) {
    this.restart(nowS);
    return advice;
  }

  #approach(error, nowS) {
    if (error <= MOVE_S_MAX) return this.#act({ move: error }, nowS);
    if (error > CATCH_UP_S_MAX) return this.#act({ live: true }, nowS);
    this.restart(nowS);
    this.#catching = true;
    return { rate: CATCH_UP_RATE };
  }

  /** Long without a stall: back to less margin. */
  #relax(nowS) {
    if (nowS - Math.max(this.#stalledAt, this.#relaxedAt) < CALM_S) return;
    this.marginS = Math.max(this.baseS, this.marginS * 0.8);
    this.#relaxedAt = nowS;
  }
}
