/** The desk, spoken to with the token that stands behind the # of this page's address. */

import { pause } from "./wait.js";

const STORE = "stentor-token";
const ANSWER_MS = 8_000;
const SILENCE_MS = 6_000; // a stream says something at least twice a second
const BACKOFF_S_MAX = 10;

/** The secret part of the link. It is in no request's address, and a reload keeps it. */
export function tokenOfPage() {
  const token = location.hash.slice(1);
  if (token) sessionStorage.setItem(STORE, token);
  return token || sessionStorage.getItem(STORE) || "";
}

/** A no with its reason: `code` is for programs, `message` for people. */
export class Refused extends Error {
  constructor(status, problem = {}) {
    super([problem.title, problem.detail].filter(Boolean).join(" ") || `The server answers with an error (${status}).`);
    Object.assign(this, { status, code: problem.code ?? "" });
  }

  /** Whether asking again would be of use. */
  get passing() {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }
}

export async function refusal(response) {
  return new Refused(response.status, await response.json().catch(() => ({})));
}

export class Desk {
  constructor(token) {
    this.headers = { Authorization: `Bearer ${token}` };
  }

  /** GET, or POST of `order`. -> the answer; throws `Refused`, or what fetch throws. */
  async ask(path, order) {
    const json = { ...this.headers, "Content-Type": "application/json" };
    const request = order ? { method: "POST", body: JSON.stringify(order), headers: json } : { headers: this.headers };
    const response = await fetch(`/crew/api/${path}`, { ...request, signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok) throw await refusal(response);
    return response.json();
  }

  /** Every state that the desk tells, as long as the page lives; `lost(error)` while it is not heard. A final no ends it. */
  async follow(path, heard, lost) {
    for (let failures = 0; ; failures += 1) {
      try {
        for await (const state of this.#states(path)) {
          failures = 0;
          heard(state);
        }
        lost(new Error("the stream ended"));
      } catch (error) {
        lost(error);
        if (error instanceof Refused && !error.passing) return;
      }
      await pause(Math.random() * Math.min(BACKOFF_S_MAX, 2 ** failures));
    }
  }

  /** Each line is the whole state, so of several the newest will do. */
  async *#states(path) {
    const silence = new AbortController();
    const patience = () => setTimeout(() => silence.abort(), SILENCE_MS);
    let timer = patience();
    try {
      const response = await fetch(`/crew/api/${path}`, { headers: this.headers, signal: silence.signal });
      if (!response.ok) throw await refusal(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = patience();
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        if (lines.length) yield JSON.parse(lines.at(-1));
      }
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }
}
