/** What the usher takes those at the door for, in a sentence. Fetched only once it is not calm. */

import { element, line } from "./view.js";

/** formats/waiting.py has the same words; a test holds the two side by side. */
const VERDICTS = {
  crowd: "Very many come at the moment: getting in may take a little longer.",
  undecided: "There is unusual traffic at the door: getting in may take a little longer.",
  attack: "There seems to be an attack on the door: getting in may take longer. Who listens already does not need the door.",
};

export const words = ({ phase, verdict }) => (phase === "ended" ? "" : (VERDICTS[verdict?.verdict] ?? ""));

export function say(now) {
  if (!element("verdict")) {
    const said = Object.assign(document.createElement("p"), { id: "verdict", className: "status" });
    said.setAttribute("role", "status");
    element("status").after(said);
  }
  line("verdict", words(now));
}
