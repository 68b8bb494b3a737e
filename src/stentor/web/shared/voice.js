/** A microphone, its level, and a session with the studio that is made anew whenever it breaks. */

import { Refused } from "./api.js";
import { pause } from "./wait.js";
import { WhipSession } from "./whip.js";

const SILENCE_DBFS = -120;
const PATIENCE_MS = 2_500;
const BACKOFF_S = 0.25; // before the first try; twice as long before each that follows
const BACKOFF_S_MAX = 15;
const UNKNOWN_MAX = 4;
const SHORT_MS = 10_000;
const SHORT_MAX = 4; // sessions in a row that somebody else ended soon

const PROBLEMS = {
  NotAllowedError: "The browser does not let this page use the microphone. Allow it beside the address, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "The microphone is in use by another program, or does not answer.",
  OverconstrainedError: "That microphone is gone. Choose another.",
  AbortError: "The microphone did not start. Try again.",
};

/** Refusals that time mends. */
const LATER = {
  "no-show": "The stage opens with the doors, shortly before the show.",
  "stage-full": "All places on the stage are taken.",
};

/** A new link is known to the desk a moment before the studio: to it, "not known" is not the last word at first. */
function isFinal(error, failures) {
  return error instanceof Refused && !error.passing && (error.status !== 401 || failures > UNKNOWN_MAX);
}

/** Why no microphone can be asked for here, or "". */
export function obstacle() {
  if (!isSecureContext) return "Browsers give the microphone to https pages only (and to this computer itself). Open this link with https.";
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.RTCPeerConnection) return "This browser cannot send a microphone. Use a current Chrome, Firefox, Edge or Safari.";
  return "";
}

export class Voice extends EventTarget {
  #context = null;
  #meter = null;
  #samples = new Float32Array(2048);
  #session = null;
  #wanted = false;
  #rival = new BroadcastChannel("stentor-microphone");
  state = "off"; // off, ready, joining, joined, waiting, failed
  problem = "";
  track = null;

  /** `url`: the studio's WHIP endpoint. `audio`: element that plays the others. Event "change": `state`, `problem`, `track`. */
  constructor(url, token, audio) {
    super();
    Object.assign(this, { url, token, audio });
    this.#rival.addEventListener("message", ({ data }) => data === token && this.#giveWay());
    addEventListener("pagehide", () => this.leave());
    addEventListener("online", () => this.#anew());
    navigator.connection?.addEventListener("change", () => this.#anew());
  }

  /** Opens a microphone: `deviceId` "" for the browser's own choice, `clean` for echo cancellation and the like. */
  async open(deviceId, clean) {
    this.#close();
    const processing = { echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean };
    const chosen = deviceId ? { deviceId: { exact: deviceId } } : {};
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...chosen, ...processing, channelCount: 1 } });
      this.#take(stream);
    } catch (error) {
      this.#tell("off", PROBLEMS[error.name] ?? `The microphone did not start (${error.name}).`);
    }
  }

  #take(stream) {
    [this.track] = stream.getAudioTracks();
    this.track.addEventListener("ended", () => this.#lost());
    this.#context ??= new AudioContext();
    this.#context.resume();
    this.#meter = this.#context.createAnalyser();
    this.#meter.fftSize = this.#samples.length;
    this.#context.createMediaStreamSource(stream).connect(this.#meter);
    this.#session?.peer.getSenders()[0]?.replaceTrack(this.track);
    this.#tell(this.#wanted ? this.state : "ready");
  }

  #close() {
    this.track?.stop();
    this.track = null;
  }

  #lost() {
    this.leave();
    this.#tell("off", "The microphone was unplugged or taken away. Choose one, then join again.");
  }

  /** Peak of the last hundredths of a second, dBFS. */
  level() {
    if (!this.#meter || !this.track) return SILENCE_DBFS;
    this.#meter.getFloatTimeDomainData(this.#samples);
    const peak = this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    return Math.max(SILENCE_DBFS, 20 * Math.log10(peak));
  }

  /** Nothing of the microphone is sent while it is muted. */
  mute(muted) {
    if (this.track) this.track.enabled = !muted;
  }

  /** Until `leave`, or until the studio says a final no. */
  async join() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#rival.postMessage(this.token);
    for (let failures = 0, short = 0; this.#wanted; ) {
      const since = performance.now();
      const error = await this.#sit();
      if (!this.#wanted) return;
      failures = error ? failures + 1 : 0;
      if (isFinal(error, failures)) return this.#fail(error.message);
      short = !error && performance.now() - since < SHORT_MS ? short + 1 : 0;
      if (short > SHORT_MAX) return this.#fail("The connection is ended again and again: is this link open somewhere else?");
      this.#tell("waiting", LATER[error?.code] ?? error?.message ?? "The connection was lost.");
      await pause((error?.retryAfterS ?? 0) + (0.5 + Math.random() / 2) * Math.min(BACKOFF_S_MAX, BACKOFF_S * 2 ** failures), window, "online");
    }
  }

  leave() {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#anew();
    this.#tell(this.track ? "ready" : "off");
  }

  /** One session. -> what kept it from coming about, or null once it has been. */
  async #sit() {
    this.#tell("joining");
    const session = (this.#session = new WhipSession(this.url, this.token));
    try {
      await session.open(this.track, this.audio);
      if (this.#wanted) this.#tell("joined");
      await session.broken(PATIENCE_MS);
      return null;
    } catch (error) {
      return error;
    } finally {
      session.close();
    }
  }

  /** The network may have changed: a new session at once. */
  #anew() {
    this.#session?.close();
  }

  #giveWay() {
    if (!this.#wanted) return;
    this.leave();
    this.#tell(this.state, "You joined in another window of this browser, so this one let go.");
  }

  #fail(problem) {
    this.#wanted = false;
    this.#tell("failed", problem);
  }

  #tell(state, problem = "") {
    Object.assign(this, { state, problem });
    this.dispatchEvent(new Event("change"));
  }
}
