/** How long it will be, and how likely it is at all: core/eta.py says what is computed, and why. */

const Z = 1.645;
const DRIFT = 0.2;
const LOGISTIC = 1.702;
const POLL_SPREAD = 1.2;
const FRESH_S = 2;
const WAIT_S_MAX = 7 * 86_400;

/** How many places have at most `rank`; `table`: [[rank, places], …]. */
function placesUpTo(table, rank) {
  const at = table.findLastIndex(([point]) => point <= rank);
  if (at < 0) return 0;
  const [[before, count], after] = [table[at], table[at + 1]];
  return after ? count + Math.floor(((after[1] - count) * (rank - before)) / (after[0] - before)) : count;
}

/** How many are let in before a place of `rank`. */
export function ahead({ table = [], mark = 0 }, rank) {
  return rank <= mark ? 0 : Math.max(0, placesUpTo(table, rank - 1) - placesUpTo(table, mark));
}

const known = ({ rate_mps = 0, seen = 0 }) => rate_mps > 0 && seen > 0;
const spread = (k, { seen }) => Math.sqrt(1 / k + 1 / seen + DRIFT ** 2);
const waitS = (k, now, z) => (k ? (k / now.rate_mps) * 1000 * Math.exp(z * spread(k, now)) : 0);

/** -> [from, to] in seconds for whoever has so many ahead, or null; of the `now` object. */
export function rangeS(placesAhead, now) {
  const { free = 0, soon = 0, calls_mps = 0, next_poll_ms = 0 } = now;
  const k = placesAhead + 1;
  const [low, high] = [Math.max(0, k - Math.max(soon, free)), Math.max(0, k - free)];
  if (high && !known(now)) return null;
  const callsS = (k * 1000) / Math.max(1, calls_mps);
  const from = Math.max(0, Math.max(waitS(low, now, -Z), callsS) - FRESH_S);
  const to = waitS(high, now, Z) + callsS + (POLL_SPREAD * next_poll_ms) / 1000 + 1;
  return [Math.floor(Math.min(from, WAIT_S_MAX)), Math.ceil(Math.min(to, WAIT_S_MAX))];
}

/** The probability of coming in within `leftS`, in hundredths, or null. */
export function chance(placesAhead, now, leftS) {
  const k = Math.max(0, placesAhead + 1 - (now.free ?? 0));
  if (leftS <= 0) return 0;
  if (!k) return 1;
  if (!known(now)) return null;
  const z = Math.log((leftS * now.rate_mps) / 1000 / k) / spread(k, now);
  return Math.round(100 / (1 + Math.exp(-Math.min(Math.max(LOGISTIC * z, -50), 50)))) / 100;
}
