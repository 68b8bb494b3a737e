/** What this page knows of its own playing, for people who ask. */

import { append } from "./append.js";

const HTML = `<details class="late figures">
  <summary>Figures of this connection</summary>
  <dl></dl>
  <p hidden><label><input type="checkbox"> Less delay on this device (turns AirPlay off, from the next visit)</label></p>
  <p><a href="#">Listen in another player (MP3)</a></p>
</details>`;

const seconds = (ms) => (ms === null ? "not known" : `${(ms / 1000).toFixed(2)} s`);

function rows(stats) {
  return [
    ["Behind live", seconds(stats.behind_ms)],
    ["Received", `${(stats.bytes / 1e6).toFixed(2)} MB`],
    ["Newest chunk", String(stats.n)],
    ["Stalls", String(stats.stalls)],
    ["Skips", String(stats.skips)],
    ["Corrections", String(stats.seeks + stats.rate_changes)],
  ];
}

const cell = (kind, textContent) => Object.assign(document.createElement(kind), { textContent });

/** Shows `figures()` once a second while it is open. `managed`: whether less delay is a choice here. */
export function show({ figures, managed, kept, state }) {
  const root = append(HTML);
  const box = root.querySelector("input");
  const draw = () => {
    if (root.open) root.querySelector("dl").replaceChildren(...rows(figures()).flatMap(([name, value]) => [cell("dt", name), cell("dd", value)]));
  };
  root.querySelector("a").href = `/s/${state()[0].show}/listen.m3u`;
  box.closest("p").hidden = !managed;
  box.checked = Boolean(kept("managed"));
  box.addEventListener("change", () => kept("managed", box.checked ? "1" : ""));
  root.addEventListener("toggle", draw);
  setInterval(draw, 1_000);
}
