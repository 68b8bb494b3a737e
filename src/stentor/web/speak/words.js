/** What a speaker's page says, from the desk's state and the microphone's. */

import { clockText, hourText } from "../shared/time.js";

const WAITING = new Set(["announced", "open", "drawn", "held"]);

/** -> [state of the light, its word, the sentence under it]. `joined`: the studio has this microphone. */
export function lightWords({ show, seat }, joined) {
  if (show.phase === "ended") return ["off", "Off air", "The show has ended. Thank you."];
  if (show.phase === "cancelled") return ["off", "Cancelled", "This show does not take place."];
  if (!joined) return ["off", "Not joined", seat.on_air ? "The crew waits for you: join with your microphone." : "Join, and the crew can hear you."];
  if (!seat.on_air) return ["off", "Backstage", "Crew and speakers hear you. The audience does not."];
  if (show.phase !== "live") return ["soon", "Stand by", "You are on air as soon as the show starts."];
  if (seat.muted) return ["muted", "Muted", "You are on air, but your microphone is muted."];
  return ["on", "On air", "Everybody hears you."];
}

/** The line under the title. */
export function whenWords(show, nowMs) {
  const leftS = (show.starts_at_ms - nowMs) / 1000;
  if (show.phase === "live") return `On air since ${hourText(show.starts_at_ms, nowMs)}.`;
  if (show.phase === "held") return "The start is late. The crew starts it by hand.";
  if (!WAITING.has(show.phase)) return "";
  return leftS > 0 ? `Starts ${hourText(show.starts_at_ms, nowMs)}, in ${clockText(leftS)}.` : "Starts any moment.";
}
