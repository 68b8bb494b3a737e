/** What the page says: functions of the `now` object, the clock and what the player does. */

import { clockText, countdownText, hourText } from "../shared/time.js";

/** By phase: state of the lamp and its word. */
const LAMPS = {
  live: ["live", "On air"],
  held: ["hold", "Late"],
  open: ["hold", "Doors open"],
  drawn: ["hold", "Doors open"],
  ended: ["off", "Off air"],
  cancelled: ["off", "Cancelled"],
};

export const lampWords = (now) => (now.holding && now.phase === "live" ? ["hold", "On hold"] : LAMPS[now.phase] ?? ["off", "Stand by"]);

const startedMs = (now) => now.started_at_ms ?? now.starts_at_ms;

/** What awaits those who are not in yet. */
const GATES = {
  gathering: "Press play now to take part in the draw.",
  queue: "There is a line: press play to get in.",
  closed: "Nobody new is let in at the moment.",
};

function doorsWords(hour, playing, gate) {
  if (gate !== undefined) return `Starts ${hour}. ${gate}`;
  return playing ? `You hear hold audio. The show starts by itself: ${hour}.` : `Starts ${hour}. Press play now and it starts by itself.`;
}

/** The line under the title: when, or why not. `waits`: the waiting room says the rest. */
export function whenWords(now, nowMs, playing, waits) {
  const hour = hourText(now.starts_at_ms, nowMs);
  const because = now.reason ? `: ${now.reason}` : ".";
  const gate = waits ? "" : playing ? undefined : GATES[now.gate];
  const doors = doorsWords(hour, playing, gate);
  const lines = {
    announced: gate !== undefined ? doors : playing ? `Starts ${hour}. Leave this page open: the sound comes by itself.` : `Starts ${hour}.`,
    open: doors,
    drawn: doors,
    held: `The start is late${because}${playing ? " It comes by itself." : ""}`,
    live: now.holding ? "Nobody is speaking at the moment. The show goes on." : `On air since ${hourText(startedMs(now), nowMs)}. ${gate ?? ""}`,
    ended: now.replay ? "The show has ended. This is its recording." : "The show has ended. Its recording is about to be here.",
    cancelled: `This show was cancelled${because}`,
  };
  return lines[now.phase] ?? "";
}

/** -> [label, figure] of the big clock. `positionS`: into the show or its recording, if there is a playhead. */
export function clockWords(now, nowMs, positionS, replaying) {
  if (replaying) return ["Position", clockText(positionS)];
  if (now.phase === "live") {
    return positionS > 0 ? ["Into the show", clockText(positionS)] : ["On air for", clockText((nowMs - startedMs(now)) / 1000)];
  }
  if (!["announced", "open", "drawn"].includes(now.phase)) return ["", ""];
  const leftS = (now.starts_at_ms - nowMs) / 1000;
  return [leftS > 0 ? "Until the start" : "Any moment now", countdownText(Math.max(0, Math.ceil(leftS)))];
}

export function behindText(behindS) {
  if (behindS === null) return "";
  return `${behindS < 10 ? `${Math.max(0, behindS).toFixed(1)} s` : clockText(behindS)} behind live`;
}

/** What is wrong with the sound, told as it is; "" while nothing is. */
export function troubleWords({ state, reason, retryAtMs }) {
  if (!navigator.onLine) return "This device is offline. The sound comes back with the network.";
  if (state !== "waiting") return "";
  const seconds = Math.ceil((retryAtMs - Date.now()) / 1000);
  const reasons = { "edge-full": "Every place is taken.", "no-show": "The program is not there yet.", lost: "The connection was lost." };
  const said = reasons[reason] ?? (reason.startsWith("ticket") ? "The ticket was refused; getting a new one." : `The server answers with an error (${reason}).`);
  return seconds > 1 ? `${said} Next try in ${seconds} s.` : `${said} Trying again.`;
}
