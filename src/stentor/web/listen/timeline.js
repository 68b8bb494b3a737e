/** Where in the show we are, and the ways back and forth. */

import { clockText, spokenTime } from "../shared/time.js";
import { attribute, element, show, text } from "./view.js";

const BACK_S = 15;
const BACK = `<button id="back" type="button" class="button side"><span aria-hidden="true">\u221215 s</span><span class="heard-only">Back 15 seconds</span></button>`;
const LIVE = `<button id="live" type="button" class="button side">Go live</button>`;
const LINE = `<div id="line" class="line">
  <label class="heard-only" for="seek">Position in the show</label>
  <input id="seek" type="range" min="0" step="1">
  <p class="ends"><span>0:00</span><span id="seek-end"></span></p>
</div>`;

/** Shows `positionS` of `lengthS` since the start of what can be heard; null hides all. */
function draw(engine, positionS, lengthS) {
  const visible = positionS !== null && lengthS !== null;
  for (const id of ["line", "back"]) show(id, visible);
  show("live", visible && engine.live);
  if (!visible) return;
  const bar = element("seek");
  bar.max = String(Math.max(1, Math.floor(lengthS)));
  if (!bar.dataset.held) bar.value = String(Math.round(positionS));
  const said = engine.live ? `, ${spokenTime(lengthS - positionS)} behind live` : ` of ${spokenTime(lengthS)}`;
  attribute("seek", "aria-valuetext", spokenTime(Number(bar.value)) + said);
  text("seek-end", engine.live ? "Live" : clockText(lengthS));
  attribute("live", "aria-disabled", String(engine.atLive()));
  text("live", engine.atLive() ? "Live" : "Go live");
}

/** Puts it on the page; -> a function that brings it up to date. */
export function make({ state, sinceStart, seek, seekBy, goLive }) {
  element("horn").insertAdjacentHTML("beforebegin", BACK);
  element("horn").insertAdjacentHTML("afterend", LIVE);
  element("behind").insertAdjacentHTML("afterend", LINE);
  const bar = element("seek");
  const again = () => {
    const [now, engine] = state();
    const heard = engine && ["live", "ended"].includes(now.phase);
    draw(engine, heard ? sinceStart(engine.position()) : null, heard ? sinceStart(engine.nowS()) : null);
  };
  const on = (id, event, act) => element(id).addEventListener(event, () => (act(), again()));
  on("back", "click", () => seekBy(-BACK_S));
  on("live", "click", goLive);
  on("seek", "input", () => (bar.dataset.held = "1"));
  on("seek", "change", () => (delete bar.dataset.held, seek(Number(bar.value))));
  return again;
}
