/** What can wait until there is sound. */

import { show } from "./figures.js";
import { connect, describe } from "./session.js";
import { make } from "./timeline.js";

const TICK_MS = 500;

/** Ways through the show. Seconds are since the start of what can be heard. */
function moves({ audio, play, startS, sinceStart, draw, state }) {
  const engine = () => state()[1];
  const seek = (seconds) => {
    if ((engine()?.position() ?? null) !== null) engine().seek(seconds + startS());
    draw();
  };
  const seekBy = (seconds) => seek(sinceStart(engine()?.position() ?? 0) + seconds);
  const goLive = () => {
    if (engine().atLive()) return;
    engine().goLive();
    if (audio.paused) play();
  };
  return { seek, seekBy, goLive };
}

/**
 * `given`: {play, pause, draw} act; `state()`: [now, engine]; `startS()`, `sinceStart(s)`: from show time to time since
 * the start; `figures()`; `kept(key, value)` is a memory; `managed`; `audio`.
 */
export function begin(given) {
  const page = { ...given, ...moves(given) };
  const draw = make(page);
  connect(page);
  show(page);
  draw();
  setInterval(() => (draw(), describe(...page.state())), TICK_MS);
}
