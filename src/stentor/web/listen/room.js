/** The waiting room: how it stands with a place, by the `now` object alone, and when its turn has come. */

import { countdownText, hourText } from "../shared/time.js";
import { ahead, chance, rangeS } from "./line.js";
import { element, text } from "./view.js";
import * as waits from "./waits.js";

const ASK_MS = 10_000; // after the draw everybody asks for their rank, within so long or longer
const ASK_MS_MAX = 120_000;
const ASKS_S = 500; // of all who are in the draw: each may be a TLS handshake
const ANSWER_MS = 8_000;
const GO_MS = 1_000; // whose turn it is at the same look of the page do not all come in the same instant
const SAY_MS = 30_000; // not oftener is an ear told what has only become less
const SHARE_TOLD = 0.1; // of what was ahead when it was told last
const HTML = `<section id="room" class="room" aria-labelledby="room-label">
  <p class="figure"><span id="room-label" class="eyebrow"></span> <strong id="room-figure"></strong> <span id="room-unit"></span></p>
  <div id="room-lines"></div>
  <p id="room-said" class="heard-only" role="status"></p>
</section>`;

/** -> [label, figure]. */
function untilDraw(drawsMs, nowMs) {
  const leftS = Math.ceil((drawsMs - nowMs) / 1000);
  return leftS > 0 ? [`Until the draw at ${hourText(drawsMs, nowMs)}`, countdownText(leftS)] : ["The draw", "Any moment"];
}

const spread = () => 0.8 + 0.4 * Math.random();

export class Room {
  open = false;
  #rank = null;
  #late = false;
  #asking = false;
  #askMs = 0; // within so long, after no answer
  #retryMs = 0; // the door has said to come no sooner
  #going = false;
  #called = false; // the door says that its turn has come
  #notBeforeMs = 0;
  #lines = "";
  #styled = false;
  #turns = [];
  #tried = false;
  #told = { state: "", ahead: 0, atMs: 0 };
  #now = null;
  #stands = false;

  /** `page`: {show, now(), clock, play(), playing(), changed()}; `entry` has the place. */
  constructor(page, entry) {
    Object.assign(this, { page, entry });
    setInterval(() => this.open && this.#draw(), 1_000);
  }

  /** What the door said of the place. */
  receive({ rank = null, late = false, next_poll_ms }) {
    this.#late = late;
    this.#called = false;
    this.#rank = rank ?? this.#rank;
    this.#notBeforeMs = performance.now() + next_poll_ms * spread();
    this.open = true;
    this.#draw();
  }

  /** Resolves when it makes sense to ask the door again. */
  turn(signal) {
    return new Promise((resolve, reject) => {
      this.#turns.push(resolve);
      signal.addEventListener("abort", () => ((this.#turns = this.#turns.filter((one) => one !== resolve)), reject(signal.reason)), { once: true });
    });
  }

  /** A place from before: it waits on, whether or not anybody has pressed play. */
  resume() {
    this.open = true;
    this.look();
  }

  look() {
    const now = this.page.now();
    if (!now || !this.open) return;
    if (now !== this.#now) this.#stands = now.at_ms === this.#now?.at_ms; // asked for again, and nothing new: who says it is down
    this.#now = now;
    if (["ended", "cancelled"].includes(now.phase)) return this.close();
    if (this.#isTurn(now)) this.#go();
    else if (this.#rank === null && now.draw?.key) this.#ask();
    this.#draw();
  }

  close() {
    this.open = false;
    document.getElementById("room")?.remove();
    this.page.changed();
  }

  #isTurn({ gate = "free", mark = 0 }) {
    return this.#called || gate === "free" || (this.#rank !== null && this.#rank <= mark);
  }

  /** Whoever waits for it here goes on; if nobody does, the page plays by itself, once: the browser may want a gesture. */
  #go() {
    if (this.#going) return;
    this.#going = true;
    const waitMs = Math.max(0, this.#notBeforeMs - performance.now()) + GO_MS * Math.random();
    setTimeout(() => {
      this.#going = false;
      if (this.#turns.length) this.#turns.splice(0).forEach((resolve) => resolve());
      else if (this.open) this.#goAlone();
    }, waitMs);
  }

  #goAlone() {
    if (!this.#tried && !this.entry.declined) this.page.play();
    this.#tried = true;
  }

  /** Once, and again only if there was no answer, ever more slowly: the rank does not change. */
  async #ask() {
    if (this.#asking) return;
    this.#asking = true;
    this.#askMs ||= Math.min(ASK_MS_MAX, Math.max(ASK_MS, (1_000 * (this.page.now().draw.places ?? 0)) / ASKS_S));
    await new Promise((resolve) => setTimeout(resolve, this.#retryMs + this.#askMs * Math.random()));
    const response = await fetch(`/s/${this.page.show}/place/${this.entry.place}`, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => null);
    const answer = await response?.json().catch(() => ({}));
    if (answer?.code?.startsWith("place-")) this.entry.forget();
    this.#rank = answer?.rank ?? this.#rank;
    this.#called = Boolean(answer?.ticket);
    this.#retryMs = 1_000 * (Number(response?.headers.get("Retry-After")) || 0);
    this.#askMs = Math.min(ASK_MS_MAX, 2 * this.#askMs);
    this.#asking = false;
    this.look();
  }

  #show() {
    this.#lines = "";
    element("deck").insertAdjacentHTML("beforebegin", HTML);
    if (!this.#styled) document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("room.css", import.meta.url) }));
    this.#styled = true;
    this.page.changed();
  }

  /** -> [label, figure, unit, lines, ahead]. */
  #words(now, nowMs) {
    const reason = now.line_reason ?? "";
    if (this.#isTurn(now)) return ["Your turn", "Come in", "", [this.page.playing() ? "The sound comes in a moment." : "Press play."], 0];
    if (now.gate === "gathering") {
      return [...untilDraw(now.draw.base_s * 1000, nowMs), "", [this.#late ? waits.AFTER_DRAW : waits.DRAWN], 0];
    }
    if (this.#rank === null) return ["Your place in line", "…", "Your place is being looked up.", [reason, waits.OFFER], 0];
    const count = ahead(now, this.#rank);
    if (this.#stands) return ["Your place in line", ...waits.countWords(count), [waits.STANDS, waits.OFFER], count];
    const leftS = ((now.ends_at_ms ?? 0) - nowMs) / 1000;
    const open = [waits.etaWords(rangeS(count, now)), now.ends_at_ms ? waits.chanceWords(chance(count, now, leftS), now.ends_assumed) : ""];
    return ["Your place in line", ...waits.countWords(count), [...(now.gate === "closed" ? [waits.CLOSED] : open), reason, waits.OFFER], count];
  }

  #draw() {
    const [now, nowMs] = [this.page.now(), this.page.clock.now()];
    if (!now || !this.open) return;
    if (!document.getElementById("room")) this.#show();
    const [label, figure, unit, said, count] = this.#words(now, nowMs);
    const armed = this.page.playing() ? "Leave this page open: the sound comes by itself at your turn." : "Press play, and the sound comes by itself at your turn.";
    const lines = [...said, this.#isTurn(now) ? "" : armed].filter(Boolean);
    text("room-label", label);
    text("room-figure", figure);
    text("room-unit", unit);
    this.#write(lines);
    this.#tell(`${label} ${now.gate} ${this.#rank === null}`, count, `${label}: ${figure} ${unit} ${said[0]}`);
  }

  #write(lines) {
    if (this.#lines === lines.join()) return;
    this.#lines = lines.join();
    element("room-lines").replaceChildren(...lines.map((textContent) => Object.assign(document.createElement("p"), { textContent })));
  }

  /** For ears: what has changed in kind at once, what has become less now and then. */
  #tell(state, count, words) {
    const [told, ms] = [this.#told, performance.now()];
    const less = Math.abs(count - told.ahead) > SHARE_TOLD * told.ahead && ms - told.atMs > SAY_MS;
    if (state === told.state && !less) return;
    this.#told = { state, ahead: count, atMs: ms };
    text("room-said", words);
  }
}
