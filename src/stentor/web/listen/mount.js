/** Where audio comes from: the door's ticket, the edge's stream, the archive's past. No request needs a CORS preflight. */

import { BoxSplitter } from "./boxes.js";
import { monotonicMs } from "../shared/time.js";

const REACH_MS = 2_000; // then the edge is tried by way of the page's own origin
const ANSWER_MS = 8_000;
const SILENCE_MS_MIN = 4_000; // an edge sends every chunk, if only hold

/** A no with its reason: `code` of the problem+json. */
class Refused extends Error {
  constructor(response, problem) {
    super(problem.title ?? `HTTP ${response.status}`);
    this.code = problem.code ?? `http-${response.status}`;
    this.retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  }
}

async function accepted(response) {
  if (!response.ok) throw new Refused(response, await response.json().catch(() => ({})));
  return response;
}

/** `work(signal)`, cut short when `outer` fires or after `ms`. */
async function within(outer, ms, work) {
  const inner = new AbortController();
  const follow = () => inner.abort(outer.reason);
  const timer = setTimeout(() => inner.abort(new DOMException("no answer", "TimeoutError")), ms);
  outer.throwIfAborted();
  outer.addEventListener("abort", follow);
  try {
    return await work(inner.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", follow);
  }
}

/** A reader knows no signals: it is cancelled by hand. */
async function readOnce(reader, signal) {
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}));
  const result = await reader.read();
  signal.throwIfAborted();
  return result;
}

/** What the edge tells of its stream. `now()`: seconds of show time at the server. */
function stampOf(headers) {
  const ms = (name) => Number(headers.get(`Stentor-${name}`));
  const offsetMs = ms("Now-Ms") - ms("T0-Ms") - monotonicMs();
  return { chunkS: ms("Chunk-Ms") / 1000, n: ms("N"), head: ms("Head"), now: () => (monotonicMs() + offsetMs) / 1000 };
}

export class Mount {
  #ticket = "";
  bytes = 0;

  /** `edges`: origins to try, the preferred one first; "" is the page's own. */
  constructor(show, rendition, edges, archive) {
    Object.assign(this, { show, rendition, edges: [...new Set(edges)], archive });
  }

  /** -> {stamp, parts, close}: `parts` iterates over what the edge sends. */
  async open(query, signal) {
    this.#ticket ||= await this.#join(signal);
    const response = await this.#reach(`/live/${this.#ticket}/${this.rendition}?${query}`, signal);
    if (response.status === 403) this.#ticket = "";
    const stamp = stampOf((await accepted(response)).headers);
    const reader = response.body.getReader();
    return { stamp, parts: this.#parts(reader, stamp.chunkS, signal), close: () => reader.cancel() };
  }

  /** `what`: "header" or "a-b" -> parts, of the chunks a..b those that are there. */
  past(what, outer) {
    return within(outer, ANSWER_MS, async (signal) => {
      const url = `${this.archive}/archive/${this.show}/${this.rendition}/${what}`;
      const response = await accepted(await fetch(url, { signal }));
      return this.#split(new BoxSplitter(), new Uint8Array(await response.arrayBuffer()));
    });
  }

  #split(splitter, bytes) {
    this.bytes += bytes.length;
    return splitter.push(bytes);
  }

  #join(outer) {
    return within(outer, ANSWER_MS, async (signal) => {
      const response = await accepted(await fetch(`/s/${this.show}/join`, { method: "POST", signal }));
      return (await response.json()).ticket;
    });
  }

  /** Tries each origin; the one where an edge answered goes first from then on. */
  async #reach(path, outer) {
    let failure = null;
    for (const origin of [...this.edges]) {
      try {
        const response = await within(outer, REACH_MS, (signal) => fetch(origin + path, { signal, cache: "no-store" }));
        if (!response.headers.has("Stentor-N") && ![403, 503].includes(response.status)) throw new Refused(response, {});
        this.edges.sort((a, b) => (b === origin) - (a === origin));
        return response;
      } catch (error) {
        outer.throwIfAborted();
        failure ??= error;
      }
    }
    throw failure;
  }

  async *#parts(reader, chunkS, outer) {
    const splitter = new BoxSplitter();
    try {
      for (;;) {
        const silenceMs = Math.max(SILENCE_MS_MIN, 6_000 * chunkS);
        const { value, done } = await within(outer, silenceMs, (signal) => readOnce(reader, signal));
        if (done) return;
        yield* this.#split(splitter, value);
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }
}
