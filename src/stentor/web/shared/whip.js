/** A voice to the stage: WHIP (RFC 9725) without trickle, kept up by itself. A new connection takes the seat's place. */

const GATHER_MS_MAX = 1_000;
const CONNECT_MS_MAX = 8_000;
const RETRY_MS_MIN = 400;
const RETRY_MS_MAX = 8_000;
const LOST_MS_MAX = 1_500; // "disconnected" may mend itself; for so long it is given the chance

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** `onState`: "connecting" | "connected" | "lost" | "refused" with a reason; `onProgram`: the MediaStream to hear. */
export class Voice {
  #peer = null;
  #session = "";
  #stopped = false;
  #broken = () => {};

  constructor({ endpoint, token, track, onState, onProgram }) {
    Object.assign(this, { endpoint, token, track, onState, onProgram });
    addEventListener("pagehide", () => this.stop());
    addEventListener("online", () => this.#broken());
    navigator.connection?.addEventListener?.("change", () => this.#broken());
  }

  /** Speak until `stop()`, through every loss; ends early only if the stage will not have us. */
  async run() {
    for (let wait = RETRY_MS_MIN; !this.#stopped; wait = Math.min(wait * 2, RETRY_MS_MAX)) {
      try {
        this.onState("connecting", "");
        await this.#connect();
        wait = RETRY_MS_MIN;
        this.onState("connected", "");
        await new Promise((done) => (this.#broken = done));
        if (!this.#stopped) this.onState("lost", "The connection was lost; connecting again.");
      } catch (error) {
        if (error.final) return this.#end("refused", error.message);
        this.onState("lost", error.message);
      }
      this.#close();
      if (!this.#stopped) await sleep(wait * (0.8 + 0.4 * Math.random()));
    }
    return undefined;
  }

  setTrack(track) {
    this.track = track;
    this.#peer?.getSenders().forEach((sender) => sender.replaceTrack(track));
  }

  /** Leave. The DELETE is sent even while the page goes away. */
  stop() {
    this.#stopped = true;
    if (this.#session) {
      fetch(this.#session, { method: "DELETE", keepalive: true, headers: { Authorization: `Bearer ${this.token}` } })
        .catch(() => {});
    }
    this.#session = "";
    this.#close();
    this.#broken();
  }

  #end(state, reason) {
    this.#close();
    this.onState(state, reason);
  }

  #close() {
    this.#peer?.close();
    this.#peer = null;
  }

  async #connect() {
    const peer = (this.#peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    peer.ontrack = (event) => this.onProgram(new MediaStream([event.track]));
    peer.addTransceiver(this.track, { direction: "sendrecv" });
    await peer.setLocalDescription(await peer.createOffer());
    await Promise.race([this.#when(peer, "icegatheringstate", "iceGatheringState", "complete"), sleep(GATHER_MS_MAX)]);
    await peer.setRemoteDescription({ type: "answer", sdp: await this.#post(peer.localDescription.sdp) });
    const late = sleep(CONNECT_MS_MAX).then(() => Promise.reject(new Error("The stage cannot be reached.")));
    await Promise.race([this.#when(peer, "connectionstate", "connectionState", "connected"), late]);
    peer.onconnectionstatechange = () => this.#watch(peer);
  }

  #when(peer, event, property, value) {
    return new Promise((done) => {
      const look = () => peer[property] === value && done();
      peer.addEventListener(`${event}change`, look);
      look();
    });
  }

  async #watch(peer) {
    if (peer.connectionState === "disconnected") await sleep(LOST_MS_MAX);
    if (peer === this.#peer && peer.connectionState !== "connected") this.#broken();
  }

  async #post(sdp) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/sdp" };
    const response = await fetch(this.endpoint, { method: "POST", headers, body: sdp }).catch(() => {
      throw new Error("The stage cannot be reached.");
    });
    if (response.ok) {
      this.#session = new URL(response.headers.get("Location"), this.endpoint).href;
      return response.text();
    }
    const problem = await response.json().catch(() => ({}));
    const error = new Error(problem.title ?? `The stage answered ${response.status}.`);
    error.final = response.status < 500;
    throw error;
  }
}
