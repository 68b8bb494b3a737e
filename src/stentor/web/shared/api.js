/** The desk's API with the token of this link. The token stands in the fragment, which no server is ever sent. */

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 8_000;

export const token = decodeURIComponent(location.hash.slice(1));

/** An answer that is not what was asked for: `code` is stable, the message is for people. */
export class Refused extends Error {
  constructor(status, problem) {
    super([problem.title, problem.detail].filter(Boolean).join(" ") || `The desk answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "unclear";
  }
}

const headers = () => ({ Authorization: `Bearer ${token}` });

async function checked(response) {
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

export async function get(path) {
  return (await checked(await fetch(path, { headers: headers(), cache: "no-store" }))).json();
}

export async function post(path, body) {
  const json = { ...headers(), "Content-Type": "application/json" };
  return (await checked(await fetch(path, { method: "POST", headers: json, body: JSON.stringify(body) }))).json();
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts.filter(Boolean);
  }
}

/** Calls `onState` with each state of the stream at `path`, for ever; `onTrouble` with why there is none just now. */
export async function follow(path, onState, onTrouble) {
  for (let wait = RETRY_MS_MIN; ; wait = Math.min(wait * 2, RETRY_MS_MAX)) {
    try {
      const response = await checked(await fetch(path, { headers: headers(), cache: "no-store" }));
      for await (const line of lines(response)) {
        wait = RETRY_MS_MIN;
        onState(JSON.parse(line));
      }
      onTrouble("The desk is away. The show goes on; trying again.", false);
    } catch (error) {
      const final = error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429;
      onTrouble(error instanceof Refused ? error.message : "The desk is away. The show goes on; trying again.", final);
      if (final) return;
    }
    await new Promise((done) => setTimeout(done, wait * (0.8 + 0.4 * Math.random())));
  }
}
