/** A few ways to write to the page that leave alone what is there already. */

export const find = (selector, root = document) => root.querySelector(selector);

export function text(target, value) {
  if (target.textContent !== value) target.textContent = value;
}

export function attribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** One child of `selector` for each of `values`, made from `html` and filled by `draw(value, child)`. */
export function fill(selector, values, html, draw) {
  const list = find(selector);
  while (list.childElementCount > values.length) list.lastElementChild.remove();
  while (list.childElementCount < values.length) list.append(made(html));
  values.forEach((value, at) => draw(value, list.children[at]));
}

/** An element from markup of our own; values of others go in by `text`. */
export function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}
