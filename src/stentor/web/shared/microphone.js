/** A microphone on a page: choice, level, join, mute, leave. Fills an element that holds the markup of speak/index.html. */

import { Voice } from "./whip.js";

const PROCESSING = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const METER_FLOOR_DB = -60;

const WHY = {
  NotAllowedError: "The browser was not allowed to use the microphone. Allow it in the address bar, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "The microphone is in use by another program.",
};

/** 0..1 of a level in dBFS, for meters. */
export const meterPart = (dbfs) => Math.max(0, Math.min(1, 1 - dbfs / METER_FLOOR_DB));

export class Microphone {
  #stream = null;
  #voice = null;
  #analyser = null;
  #muted = false;

  /** `where()` gives {endpoint, token}; `onMuted(muted)` is told what the speaker pressed. */
  constructor(root, where, onMuted) {
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    Object.assign(this, { where, onMuted });
    this.part("join").addEventListener("click", () => (this.#voice ? this.leave() : this.join()));
    this.part("mute").addEventListener("click", () => this.onMuted(!this.#muted));
    this.part("device").addEventListener("change", () => this.#open().catch((error) => this.#explain(error)));
  }

  /** Ask for the microphone and show its level, before anybody can hear it. */
  async prepare() {
    if (!navigator.mediaDevices?.getUserMedia) {
      this.say("A browser gives a microphone only to pages on https or on this machine itself.", true);
      return;
    }
    await this.#open().catch((error) => this.#explain(error));
  }

  async join() {
    if (!this.#stream) await this.prepare();
    if (!this.#stream) return;
    const [track] = this.#stream.getAudioTracks();
    const { endpoint, token } = this.where();
    const told = (state, reason) => this.#tell(state, reason);
    this.#voice = new Voice({ endpoint, token, track, onState: told, onProgram: (stream) => this.#hear(stream) });
    this.#applyMute();
    await this.#voice.run();
  }

  leave() {
    this.#voice?.stop();
    this.#voice = null;
    this.#tell("left", "You have left the stage.");
  }

  /** What the desk says of this seat. */
  setMuted(muted) {
    this.#muted = muted;
    this.part("mute").setAttribute("aria-pressed", String(muted));
    this.part("mute").textContent = muted ? "Unmute" : "Mute";
    this.#applyMute();
  }

  say(text, trouble = false) {
    this.part("says").textContent = text;
    this.part("says").dataset.trouble = String(trouble);
  }

  /** Silence leaves the machine at once, whatever the network does. */
  #applyMute() {
    this.#stream?.getAudioTracks().forEach((track) => (track.enabled = !this.#muted));
  }

  async #open() {
    const chosen = this.part("device").value;
    const audio = chosen ? { ...PROCESSING, deviceId: { exact: chosen } } : PROCESSING;
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = stream;
    this.#voice?.setTrack(stream.getAudioTracks()[0]);
    this.#applyMute();
    this.#measure(stream);
    await this.#list(stream);
    this.say(this.#voice ? "" : "Speak: the meter should move. Nobody hears you yet.");
  }

  #explain(error) {
    this.say(WHY[error.name] ?? `The microphone cannot be used: ${error.message}`, true);
  }

  async #list(stream) {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput");
    const inUse = stream.getAudioTracks()[0].getSettings().deviceId;
    const options = devices.map(({ deviceId, label }, at) => new Option(label || `Microphone ${at + 1}`, deviceId));
    this.part("device").replaceChildren(...options);
    this.part("device").value = inUse;
  }

  #measure(stream) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 2048;
    context.createMediaStreamSource(stream).connect(analyser);
    const first = !this.#analyser;
    this.#analyser = analyser;
    if (first) this.#drawLevel(new Float32Array(analyser.fftSize));
  }

  #drawLevel(samples) {
    this.#analyser.getFloatTimeDomainData(samples);
    const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.part("level").value = this.#muted ? 0 : meterPart(20 * Math.log10(peak + 1e-6));
    requestAnimationFrame(() => this.#drawLevel(samples));
  }

  #hear(stream) {
    const audio = this.part("program");
    audio.srcObject = stream;
    audio.play().catch(() => this.say("Press anywhere to hear the others.", true));
    addEventListener("pointerdown", () => audio.play().catch(() => {}), { once: true });
  }

  #tell(state, reason) {
    const connected = state === "connected";
    const words = { connecting: "Connecting…", connected: "Connected. You hear the program without your own voice." };
    if (state === "refused") this.#voice = null;
    this.part("join").textContent = this.#voice ? "Leave" : "Join";
    this.part("mute").hidden = !this.#voice;
    document.body.dataset.stage = state;
    this.say(words[state] ?? reason, !connected && state !== "connecting" && state !== "left");
  }
}
