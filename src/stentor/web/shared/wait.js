/** Waits `seconds`; ends early when `target` fires one of `events`. */
export function pause(seconds, target = null, ...events) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = () => (clearTimeout(timer), over.abort(), resolve());
    const timer = setTimeout(end, seconds * 1000);
    for (const event of events) target.addEventListener(event, end, { signal: over.signal });
  });
}
