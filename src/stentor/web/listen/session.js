/** The lock screen and the keys of a headset: the Media Session API. */

const session = navigator.mediaSession;
const STEP_S = 15;

/** `page`: {play, pause, seekBy, seek}. */
export function connect(page) {
  const handlers = {
    play: page.play,
    pause: page.pause,
    stop: page.pause,
    seekbackward: ({ seekOffset }) => page.seekBy(-(seekOffset ?? STEP_S)),
    seekforward: ({ seekOffset }) => page.seekBy(seekOffset ?? STEP_S),
    seekto: ({ seekTime }) => page.seek(seekTime),
  };
  for (const [action, handler] of Object.entries(handlers)) {
    try {
      session?.setActionHandler(action, handler);
    } catch {
      // an action this browser does not know
    }
  }
}

/** Firefox takes no length without end: there the lock screen of a live show has no position. */
function place(state) {
  try {
    session.setPositionState?.(state);
  } catch {
    session.setPositionState();
  }
}

/** Title, names and position, as they are now. */
export function describe(now, engine) {
  const [title, artist] = [now.title, now.on_air?.join(", ") ?? ""];
  if (!session || !engine) return;
  if (session.metadata?.title !== title || session.metadata.artist !== artist) session.metadata = new MediaMetadata({ title, artist, album: "Stentor" });
  const [position, duration] = [engine.position(), engine.live ? Infinity : engine.nowS()];
  if (position >= 0 && position <= duration) place({ duration, position });
}
