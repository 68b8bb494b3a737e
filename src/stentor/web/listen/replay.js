/** The sealed recording in the same player, and its downloads. Time 0 is the first second of the show. */

const FILES = [
  ["Opus, 48 kbit/s", "replay.opus", "opus"],
  ["AAC, 64 kbit/s (.m4a)", "replay.m4a", "aac"],
  ["MP3, 64 kbit/s", "replay.mp3", "mp3"],
];

export class Replay {
  live = false;
  counters = { stalls: 0, skips: 0, seeks: 0, rate_changes: 0 };

  /** `base`: address of the show's folder in the archive. */
  constructor(audio, base) {
    Object.assign(this, { audio, base });
  }

  /** Loads; to play it is for the listener to say. */
  load(fromS) {
    this.audio.preload = "metadata";
    this.audio.src = `${this.base}/replay.m4a`;
    this.audio.currentTime = fromS;
  }

  start() {
    return this.audio.play();
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.nowS() ?? 0);
    this.counters.seeks += 1;
  }

  /** Its length, once known. */
  nowS() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : null;
  }

  stop() {}
  goLive() {}
  position = () => this.audio.currentTime;
  behindS = () => null;
  atLive = () => false;
}

function anchor(href, name, className, textContent) {
  return Object.assign(document.createElement("a"), { href, download: name, className, textContent });
}

/** Fills the section `root` once: a button and a proof for each file. */
export function offer(root, base, show, chain) {
  if (!root.hidden) return;
  for (const [label, file, rendition] of FILES) {
    const item = document.createElement("li");
    item.append(anchor(`${base}/${file}`, `${show}-${file}`, "button", label));
    item.append(anchor(`${base}/proof/${rendition}.json`, `${show}-${rendition}.json`, "proof", `Proof for ${rendition}`));
    root.querySelector("ul").append(item);
  }
  root.querySelector("pre").textContent = `stentor verify ${show}-replay.opus --proof ${show}-opus.json`;
  root.querySelector(".chain").textContent = chain ? `The last head that was published: ${chain}` : "";
  root.hidden = false;
}
