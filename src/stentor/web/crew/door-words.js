/** What the crew page says of door, line and ladder. */

import { countdownText, hourText } from "../shared/time.js";

const LINE_SILENT_MS = 5_000;

export const AUTO = -1;

/** The ladder from the bottom: [name, what it means to those who listen]. */
export const STEPS = [
  ["Full", "everything as planned"],
  ["Pairs", "sound two pieces at a time, a little later"],
  ["Fours", "four pieces at a time, later"],
  ["Low, new", "low bitrate too, for new listeners"],
  ["Low, all", "low bitrate too, for everybody"],
];

/** What can be asked for: full quality at least is no wish, for the measure gives up nothing without need. */
export const CHOICES = [[AUTO, "only what is measured"], ...STEPS.map(([name], at) => [at, `${at} ${name}`]).slice(1)];

export const CLOSING = "Nobody new comes in. Those who listen go on; those in line keep their place.";

const GATES = {
  free: ["good", "Open: everybody comes in at once."],
  gathering: ["wait", "Everybody gets a place. The draw says who comes first."],
  queue: ["wait", "In line: one comes in as there is room."],
  closed: ["shut", "Closed: nobody new comes in."],
};

const BEFORE_DOORS = ["announced"];
const OVER = ["ended", "cancelled"];

/** All who count against the cap: connected, or by HLS. */
export const seated = (edges) => edges.listeners + edges.hls_signed + edges.hls_estimated;

export function hlsWords({ hls_signed: signed, hls_estimated: estimated }) {
  const parts = [signed && `${signed.toLocaleString()} counted`, estimated && `about ${estimated.toLocaleString()} estimated`].filter(Boolean);
  return parts.length ? `(of these by HLS: ${parts.join(", ")})` : "";
}

/** Seats there are; 0 where nothing says. */
export function seats({ line, show, ladder }) {
  return line?.cap || show.cap || ladder?.capacity?.[ladder.rung ?? 0] || 0;
}

/** -> [state, sentence]; state is good, wait, shut or bad. */
export function gateWords({ show, line, age_ms: age }, nowMs) {
  if (OVER.includes(show.phase)) return ["shut", "The show is over."];
  if (BEFORE_DOORS.includes(show.phase)) return ["wait", `Doors open at ${hourText(show.opens_at_ms, nowMs)}.`];
  if (show.closed) return ["shut", "Closed by the crew: nobody new comes in."];
  if (!line) return ["good", "Open: no line is kept, everybody comes in."];
  if (age?.line > LINE_SILENT_MS) return ["bad", "The usher is silent: the door goes on by the last mark it knows."];
  const [kind, said] = GATES[line.gate ?? "free"];
  return [kind, line.reason ? `${said} ${line.reason}` : said];
}

/** What else is good to know about the door, a sentence each. */
export function notes({ show, line, doors, revoked = show.revoked }, nowMs) {
  const drawn = Boolean(line?.key);
  const leftS = Math.ceil((show.draws_at_ms - nowMs) / 1000);
  return [
    show.draws_at_ms && leftS > 0 ? `Draw in ${countdownText(leftS)}, at ${hourText(show.draws_at_ms, nowMs)}.` : "",
    drawn ? `${(line.places ?? 0).toLocaleString()} places were drawn.` : "",
    show.beacon ? `Beacon ${show.beacon_name}: ${show.beacon}` : "",
    doors?.shed ? `${doors.shed.toLocaleString()} were asked to come back in a moment.` : "",
    revokedWords(revoked),
  ].filter(Boolean);
}

function revokedWords({ keys = [], classes = [], seqs = [] } = {}) {
  const parts = [
    ...keys.map((key) => `key ${key}`),
    ...classes.map((name) => `class ${name}`),
    ...seqs.map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`)),
  ];
  const more = parts.length > 4 ? ` and ${parts.length - 4} more` : "";
  return parts.length ? `Void tickets: ${parts.slice(0, 4).join(", ")}${more}.` : "";
}

/** Whether the draw still takes up the value of its beacon. */
export function beaconWanted({ show, line }) {
  return Boolean(show.beacon_name) && !show.beacon && !line?.key && !OVER.includes(show.phase);
}

export function ladderWords({ show, ladder }) {
  const rung = ladder?.rung ?? 0;
  if (show.rung > rung) return `On the way to step ${show.rung}, ${STEPS[show.rung][0]}, as asked for.`;
  return ladder?.reason ?? "";
}

/** -> [title, detail, yes] to ask before the cap is set. */
export function capQuestion(cap, listeners) {
  const now = `${listeners.toLocaleString()} listen now.`;
  if (!cap) return ["No limit of yours?", `${now} As many come in as the machine carries.`, "No limit"];
  const after = listeners > cap ? "Nobody is cut off; others come in only when fewer listen." : "Others wait once that is reached. Nobody is cut off.";
  return [`Go on with ${cap.toLocaleString()} listeners?`, `${now} ${after}`, `Go on with ${cap.toLocaleString()}`];
}

/** -> [title, detail] to ask before a step is set by hand. */
export function rungQuestion(rung) {
  if (rung === AUTO) return ["Leave quality to what is measured?", "Quality is given up only when it must be, and given back when it can."];
  const [name, what] = STEPS[rung];
  return [`${name}, at least?`, `For listeners: ${what}. It stays so until you choose again. Nobody is cut off, and no sound is lost.`];
}
