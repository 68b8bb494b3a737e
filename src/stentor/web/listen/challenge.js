/** What the door asks of strangers before it lets them in, worked out beside the page. Fetched only once it is asked for. */

import { element, line } from "./view.js";

const WORDS = "Many come at once, so the door asks for a small task. This device is working it out, and goes on by itself.";

function say(words) {
  if (!element("task")) {
    const said = Object.assign(document.createElement("p"), { id: "task", className: "status" });
    said.setAttribute("role", "status");
    element("status").after(said);
  }
  line("task", words);
}

const text = (challenge, number) => btoa(JSON.stringify({ ...challenge, number })).replaceAll("+", "-").replaceAll("/", "_");

/** `problem`: the door's answer. -> what is to be added to the address. Rejects when `signal` fires. */
export async function solve({ challenge, stamp }, signal) {
  const worker = new Worker(new URL("solver.js", import.meta.url));
  say(WORDS);
  try {
    const number = await new Promise((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => resolve(data));
      worker.addEventListener("error", () => reject(Object.assign(new Error(), { code: "challenge" })));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      worker.postMessage(challenge);
    });
    return `solution=${text(challenge, number)}&stamp=${stamp}`;
  } finally {
    worker.terminate();
    say("");
  }
}
