/** A level in dBFS as a bar. It moves often, what it tells screen readers seldom. */

import { attribute, made } from "./dom.js";

const FLOOR_DBFS = -60;
const FALL_DB = 2;
const SAY_MS = 1_000;

export class Meter {
  #shown = FLOOR_DBFS;
  #saidAt = 0;

  /** `label`: whose level it is. The element is `root`. */
  constructor(label) {
    this.root = made(`<div class="meter" role="meter" aria-valuemin="${FLOOR_DBFS}" aria-valuemax="0"><div class="meter-bar"></div></div>`);
    this.bar = this.root.firstElementChild;
    attribute(this.root, "aria-label", label);
    this.set(FLOOR_DBFS);
  }

  /** Rises at once, falls slowly. */
  set(dbfs) {
    const level = Math.min(0, Math.max(FLOOR_DBFS, dbfs));
    this.#shown = Math.max(level, this.#shown - FALL_DB);
    this.bar.style.setProperty("--level", String(1 - this.#shown / FLOOR_DBFS));
    if (performance.now() - this.#saidAt > SAY_MS) this.#say(level);
  }

  #say(level) {
    this.#saidAt = performance.now();
    attribute(this.root, "aria-valuenow", String(Math.round(level)));
    attribute(this.root, "aria-valuetext", level > FLOOR_DBFS ? `${Math.round(level)} decibels` : "silent");
  }
}
