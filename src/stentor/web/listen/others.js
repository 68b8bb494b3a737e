/** What plays where push does not: HLS, and if that does not either, MP3. */

import { Mp3 } from "./mp3.js";
import { player, Pull } from "./pull.js";

const REBUILDS_MAX = 3;
const REST_MS = 1_000;
let rebuilds = 0;
let left = [];

/** In the order in which they are tried. */
async function makers(page) {
  const byHls = await player(page.audio);
  const all = [byHls && (() => new Pull(page, byHls)), () => new Mp3(page), page.makePush];
  return all.filter(Boolean);
}

/**
 * -> [maker of engines, ms until it is to be used]: the same anew, a few times, or the next where it is `lost`.
 * `page`: as for `Pull` and `Mp3`, and {makePush}; the last is undefined where there is no push.
 */
export async function next(page, maker, lost) {
  rebuilds += 1;
  const restMs = REST_MS * Math.random() * rebuilds;
  if (!lost && rebuilds <= REBUILDS_MAX) return [maker, restMs];
  rebuilds = 0;
  if (!left.length) left = await makers(page);
  return [left.shift(), restMs];
}
