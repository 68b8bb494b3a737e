/** Live by the browser's own buffering, where there is no push: some seconds late, and nobody knows how many. */
export class Mp3 {
  live = true;
  counters = {};

  #over = new AbortController();

  /** `page`: {audio, show, entry, now()}. */
  constructor(page) {
    Object.assign(this, page);
  }

  /** In the listener's gesture: once loaded in it, the element may be played after a wait. */
  async start() {
    if ((this.now()?.gate ?? "free") !== "free") await this.#wait();
    this.audio.src = `/s/${this.show}/listen.mp3${this.entry.query}`;
    await this.audio.play();
  }

  async #wait() {
    this.audio.removeAttribute("src");
    this.audio.load();
    await this.entry.ticketInTheEnd(this.#over.signal);
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
