/** Clocks, and times in words. */

const STAMPS_MAX = 16;

/** Milliseconds of this page's own clock, which never steps. */
export const monotonicMs = () => performance.timeOrigin + performance.now();

/** The server's clock. A stamp can only arrive late (queued, cached): of the last few, the latest hour is the truest. */
export class Clock {
  #offsets = [];

  hear(serverMs) {
    this.#offsets = [...this.#offsets.slice(1 - STAMPS_MAX), serverMs - monotonicMs()];
  }

  /** Unix ms at the server; by this machine's clock until a stamp was heard. */
  now() {
    return this.#offsets.length ? monotonicMs() + Math.max(...this.#offsets) : Date.now();
  }
}

function parts(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
}

const two = (value) => String(value).padStart(2, "0");

/** 3725 -> "1:02:05", 65 -> "1:05". */
export function clockText(seconds) {
  const [h, m, s] = parts(seconds);
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** For ears: "1 hour 2 minutes". */
export function spokenTime(seconds) {
  const units = ["hour", "minute", "second"];
  const said = parts(seconds).map((count, at) => (count ? `${count} ${units[at]}${count === 1 ? "" : "s"}` : ""));
  return said.filter(Boolean).join(" ") || "0 seconds";
}

/** What is left: days apart while there are any. */
export function countdownText(seconds) {
  const days = Math.floor(seconds / 86_400);
  return (days > 0 ? `${days} d ` : "") + clockText(seconds % 86_400);
}

/** "20:00", with the day when it is not today, in the reader's zone and language. */
export function hourText(unixMs, nowMs) {
  const day = new Date(unixMs);
  const today = day.toDateString() === new Date(nowMs).toDateString();
  return day.toLocaleString(undefined, { dateStyle: today ? undefined : "full", timeStyle: "short" });
}
