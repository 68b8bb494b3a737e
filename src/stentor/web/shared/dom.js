/** A few ways to write to the page that leave alone what is there already. */

export const find = (selector, root = document) => root.querySelector(selector);

export function text(target, value) {
  if (target.textContent !== value) target.textContent = value;
}

export function attribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** An element from markup of our own; values of others go in by `text`. */
export function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}
