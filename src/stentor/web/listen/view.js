/** The page's elements. Nothing is written that is there already. */

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
