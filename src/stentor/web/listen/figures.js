/** What this page knows of its own playing, for people who ask. */

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

/** Keeps `root` (a details element) up to date while it is open. */
export function keep(root, stats) {
  const draw = () => {
    if (root.open) root.querySelector("dl").replaceChildren(...rows(stats).flatMap(([name, value]) => [cell("dt", name), cell("dd", value)]));
  };
  root.addEventListener("toggle", draw);
  setInterval(draw, 1_000);
  root.hidden = false;
}
