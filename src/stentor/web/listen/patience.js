/** For engines that have no feed to ask again. */

const BACKOFF_S_MAX = 60;

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** -> a ticket: until the door lets in, no sooner than it says, with jitter. Rejects when `signal` fires. */
export async function ticketInTheEnd(entry, signal) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await entry.ticket(signal);
    } catch (error) {
      signal.throwIfAborted();
      await pause((error.retryAfterS ?? 0) + Math.random() * Math.min(BACKOFF_S_MAX, 2 ** failures), signal);
    }
  }
}
