/** Where audio comes from: ticket, stream, past. No request needs a CORS preflight. */

import { monotonicMs } from "../shared/time.js";
import { keep, ticket } from "./ticket.js";

const REACH_MS = 2_000; // then the edge is tried by way of the page's own origin
const ANSWER_MS = 8_000;
const SILENCE_MS_MIN = 4_000; // an edge sends every chunk, if only hold
const BOX_BYTES_MAX = 1 << 20;

class Refused extends Error {
  constructor(response, problem) {
    super(problem.title ?? `HTTP ${response.status}`);
    this.problem = problem;
    this.code = problem.code ?? `http-${response.status}`;
    this.retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  }
}

export async function accepted(response) {
  if (!response.ok) throw new Refused(response, await response.json().catch(() => ({})));
  return response;
}

/** `work(signal)`, cut short when `outer` fires or after `ms`. */
export async function within(outer, ms, work) {
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

async function readOnce(reader, signal) {
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}));
  const result = await reader.read();
  signal.throwIfAborted();
  return result;
}

/** `now()`: seconds of show time at the server. */
function stampOf(headers) {
  const ms = (name) => Number(headers.get(`Stentor-${name}`));
  const offsetMs = ms("Now-Ms") - ms("T0-Ms") - monotonicMs();
  return { chunkS: ms("Chunk-Ms") / 1000, n: ms("N"), head: ms("Head"), group: ms("Group") || 1, now: () => (monotonicMs() + offsetMs) / 1000 };
}

const text = (bytes) => String.fromCharCode(...bytes);
const u32 = (bytes, at) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);

function join(a, b) {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** What an edge says between chunks (formats/emsg.py): JSON behind two texts and four numbers. */
const wordsOf = (box) => JSON.parse(new TextDecoder().decode(box.subarray(box.indexOf(0, box.indexOf(0, 12) + 1) + 17)));

/** MIME type with the codec that a header announces. */
export const typeOf = (header) => `audio/mp4; codecs="${text(header).includes("Opus") ? "opus" : "mp4a.40.2"}"`;

/** Cuts bytes into headers (`ftyp` + `moov`), chunks (`moof` + `mdat`) and words (`emsg`). */
class BoxSplitter {
  #rest = new Uint8Array(0);
  #part = new Uint8Array(0);
  #n = 0;

  /** -> what became whole: [{header, n, bytes} or {words}]. `n` stands in the `mfhd`. */
  push(bytes) {
    this.#rest = this.#rest.length ? join(this.#rest, bytes) : bytes;
    const parts = [];
    for (let size = this.#size(); size && this.#rest.length >= size; size = this.#size()) {
      const box = this.#rest.subarray(0, size);
      this.#rest = this.#rest.subarray(size);
      this.#take(box, parts);
    }
    return parts;
  }

  #size() {
    if (this.#rest.length < 8) return 0;
    const size = u32(this.#rest, 0);
    if (size < 8 || size > BOX_BYTES_MAX) throw new Error(`not MP4: a box of ${size} bytes`);
    return size;
  }

  #take(box, parts) {
    const type = text(box.subarray(4, 8));
    if (type === "emsg") return void parts.push({ words: wordsOf(box) });
    if (type === "moof") this.#n = u32(box, 20);
    this.#part = join(this.#part, box);
    if (type !== "moov" && type !== "mdat") return;
    parts.push({ header: type === "moov", n: this.#n, bytes: this.#part });
    this.#part = new Uint8Array(0);
  }
}

export class Mount {
  bytes = 0;

  /** `entry` gives tickets. `edges`: origins to try, the preferred one first; "" is the page's own. `archive`: address of the show there. */
  constructor(entry, rendition, edges, archive) {
    Object.assign(this, { entry, rendition, edges: [...new Set(edges)], archive });
  }

  /** -> {stamp, parts, close} of an endless stream. Who is let in gets a ticket to come back by, without the door. */
  async open(query, signal) {
    const old = ticket();
    if (!old) keep(await this.entry.ticket(signal));
    const response = await this.#reach(`/live/${ticket()}/${this.rendition}?${query}`, signal);
    if (response.status === 403) keep("");
    if (response.status === 403 && old) return this.open(query, signal); // with a new ticket
    const { headers } = await accepted(response);
    keep(headers.get("Stentor-Ticket") ?? ticket());
    const stamp = stampOf(headers);
    const reader = response.body.getReader();
    return { stamp, parts: this.#parts(reader, stamp.chunkS, signal), close: () => reader.cancel() };
  }

  /** `what`: "header", or chunks "a-b" -> parts, those that are there. */
  past(what, outer) {
    return within(outer, ANSWER_MS, async (signal) => {
      const response = await accepted(await fetch(`${this.archive}/${this.rendition}/${what}`, { signal }));
      return this.#split(new BoxSplitter(), new Uint8Array(await response.arrayBuffer()));
    });
  }

  #split(splitter, bytes) {
    this.bytes += bytes.length;
    return splitter.push(bytes);
  }

  /** Where an edge answered goes first from then on. */
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
