/** What the crew page says of the shield: the verdict, what it rests on, what is done, and what is asked before. */

import { hourText } from "../shared/time.js";

const SILENT_MS = 3_000;

const VERDICTS = {
  calm: ["good", "Calm."],
  crowd: ["wait", "A crowd: very many come at once. A crowd alone shuts nobody out."],
  undecided: ["wait", "Not clear yet whether this is a crowd or an attack."],
  attack: ["bad", "This looks like an attack."],
};

export const LEVELS = ["open", "crowd", "doubt", "attack", "siege"];

const ACTIONS = { limit: "Limits new connections of", drop: "Shuts out" };

const count = (value, one, more) => `${value.toLocaleString()} ${value === 1 ? one : more}`;

/** -> [state, sentence]. */
export function verdictWords({ shield, age_ms: age }, nowMs) {
  if (!shield) return ["shut", "Nobody judges: the usher has not said anything of it."];
  if (age?.shield > SILENT_MS) return ["bad", "The usher is silent: rules run out by themselves, tickets still work."];
  const [state, said] = VERDICTS[shield.verdict ?? "calm"];
  return [state, state === "good" || !shield.since_ms ? said : `${said} Since ${hourText(shield.since_ms, nowMs)}.`];
}

export const levelWords = ({ level = 0 }) => `level ${level}, ${LEVELS[level]}`;

/** The evidence, a sentence each. */
export const evidence = (shield) => (shield?.signals ?? []).map(({ words }) => words);

function dropWords(by = "") {
  if (by === "kernel") return "The kernel drops whom a rule shuts out; it costs this machine next to nothing.";
  const [who, why] = by.split(/:\s*/, 2);
  if (who === "workers") return `Door and edges refuse whom a rule shuts out; the kernel does not help${why ? `: ${why}` : ""}.`;
  return by ? `Nobody is shut out before the door. ${by.replace(/^nobody:\s*/, "Why: ")}` : "";
}

function siegeWords(shield, show) {
  if (shield.siege || show.siege) return "Siege: only tickets and those who come back are let in.";
  if (LEVELS[shield.level ?? 0] !== "siege" || shield.dry_run || show.dry_run) return "";
  return "Siege, for the door has no time left in this attack: only tickets and those who come back are let in.";
}

/** What is done, and how far it is to be trusted, a sentence each. */
export function notes({ shield, show }) {
  if (!shield) return [];
  const { joins = 0, sources = 0, completed = 0, share = 0 } = shield;
  return [
    joins ? `In 10 s: ${count(joins, "join", "joins")} asked for by about ${count(sources, "source", "sources")}; ${completed.toLocaleString()} played.` : "",
    shield.challenge ? "Who comes without ticket or place solves a task first, but from addresses that are known to behave." : "",
    share ? `A source without a ticket may join ${count(share, "time", "times")} in 10 s, unless it is known to behave.` : "",
    siegeWords(shield, show),
    shield.dry_run || show.dry_run ? "Dry run: rules are made and written down, nobody is shut out." : "",
    dropWords(shield.drops_by),
    shield.error ? `In rehearsal: ${shield.error}.` : "",
  ].filter(Boolean);
}

/** -> [title, detail] of a rule. */
export function ruleWords(rule, nowMs) {
  const how = rule.spared ? "Not enforced" : rule.enforced_ms ? `In force until ${hourText(rule.until_ms, nowMs)}` : "Watched, not enforced yet";
  const hits = rule.hits ? `${count(rule.hits, "event", "events")} in 10 s` : "";
  return [`${ACTIONS[rule.action]} ${rule.target}`, [rule.spared ? `${how}: ${rule.spared}` : how, hits].filter(Boolean).join("; "), rule.why ?? ""];
}

export function restWords(shown, total) {
  return total > shown ? `Here are those with most events, of ${total.toLocaleString()} in force.` : "";
}

/** -> [title, detail, yes] before a switch is thrown; null where nothing can be lost by it. */
export function question(name, on) {
  const asked = {
    "dry_run true": ["Stop enforcing rules?", "Rules go on being made and written down, but nobody is shut out by them. An attack gets through.", "Dry run"],
    "dry_run false": ["Enforce rules again?", "Who is under a rule is shut out until it ends.", "Enforce them"],
    "siege true": ["Let in only who has a ticket?", "Tickets and those who come back get in; everybody else sees a plain page. Those who listen go on.", "Begin the siege"],
  };
  return asked[`${name} ${on}`] ?? null;
}
