/** What was done, by whom and when. Asked for anew whenever something was. */

import { fill, find, text } from "../shared/dom.js";

const AGAIN_MS = 2_000;
const ROW = `<li><time></time> <span class="log-said"></span> <span class="log-who soft"></span></li>`;

export class Log {
  #revision = -1;
  #asking = false;
  #notBefore = 0;

  constructor(desk) {
    this.desk = desk;
  }

  /** `revision` of the desk: the log is fetched when it is another than that of the last answer. */
  async draw(revision, nowMs) {
    if (revision === this.#revision || this.#asking || performance.now() < this.#notBefore) return;
    this.#asking = true;
    this.#notBefore = performance.now() + AGAIN_MS;
    try {
      const { actions = [] } = await this.desk.ask("actions");
      this.#revision = revision;
      this.#show(actions, nowMs);
    } catch {
      // It is asked again with one of the next states; that the desk is away is said elsewhere.
    } finally {
      this.#asking = false;
    }
  }

  #show(actions, nowMs) {
    find("#log-empty").hidden = actions.length > 0;
    fill("#log", actions, ROW, (action, row) => {
      const at = new Date(action.at_ms);
      const today = at.toDateString() === new Date(nowMs).toDateString();
      const time = find("time", row);
      time.dateTime = at.toISOString();
      text(time, at.toLocaleString(undefined, { dateStyle: today ? undefined : "short", timeStyle: "medium" }));
      text(find(".log-said", row), action.said);
      text(find(".log-who", row), action.who);
    });
  }
}
