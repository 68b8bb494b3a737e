/** A wait in words. formats/waiting.py says the same to those without JavaScript; a test holds the two side by side. */

const [MINUTE_S, HOUR_S] = [60, 3_600];

export const OFFER = "Whoever is not let in can hear all of it as a recording, right after the end.";
export const DRAWN = "You have a place in the draw. It does not matter when you came: all who are in it have the same chance.";
export const AFTER_DRAW = "The draw is closed: you come after all who are in it, and before all who come after you.";
export const CLOSED = "Nobody new is let in at the moment. You keep your place.";
export const STANDS = "The line stands still for the moment.";

/** -> [figure, what follows it]. */
export function countWords(ahead) {
  if (ahead === 0) return ["Next", "Nobody is ahead of you."];
  const step = ahead < 100 ? 1 : 10 ** (String(ahead).length - 3 + (ahead < 1_000));
  const rounded = Math.floor((ahead + Math.floor(step / 2)) / step) * step;
  return [`${step > 1 ? "about " : ""}${rounded.toLocaleString("en")}`, "ahead of you"];
}

export function etaWords(range) {
  if (!range) return "How long it takes is not known yet.";
  const [unitS, unit] = range[1] > 2 * HOUR_S ? [HOUR_S, "hour"] : [MINUTE_S, "minute"];
  const [low, high] = [Math.floor(range[0] / unitS), Math.max(1, Math.ceil(range[1] / unitS))];
  const units = high === 1 ? unit : `${unit}s`;
  if (low === 0) return `It takes less than ${high === 1 && unit === "minute" ? "a minute" : `${high} ${units}`}.`;
  return low === high ? `It takes about ${high} ${units}.` : `It takes between ${low} and ${high} ${units}.`;
}

/** Of coming in before the end, as it is planned or `assumed`; "" where it is not known. */
export function chanceWords(chance, assumed = false) {
  const end = assumed ? "the end (90 minutes are assumed)" : "the end";
  if (chance === null) return "";
  if (chance >= 0.95) return `You come in before ${end}, as far as can be told.`;
  if (chance < 0.05) return `You will hardly come in before ${end}: fewer than 1 in 20 do from here.`;
  return `About ${Math.min(9, Math.max(1, Math.round(chance * 10)))} in 10 come in from here before ${end}.`;
}
