/** The seats: who is on air, who is backstage, and what can be done about it. */

import { attribute, find, made, text } from "../shared/dom.js";
import { Meter } from "../shared/meter.js";
import { seatWords } from "./words.js";

const SILENCE_DBFS = -120;

const ROW = `<li class="seat">
  <p class="seat-head"><span class="seat-name"></span> <span class="seat-how soft"></span></p>
  <div class="keys">
    <button type="button" class="button" data-does="on_air"></button>
    <button type="button" class="button" data-does="muted"></button>
    <button type="button" class="button" data-does="removed"></button>
  </div>
</li>`;

export class Seats {
  #rows = new Map();

  /** `press(seat, change)` carries out what was pressed; `own()`: id of one's own seat. */
  constructor(press, own) {
    Object.assign(this, { press, own });
    this.program = new Meter("Level of the program");
    find("#program").append(this.program.root);
  }

  draw({ show, stage, levels }) {
    const seats = show.seats.filter((seat) => !seat.removed);
    for (const seat of seats) this.#draw(seat, stage?.speakers?.find((speaker) => speaker.seat === seat.id));
    for (const id of this.#rows.keys()) if (!seats.some((seat) => seat.id === id)) this.#drop(id);
    this.#level(seats, levels?.dbfs ?? {});
    for (const [id, count] of [["air", seats.filter((seat) => seat.on_air).length], ["backstage", seats.filter((seat) => !seat.on_air).length]]) {
      text(find(`#${id}-count`), String(count));
      find(`#${id}-empty`).hidden = count > 0;
    }
  }

  #row(seat) {
    if (!this.#rows.has(seat.id)) {
      const row = { root: made(ROW), meter: new Meter(`Level of ${seat.name}`), seat };
      find(".seat-head", row.root).after(row.meter.root);
      row.root.addEventListener("click", ({ target }) => target.dataset.does && this.#pressed(row.seat, target.dataset.does));
      this.#rows.set(seat.id, row);
    }
    return this.#rows.get(seat.id);
  }

  #pressed(seat, does) {
    this.press(seat, { [does]: does === "removed" || !seat[does] });
  }

  #drop(id) {
    this.#rows.get(id).root.remove();
    this.#rows.delete(id);
  }

  #draw(seat, speaker) {
    const row = this.#row(seat);
    row.seat = seat;
    const list = find(seat.on_air ? "#air" : "#backstage");
    if (row.root.parentElement !== list) this.#place(row.root, list);
    text(find(".seat-name", row.root), seat.name + (seat.id === this.own() ? " (you)" : ""));
    text(find(".seat-how", row.root), seatWords(seat, speaker));
    this.#label(row.root, "on_air", seat.on_air ? "Take off air" : "Put on air", seat.name);
    this.#label(row.root, "muted", seat.muted ? "Unmute" : "Mute", seat.name);
    this.#label(row.root, "removed", "Remove", seat.name);
    attribute(find("[data-does=muted]", row.root), "aria-pressed", String(seat.muted));
    find("[data-does=removed]", row.root).hidden = seat.crew;
  }

  /** Moving an element takes the focus from it: whoever pressed by keyboard keeps it. */
  #place(root, list) {
    const focused = root.contains(document.activeElement) ? document.activeElement : null;
    list.append(root);
    focused?.focus();
  }

  #label(root, does, words, name) {
    const button = find(`[data-does=${does}]`, root);
    text(button, words);
    attribute(button, "aria-label", `${words}: ${name}`);
  }

  #level(seats, dbfs) {
    for (const { id } of seats) this.#rows.get(id).meter.set(dbfs[id] ?? SILENCE_DBFS);
    this.program.set(dbfs.program ?? SILENCE_DBFS);
  }
}
