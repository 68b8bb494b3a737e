/** One session of a microphone with the studio: WHIP (RFC 9725) without trickle, the mix of all others coming back. */

import { Refused, refusal } from "./api.js";
import { pause } from "./wait.js";

const GATHER_MS = 1_000;
const ANSWER_MS = 8_000;
const CONNECT_MS = 8_000;
const RELAYS_MS = 2_000;
const LOOK_MS = 100;
const SILENCE_MS = 1_200; // the studio sends 50 packets a second; ICE itself takes many seconds to see that a network is gone
const ICE_SERVER = /<(turns?:[^<>\s]+|stuns?:[^<>\s]+)>((?:\s*;\s*[a-z-]+="[^"]*")*)/g;

/** The ICE servers in a Link header (RFC 9725 section 4.6). */
export function iceServers(header) {
  return [...(header ?? "").matchAll(ICE_SERVER)]
    .map(([, urls, rest]) => ({ urls, ...Object.fromEntries([...rest.matchAll(/([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])) }))
    .filter(({ rel }) => rel === "ice-server")
    .map(({ urls, username, credential }) => ({ urls, username, credential }));
}

function gathered(peer) {
  return new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") resolve();
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER_MS); // what was found by then will do
  });
}

function connected(peer) {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error("The studio cannot be reached from this network."));
    const timer = setTimeout(failed, CONNECT_MS);
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "connecting") return;
      clearTimeout(timer);
      if (peer.connectionState === "connected") resolve();
      else failed();
    });
  });
}

export class WhipSession {
  #location = "";

  /** `url`: where offers are posted. `token`: whose microphone it is. */
  constructor(url, token) {
    Object.assign(this, { url, headers: { Authorization: `Bearer ${token}` } });
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  }

  /** Sends `track`, plays what comes back in `audio`. Resolves when sound flows; throws `Refused`, or an error that may pass. */
  async open(track, audio) {
    this.peer.addTrack(track, new MediaStream([track]));
    this.peer.addEventListener("track", (event) => {
      audio.srcObject = new MediaStream([event.track]);
      audio.play().catch(() => {}); // whoever joined has clicked
    });
    this.peer.setConfiguration({ ...this.peer.getConfiguration(), iceServers: await this.#relays() });
    await this.peer.setLocalDescription(await this.peer.createOffer());
    await gathered(this.peer);
    const sdp = await this.#post(this.peer.localDescription.sdp);
    const ready = connected(this.peer);
    await this.peer.setRemoteDescription({ type: "answer", sdp });
    await ready;
  }

  /** Resolves when this session is of no more use: failed, closed, without connection for `patienceMs`, or without packets. */
  broken(patienceMs) {
    return new Promise((resolve) => {
      let timer = 0;
      const look = () => {
        clearTimeout(timer);
        const state = this.peer.connectionState;
        if (state === "failed" || state === "closed") resolve();
        if (state === "disconnected") timer = setTimeout(resolve, patienceMs);
      };
      this.peer.addEventListener("connectionstatechange", look);
      look();
      this.#silent().then(resolve);
    });
  }

  /** Resolves when nothing has come for a while, as after a change of network, or when the session is closed. */
  async #silent() {
    for (let count = -1, since = performance.now(); this.peer.connectionState !== "closed" && performance.now() - since < SILENCE_MS; ) {
      const received = await this.#received();
      if (received !== count) [count, since] = [received, performance.now()];
      await pause(LOOK_MS / 1_000);
    }
  }

  async #received() {
    const reports = [...(await this.peer.getStats()).values()];
    return reports.find(({ type }) => type === "inbound-rtp")?.packetsReceived ?? 0;
  }

  /** Ends it here and at the studio; also while the page is being left. */
  close() {
    this.peer.close();
    this.peer.dispatchEvent(new Event("connectionstatechange")); // closing fires none
    if (this.#location) fetch(this.#location, { method: "DELETE", headers: this.headers, keepalive: true }).catch(() => {});
    this.#location = "";
  }

  /** Relays for who cannot be reached directly. Without an answer, none: most can. */
  async #relays() {
    try {
      const response = await fetch(this.url, { method: "OPTIONS", headers: this.headers, signal: AbortSignal.timeout(RELAYS_MS) });
      return iceServers(response.headers.get("Link"));
    } catch {
      return [];
    }
  }

  async #post(offer) {
    const headers = { ...this.headers, "Content-Type": "application/sdp" };
    const response = await fetch(this.url, { method: "POST", headers, body: offer, signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok) throw Object.assign(await refusal(response), { retryAfterS: Number(response.headers.get("Retry-After")) || 0 });
    const location = response.headers.get("Location");
    if (!location) throw new Refused(response.status, { title: "The studio gave no session." });
    this.#location = new URL(location, this.url).href;
    return response.text();
  }
}
