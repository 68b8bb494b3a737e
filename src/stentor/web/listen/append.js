/** What is put on the page late. */

import { element } from "./view.js";

/** Markup of our own that is only needed late, with its style; -> its first element. */
export function append(html) {
  const root = element("late");
  if (!root.childElementCount) document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("late.css", import.meta.url) }));
  root.insertAdjacentHTML("beforeend", html);
  return root.lastElementChild;
}
