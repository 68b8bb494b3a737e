/** What can wait until there is sound. */

import { show } from "./figures.js";
import { connect, describe } from "./session.js";
import { make } from "./timeline.js";

const TICK_MS = 500;

/**
 * `page`: {play, pause, seek, seekBy, goLive} act; `state()`: [now, engine]; `sinceStart(s)`: show time to time since the
 * start; `figures()`; `kept(key, value)` is a memory; `managed`.
 */
export function begin(page) {
  const draw = make(page);
  connect(page);
  show(page);
  draw();
  setInterval(() => (draw(), describe(...page.state())), TICK_MS);
}
