/** What the crew page says of the show, and which buttons make sense. */

import { clockText, countdownText, hourText } from "../shared/time.js";

const LAMPS = {
  live: ["live", "On air"],
  held: ["hold", "Held"],
  open: ["hold", "Doors open"],
  drawn: ["hold", "Doors open"],
  ended: ["off", "Ended"],
  cancelled: ["off", "Cancelled"],
};

const BEFORE = ["announced", "open", "drawn"];

export const lampWords = (phase) => LAMPS[phase] ?? ["off", "Announced"];

/** Which wishes can still be had; as in the table of the show's life. */
export function wishes(phase) {
  const before = BEFORE.includes(phase);
  return { go: before || phase === "held", hold: before, end: before || phase === "held" || phase === "live" };
}

/** -> [label, figure] of the clock. */
export function clockWords({ show, stage }, nowMs) {
  const [started, ended] = [stage?.started_at_ms || show.starts_at_ms, stage?.ended_at_ms || nowMs];
  if (show.phase === "live" || show.phase === "ended") return ["On air for", clockText((ended - started) / 1000)];
  if (show.phase === "cancelled") return ["", ""];
  const leftS = (show.starts_at_ms - nowMs) / 1000;
  return leftS > 0 ? ["Until the start", countdownText(Math.ceil(leftS))] : ["Late by", clockText(-leftS)];
}

export function whenWords(show, nowMs) {
  const hour = hourText(show.starts_at_ms, nowMs);
  if (show.phase === "held" && show.reason) return `Promised for ${hour}. Held: ${show.reason}`;
  return BEFORE.includes(show.phase) ? `Promised for ${hour}. It goes live by itself.` : `Promised for ${hour}.`;
}

/** How a seat is doing. `speaker`: as the stage has it, undefined if it is not connected. */
export function seatWords(seat, speaker) {
  if (!speaker) return "not connected";
  const { stopped_ms: stopped = 0, lost = 0, received = 0, jitter_ms: jitter = 0 } = speaker;
  if (stopped > 1_000) return `nothing heard for ${Math.round(stopped / 1000)} s`;
  const share = received + lost ? Math.round((1000 * lost) / (received + lost)) / 10 : 0;
  return [seat.muted ? "muted" : "connected", share >= 0.5 ? `${share} % lost` : "", jitter > 60 ? `${jitter} ms jitter` : ""].filter(Boolean).join(", ");
}
