/** The shield: crowd or attack, what it rests on, who is shut out until when, and the few controls over it. */

import { attribute, fill, find, made, text } from "../shared/dom.js";
import * as words from "./shield-words.js";

const ROW = `<li class="rule">
  <p class="rule-what"></p>
  <p class="rule-how soft"></p>
  <p class="rule-why soft"></p>
  <button type="button" class="button">Release</button>
</li>`;

export class Shield {
  #state = null;
  #rows = new Map();

  /** `order` and `sure` as for the door. */
  constructor(order, sure) {
    this.order = order;
    this.sure = (title, detail, yes) => sure(title, detail, yes, "No, leave it");
    find("#dry-run").addEventListener("click", () => this.#press("dry-run", "dry_run"));
    find("#siege").addEventListener("click", () => this.#press("siege", "siege"));
    find("#rules").addEventListener("click", ({ target }) => target.matches("button") && this.#release(target.closest("li").dataset.target));
  }

  draw(state, nowMs) {
    this.#state = state;
    const { shield, rules = [], show } = state;
    const [kind, said] = words.verdictWords(state, nowMs);
    attribute(find("#verdict"), "data-state", kind);
    text(find("#verdict"), said);
    text(find("#shield-level"), shield ? words.levelWords(shield) : "");
    fill("#evidence", words.evidence(shield), "<li></li>", (line, row) => text(row, line));
    fill("#shield-notes", words.notes(state), "<li></li>", (line, row) => text(row, line));
    this.#drawRules(rules, nowMs);
    text(find("#rules-count"), shield?.rules ? shield.rules.toLocaleString() : "");
    text(find("#rules-rest"), words.restWords(rules.length, shield?.rules ?? 0));
    find("#rules-part").hidden = !rules.length;
    attribute(find("#dry-run"), "aria-pressed", String(Boolean(show.dry_run)));
    attribute(find("#siege"), "aria-pressed", String(Boolean(show.siege)));
  }

  /** A row stays its rule's own, so that nobody presses on one and releases another. */
  #drawRules(rules, nowMs) {
    for (const [id, row] of this.#rows) if (!rules.some((rule) => rule.id === id)) (row.remove(), this.#rows.delete(id));
    for (const rule of rules) this.#drawRule(rule, nowMs);
  }

  #drawRule(rule, nowMs) {
    const row = this.#rows.get(rule.id) ?? made(ROW);
    if (!row.isConnected) (find("#rules").append(row), this.#rows.set(rule.id, row));
    const [what, how, why] = words.ruleWords(rule, nowMs);
    attribute(row, "data-target", rule.target);
    attribute(row, "data-enforced", String(Boolean(rule.enforced_ms && !rule.spared)));
    text(find(".rule-what", row), what);
    text(find(".rule-how", row), how);
    text(find(".rule-why", row), why);
    attribute(find("button", row), "aria-label", `Release: ${rule.target}`);
  }

  async #press(path, name) {
    const on = !this.#state.show[name];
    const asked = words.question(name, on);
    if (!asked || (await this.sure(...asked))) await this.order(path, { [name]: on });
  }

  #release(target) {
    return this.order("release", { target });
  }
}
