/** Judges how far the playhead stays from the end of the buffer, and what to do about it: docs/LISTENER.md. */

const WINDOW_S = 2;
const WINDOW_CHUNKS = 5;
const FAR_WINDOWS = 5;
const NEAR_WINDOWS = 2;
const FAR_S = 0.06;
const NEAR_S = 0.04; // less: here a stall is next
const MOVE_S_MAX = 0.3;
const CATCH_UP_S_MAX = 10;
const CATCH_UP_RATE = 1.05;
const MARGIN_S_MAX = 2;
const CALM_S = 120;
const SETTLED_S = 0.4; // until a move shows what it cost
const STOOD_S = 0.04;
const MOVE_COST_S_MAX = 0.2;

export class Pace {
  #least = Infinity;
  #count = 0;
  #since = 0;
  #far = 0;
  #near = 0;
  #stalledAt = -Infinity;
  #relaxedAt = -Infinity;
  #catching = false;
  group = 0;
  baseS = 0;
  marginS = 0;

  /** `marginS`: the distance wanted when chunks of `chunkS` arrive, `group` at a time. */
  constructor(chunkS) {
    this.chunkS = chunkS;
    this.widen(1);
  }

  widen(group) {
    const before = this.baseS;
    this.group = group;
    this.baseS = 0.11 + 0.16 * this.spanS;
    this.marginS = Math.max(this.baseS, this.marginS + this.baseS - before);
  }

  /** What comes at a time. */
  get spanS() {
    return this.chunkS * this.group;
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
    if (this.#catching) return distanceS - this.marginS > FAR_S / 2 ? null : this.#act({ rate: 1 }, nowS);
    if (nowS - this.#since < WINDOW_S || this.#count < WINDOW_CHUNKS) return null;
    const error = this.#least - this.marginS;
    this.#open(nowS);
    this.#far = error > FAR_S ? this.#far + 1 : 0;
    this.#near = error < -NEAR_S ? this.#near + 1 : 0;
    if (this.#near >= NEAR_WINDOWS) return this.#act({ move: error - (FAR_S - NEAR_S) }, nowS);
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

/** How far behind live the playhead is: what a move costs, and when it stood still by itself. */
export class Lag {
  moveS = 0.07; // what a move costs: the output is silent for so long
  #wantedS = null;
  #lastS = null;
  #lastAt = 0;
  #settledAt = 0;

  /** The playhead was touched, and is to be `wantedS` behind (null: anywhere). */
  touched(wantedS, nowS) {
    this.#wantedS = wantedS;
    this.resumed(nowS);
  }

  /** It plays again. */
  resumed(nowS) {
    [this.#lastS, this.#settledAt] = [null, nowS + SETTLED_S];
  }

  /** -> {missedS}: how much too late the last move came out; or {stood}: whether time was lost since the last look. */
  look(behindS, nowS, rate = 1) {
    if (nowS < this.#settledAt) return {};
    const [lastS, wantedS, meantS] = [this.#lastS, this.#wantedS, (1 - rate) * (nowS - this.#lastAt)];
    [this.#lastS, this.#lastAt, this.#wantedS] = [behindS, nowS, null];
    if (wantedS === null) return { stood: lastS !== null && behindS - lastS - meantS > STOOD_S };
    const missedS = behindS - wantedS;
    this.moveS = Math.min(MOVE_COST_S_MAX, Math.max(0, this.moveS + missedS));
    return { missedS };
  }
}
