/** Live by the browser's own buffering, where there is no push: some seconds late, and nobody knows how many. */

import { ticketInTheEnd } from "./patience.js";

const DOUBT = 2; // from this level on strangers have to do something first, which no audio element can

export class Mp3 {
  live = true;
  counters = {};

  #over = new AbortController();

  /** `page`: {audio, show, entry, edges, now()}. */
  constructor(page) {
    Object.assign(this, page);
  }

  /** In the listener's gesture: once loaded in it, the element may be played after a wait. */
  async start() {
    const { gate = "free", verdict } = this.now() ?? {};
    const asks = verdict?.level >= DOUBT;
    const ticket = gate !== "free" || asks ? await this.#wait() : "";
    const { query } = this.entry;
    this.audio.src = asks && !query ? `${this.edges[0]}/live/${ticket}/mp3` : `/s/${this.show}/listen.mp3${query}`;
    await this.audio.play();
  }

  async #wait() {
    this.audio.removeAttribute("src");
    this.audio.load();
    return ticketInTheEnd(this.entry, this.#over.signal);
  }

  /** What the element has kept is old: the stream anew. */
  goLive() {
    this.start().catch(() => {});
  }

  stop() {
    this.#over.abort();
  }

  seek() {}
  position = () => null;
  nowS = () => null;
  behindS = () => null;
  atLive = () => !this.audio.paused;
}
