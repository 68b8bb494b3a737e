/** The ticket of this page, as the edge last renewed it. A reload keeps it; a tab that is a copy finds none and gets its own. */

const KEY = "stentor-ticket";

function store(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null; // a private window
  }
}

/** Out of the store as long as the page lives: what is copied meanwhile is not this listener. */
function take() {
  const [show, ticket] = (store((kept) => kept.getItem(KEY)) ?? "").split(" ");
  store((kept) => kept.removeItem(KEY));
  return show === location.pathname ? ticket : "";
}

let held = take();

/** The ticket at hand, or "". */
export const ticket = () => held;

export function keep(text) {
  held = text;
}

addEventListener("pagehide", () => held && store((kept) => kept.setItem(KEY, `${location.pathname} ${held}`)));
addEventListener("pageshow", ({ persisted }) => persisted && take());
