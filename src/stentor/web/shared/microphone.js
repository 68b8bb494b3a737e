/** The panel of one's own microphone, the same for crew and speakers. */

import { attribute, find, made, text } from "./dom.js";
import { Meter } from "./meter.js";
import { obstacle, Voice } from "./voice.js";

const LEVEL_MS = 50;
const QUIET_DBFS = -50;
const QUIET_MS = 6_000;

const HTML = `<section class="mic" aria-labelledby="mic-title">
  <h2 id="mic-title">Your microphone</h2>
  <p class="mic-hint">Nobody hears you before you join. Wear headphones if you can.</p>
  <button type="button" class="button strong mic-open">Use the microphone</button>
  <div class="mic-set" hidden>
    <label class="field">Microphone <select class="mic-choice"></select></label>
    <div class="mic-level"></div>
    <label class="tick"><input type="checkbox" class="mic-clean" checked> Reduce echo and noise</label>
  </div>
  <p class="mic-keys" hidden>
    <button type="button" class="button strong mic-join">Join</button>
    <button type="button" class="button mic-mute" aria-pressed="false">Mute</button>
    <button type="button" class="button mic-leave">Leave</button>
  </p>
  <p class="mic-state" role="status"></p>
  <audio class="mic-others"></audio>
</section>`;

const STATES = {
  off: "",
  ready: "You can join now.",
  joining: "Joining…",
  joined: "You are connected and hear the others.",
  waiting: "It is tried again by itself.",
  failed: "",
};

export class Microphone extends EventTarget {
  #muted = false;
  #revision = 0;
  #loudAt = performance.now();

  /** `url`: the studio's WHIP endpoint. `setMuted(muted)`: tells the desk, -> {revision} or undefined. Event "change": `voice.state` is another. */
  constructor(url, token, setMuted) {
    super();
    this.root = made(HTML);
    this.setMuted = setMuted;
    this.meter = new Meter("Level of your microphone");
    this.part(".mic-level").append(this.meter.root);
    this.voice = new Voice(url, token, this.part(".mic-others"));
    this.voice.addEventListener("change", () => this.#draw());
    this.#connect();
    this.#draw(obstacle());
    setInterval(() => this.#listen(), LEVEL_MS);
  }

  part(selector) {
    return find(selector, this.root);
  }

  get joined() {
    return this.voice.state === "joined";
  }

  /** What the desk says of this seat, as of `revision`. Older than our own order, it does not count. */
  receiveMuted(muted, revision) {
    if (revision >= this.#revision) this.#mute(muted);
  }

  #mute(muted) {
    this.#muted = muted;
    this.voice.mute(muted);
    attribute(this.part(".mic-mute"), "aria-pressed", String(muted));
    text(this.part(".mic-mute"), muted ? "Unmute" : "Mute");
  }

  #connect() {
    const on = (selector, event, act) => this.part(selector).addEventListener(event, act);
    const open = () => this.#open();
    on(".mic-open", "click", open);
    on(".mic-choice", "change", open);
    on(".mic-clean", "change", open);
    on(".mic-join", "click", () => this.voice.join());
    on(".mic-leave", "click", () => this.voice.leave());
    on(".mic-mute", "click", () => this.#toggleMute());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.voice.track && this.#list());
  }

  async #open() {
    await this.voice.open(this.part(".mic-choice").value, this.part(".mic-clean").checked);
    this.voice.mute(this.#muted);
    this.#loudAt = performance.now();
    if (this.voice.track) await this.#list();
  }

  /** Names of microphones are told only once one is open. */
  async #list() {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput");
    const chosen = this.voice.track.getSettings().deviceId;
    const options = devices.map(({ deviceId, label }) => new Option(label || "Microphone", deviceId, false, deviceId === chosen));
    this.part(".mic-choice").replaceChildren(...options);
  }

  /** At once here, so that nothing is said that was not meant to be; then at the desk. */
  async #toggleMute() {
    this.#revision = Infinity;
    this.#mute(!this.#muted);
    this.#revision = (await this.setMuted(this.#muted))?.revision ?? Infinity; // unheard: our own word stands
  }

  #listen() {
    const level = this.voice.level();
    this.meter.set(level);
    if (level > QUIET_DBFS || this.#muted) this.#loudAt = performance.now();
    const quiet = this.voice.track !== null && performance.now() - this.#loudAt > QUIET_MS;
    text(this.part(".mic-hint"), quiet ? "This microphone is silent. Is it the right one, and switched on?" : "Nobody hears you before you join. Wear headphones if you can.");
    this.part(".mic-hint").hidden = this.joined && !quiet;
  }

  #draw(problem = this.voice.problem) {
    const { state, track } = this.voice;
    const inside = ["joining", "joined", "waiting"].includes(state);
    this.part(".mic-open").hidden = track !== null || Boolean(obstacle());
    this.part(".mic-set").hidden = track === null;
    this.part(".mic-keys").hidden = track === null;
    this.part(".mic-join").hidden = inside;
    for (const selector of [".mic-mute", ".mic-leave"]) this.part(selector).hidden = !inside;
    attribute(this.part(".mic-state"), "data-kind", problem ? "trouble" : "");
    text(this.part(".mic-state"), [problem, STATES[state]].filter(Boolean).join(" "));
    this.dispatchEvent(new Event("change"));
  }
}

/** Where the studio takes offers: its own port, or this page's origin. */
export function studioUrl(port) {
  const origin = port ? `${location.protocol}//${location.hostname}:${port}` : location.origin;
  return `${origin}/stage/whip`;
}
