/** Where a place is kept: in the tab, so that a reload finds it, and in the browser, so that it outlives the tab. A second tab finds the first one's held, and gets its own. */

const RELOAD_MS = 1_000; // the page that is being left may still hold it

const stores = () => {
  try {
    return [sessionStorage, localStorage];
  } catch {
    return []; // a private window
  }
};

/** Whether nobody else has it; then this page has it until it ends. Where there are no locks (no TLS), one tab is assumed. */
function held(place, ms) {
  const { locks } = navigator;
  if (!locks) return true;
  return new Promise((resolve) => {
    const hold = () => (resolve(true), new Promise(() => {}));
    locks.request(`place-${place}`, { signal: AbortSignal.timeout(ms) }, hold).catch(() => resolve(false));
  });
}

/** -> the place that was kept under `key` and that no other tab has, or "". */
export async function find(key) {
  const kept = new Set(stores().map((store) => store.getItem(key)).filter(Boolean));
  for (const place of kept) if (await held(place, RELOAD_MS)) return place;
  return "";
}

export async function keep(key, place) {
  for (const store of stores()) store.setItem(key, place);
  if (place) await held(place, RELOAD_MS);
}
