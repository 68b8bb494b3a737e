/** The way in: a ticket at once, or a place in line until its turn has come. */

import { accepted, within } from "./mount.js";
import { ticket } from "./ticket.js";

const ANSWER_MS = 8_000;
const SOLVED_MAX = 3; // running: an address that changes between asking and answering is nobody's fault

export class Entry {
  place = "";
  declined = false; // it is not to start by itself at its turn
  #room = null;

  /** `page`: {show, kept(key, value), …} and what room.js needs. */
  constructor(page) {
    Object.assign(this, { page, key: `place-${page.show}` });
    this.known = page.kept(this.key) ? this.#find() : null; // to be awaited: a place from before
  }

  /** Whether this page shows a wait. */
  get waits() {
    return Boolean(this.#room?.open);
  }

  /** To be added to an address that lets in. */
  get query() {
    return this.place && `?place=${this.place}`;
  }

  /** -> a ticket, however long it takes; rejects when `signal` fires, or with what the door has against it. */
  async ticket(signal) {
    await this.known;
    for (;;) {
      const answer = await this.#join(signal);
      if (answer.ticket) return this.#arrive(answer.ticket);
      if (answer.place !== this.place) await this.#keep(answer.place);
      const room = await this.#enter();
      room.receive(answer);
      await room.turn(signal);
    }
  }

  /** The `now` object has changed. */
  look() {
    this.#room?.look();
  }

  /** A place that is none any more: withdrawn, or of another time. */
  async forget() {
    await this.#keep("");
    this.#room?.close();
  }

  /** A place from before a reload waits on, unless it was in already. */
  async #find() {
    this.place = await (await import("./places.js")).find(this.key);
    if (this.place && !ticket() && !this.page.kept(`${this.key}-in`)) (await this.#enter()).resume();
  }

  async #keep(place) {
    this.place = place;
    this.page.kept(`${this.key}-in`, "");
    await (await import("./places.js")).keep(this.key, place);
  }

  #arrive(given) {
    if (this.place) this.page.kept(`${this.key}-in`, "1");
    this.#room?.close();
    return given;
  }

  /** What is shown meanwhile; only who waits needs it. */
  async #enter() {
    const { Room } = await import("./room.js");
    return (this.#room ??= new Room(this.page, this));
  }

  /** Whatever the door asks for first is done. */
  async #join(outer) {
    for (let times = 0, solved = ""; ; times += 1) {
      try {
        return await this.#ask(this.query || (solved && `?${solved}`), outer);
      } catch (error) {
        if (error.code !== "challenge-needed" || times === SOLVED_MAX) throw error;
        solved = await (await import("./challenge.js")).solve(error.problem, outer);
      }
    }
  }

  #ask(query, outer) {
    return within(outer, ANSWER_MS, async (signal) => {
      const response = await fetch(`/s/${this.page.show}/join${query}`, { method: "POST", signal });
      if (!response.ok) await this.#refused(response);
      return response.json();
    });
  }

  async #refused(response) {
    const error = await accepted(response).catch((refused) => refused);
    if (error.code.startsWith("place-")) await this.forget();
    throw error;
  }
}
