/** The sealed recording in the same player, and its downloads. Time 0 is the first second of the show. */

import { append } from "./append.js";

const AT_END_S = 15;
const TURN_JITTER_MS = 5_000;
const STUCK_MS = 10_000;
const LOOK_MS = 500;
const FILES = [
  ["Opus, 48 kbit/s", "replay.opus", "opus"],
  ["AAC, 64 kbit/s (.m4a)", "replay.m4a", "aac"],
  ["MP3, 64 kbit/s", "replay.mp3", "mp3"],
];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Until what is on its way was heard, or the playhead stands; then at a moment of this page's own if it `wasLive`. */
export async function heardOut(audio, position, wasLive) {
  let [before, stoodMs] = [null, 0];
  while (position() !== undefined && !audio.paused && !audio.ended && stoodMs < STUCK_MS) {
    stoodMs = position() === before ? stoodMs + LOOK_MS : 0;
    before = position();
    await sleep(LOOK_MS);
  }
  await sleep(wasLive ? TURN_JITTER_MS * Math.random() : 0);
}

class Replay {
  live = false;
  counters = { seeks: 0 };

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

const HTML = `<section class="late record" aria-labelledby="record-title">
  <h2 id="record-title">The recording</h2>
  <p>This is the show as it was aired: nothing was cut, and nothing was rendered again.</p>
  <ul class="files"></ul>
  <details>
    <summary>How to check it</summary>
    <p>Every chunk that was aired stands in a chain of SHA-256 sums. Its head was published while the show ran, and its
    end is signed. Download a recording and its proof, then run:</p>
    <pre tabindex="0"></pre>
    <p class="chain"></p>
  </details>
</section>`;

/** A button and a proof for each file. */
function offer(base, { show, chain, chain_n: n }) {
  const root = append(HTML);
  for (const [label, file, rendition] of FILES) {
    const item = document.createElement("li");
    item.append(anchor(`${base}/${file}`, `${show}-${file}`, "button", label));
    item.append(anchor(`${base}/proof/${rendition}.json`, `${show}-${rendition}.json`, "proof", `Proof for ${rendition}`));
    root.querySelector("ul").append(item);
  }
  root.querySelector("pre").textContent = `stentor verify ${show}-replay.opus --proof ${show}-opus.json`;
  if (chain) root.querySelector(".chain").textContent = `The last head that was published: ${n}:${chain}`;
}

/** Turns the player to the recording. Whoever had stopped in the middle, `positionS` into the show, finds it there. */
export function replay(audio, base, now, positionS) {
  const lengthS = ((now.end_n - now.live_n) * now.chunk_ms) / 1000;
  const player = new Replay(audio, base);
  player.load(positionS < lengthS - AT_END_S ? positionS : 0);
  offer(base, now);
  return player;
}
