/** Live by the browser's own buffering, where there is no push: some seconds late, and nobody knows how many. */
export class Mp3 {
  live = true;
  counters = {};

  constructor(audio, show) {
    Object.assign(this, { audio, url: `/s/${show}/listen.mp3` });
  }

  start() {
    this.audio.src = this.url;
    return this.audio.play();
  }

  /** What the element has kept is old: the stream anew. */
  goLive() {
    this.start().catch(() => {});
  }

  stop() {}
  seek() {}
  position = () => null;
  nowS = () => null;
  behindS = () => null;
  atLive = () => !this.audio.paused;
}
