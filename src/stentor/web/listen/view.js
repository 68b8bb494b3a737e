/** The page's elements. Nothing is written that is there already. */

import { clockText, spokenTime } from "../shared/time.js";

const ICONS = ["M8 5l12 7-12 7z", "M7 5h4v14H7zM13 5h4v14h-4z"];

export const element = (id) => document.getElementById(id);

export function text(id, value) {
  const target = element(id);
  if (target.textContent !== value) target.textContent = value;
}

export function attribute(id, name, value) {
  const target = element(id);
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

export function show(id, visible) {
  element(id).hidden = !visible;
}

/** A line that is only there when it says something. */
export function line(id, value, inside = id) {
  show(id, Boolean(value));
  text(inside, value || "");
}

export function lamp([state, word]) {
  attribute("lamp", "data-lamp", state);
  text("lamp", word);
}

export function playButton(playing, label) {
  attribute("play-icon", "d", ICONS[Number(playing)]);
  text("play-label", label);
}

export function status(trouble, calm) {
  attribute("status", "data-kind", trouble ? "trouble" : "");
  text("status", trouble || calm);
}

/** Seconds since the first one that can be heard; `null` hides the line. */
export function timeline(position, length, live) {
  const visible = position !== null && length !== null;
  show("line", visible);
  show("back", visible);
  if (!visible) return;
  const seek = element("seek");
  seek.max = String(Math.max(1, Math.floor(length)));
  if (!seek.dataset.held) seek.value = String(Math.round(position));
  const said = live ? `, ${spokenTime(length - position)} behind live` : ` of ${spokenTime(length)}`;
  attribute("seek", "aria-valuetext", spokenTime(Number(seek.value)) + said);
  text("seek-end", live ? "Live" : clockText(length));
}
