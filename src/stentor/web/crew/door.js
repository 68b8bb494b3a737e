/** The door: how many are in, how many wait, what is given up for them, and the few controls over it. */

import { attribute, fill, find, made, text } from "../shared/dom.js";
import * as words from "./door-words.js";

const NOTHING = "–";
const STEP = `<li><span class="step-name"></span> <span class="step-what"></span> <span class="step-carries"></span></li>`;

const count = (value) => (value === null || value === undefined ? NOTHING : value.toLocaleString());

export class Door {
  #state = null;

  /** `order(path, body)` carries out; `sure(title, detail, yes)` asks whether it is meant. */
  constructor(order, sure) {
    this.order = order;
    this.sure = (title, detail, yes) => sure(title, detail, yes, "No, leave it");
    find("#rung-step").append(...words.CHOICES.map(([value, label]) => choice(value, label)));
    on("#door-close", "click", () => this.#pressDoor());
    on("#cap", "submit", () => this.#pressCap(find("#cap-count").valueAsNumber));
    on("#cap-off", "click", () => this.#pressCap(0));
    on("#rung", "submit", () => this.#pressRung(Number(find("#rung-step").value)));
    on("#beacon", "submit", () => this.#pressBeacon());
  }

  draw(state, nowMs) {
    const before = this.#state;
    this.#state = state;
    this.#drawHouse();
    this.#drawControls(before?.show);
    this.#drawLadder();
    const [kind, said] = words.gateWords(state, nowMs);
    attribute(find("#gate"), "data-state", kind);
    text(find("#gate"), said);
    fill("#door-notes", words.notes(state, nowMs), "<li></li>", (note, row) => text(row, note));
  }

  #drawHouse() {
    const { edges, line, joins_hz: joins } = this.#state;
    const seats = words.seats(this.#state);
    const all = words.seated(edges);
    text(find("#listeners"), count(all));
    text(find("#by-hls"), words.hlsWords(edges));
    text(find("#of-seats"), seats ? `of ${count(seats)} seats` : "");
    find("#fill").style.setProperty("--full", seats ? Math.min(1, all / seats) : 0);
    attribute(find("#fill"), "data-full", String(Boolean(seats) && all >= seats));
    text(find("#waiting"), count(line?.waiting ?? (line ? 0 : null)));
    text(find("#called"), count(line?.called ?? (line ? 0 : null)));
    text(find("#a-minute"), count(line?.rate_mps ? Math.round((line.rate_mps * 60) / 1000) : null));
    text(find("#a-second"), count(joins));
  }

  #drawControls(before) {
    const { show } = this.#state;
    text(find("#door-close"), show.closed ? "Open the door again" : "Close the door");
    find("#cap-off").hidden = !show.cap;
    if (show.cap !== before?.cap) find("#cap-count").value = show.cap || "";
    if (show.rung !== before?.rung) find("#rung-step").value = String(show.rung > 0 ? show.rung : words.AUTO);
    find("#beacon").hidden = !words.beaconWanted(this.#state);
    text(find("#beacon-name"), `Value of the beacon, ${show.beacon_name}`);
  }

  #drawLadder() {
    const { show, ladder } = this.#state;
    const present = ladder?.rung ?? 0;
    text(find("#ladder-how"), show.rung > 0 ? `step ${show.rung} at least` : "by measure");
    fill("#ladder", words.STEPS, STEP, ([name, what], row) => {
      const at = [...row.parentElement.children].indexOf(row);
      const capacity = ladder?.capacity?.[at];
      attribute(row, "data-given", String(at < present));
      if (at === present) attribute(row, "aria-current", "step");
      else row.removeAttribute("aria-current");
      text(find(".step-name", row), name);
      text(find(".step-what", row), what);
      text(find(".step-carries", row), capacity ? `carries ${count(capacity)}` : "");
    });
    text(find("#ladder-why"), words.ladderWords(this.#state));
  }

  async #pressDoor() {
    const { show } = this.#state;
    const closed = !show.closed;
    const meant = !closed || (await this.sure("Close the door?", words.CLOSING, "Close the door"));
    if (meant) await this.order("door", { closed });
  }

  async #pressCap(cap) {
    const [title, detail, yes] = words.capQuestion(cap, words.seated(this.#state.edges));
    if (await this.sure(title, detail, yes)) await this.order("cap", { cap });
  }

  async #pressRung(rung) {
    const [title, detail] = words.rungQuestion(rung);
    if (await this.sure(title, detail, "Set")) await this.order("rung", { rung });
  }

  async #pressBeacon() {
    const value = find("#beacon-value").value.trim();
    const detail = `${value}. It can be given once and not be changed; everybody can check it.`;
    if (await this.sure("Give this value to the draw?", detail, "Give it")) await this.order("beacon", { value });
  }
}

function on(id, event, act) {
  find(id).addEventListener(event, (happened) => (happened.preventDefault(), act()));
}

function choice(value, label) {
  const option = made("<option></option>");
  option.value = String(value);
  text(option, label);
  return option;
}
