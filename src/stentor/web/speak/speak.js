/** The speaker's page: a seat, a microphone, and a lamp that cannot be misread. */

import { follow, post, token } from "../shared/api.js";
import { Microphone } from "../shared/microphone.js";
import { hourText } from "../shared/time.js";

const byId = (id) => document.getElementById(id);
let studioPort = 0;

function studio() {
  const origin = studioPort ? `${location.protocol}//${location.hostname}:${studioPort}` : location.origin;
  return { endpoint: `${origin}/stage/whip`, token };
}

const microphone = new Microphone(byId("microphone"), studio, async (muted) => {
  microphone.setMuted(muted);
  await post("/crew/api/seat", { muted }).catch((error) => microphone.say(error.message, true));
});

function lampOf({ show, seat }) {
  if (document.body.dataset.stage !== "connected") return ["off", "Not connected"];
  if (seat.muted) return ["hold", "Muted"];
  if (!seat.on_air) return ["off", "Backstage"];
  return show.phase === "live" ? ["live", "On air"] : ["hold", "On air at the start"];
}

function draw(state) {
  studioPort = state.studio_port;
  byId("title").textContent = document.title = state.show.title;
  byId("you").textContent = state.seat.name;
  byId("when").textContent = `Starts ${hourText(state.show.starts_at_ms, Date.now())} · ${state.show.phase}`;
  microphone.setMuted(state.seat.muted);
  const [lamp, words] = lampOf(state);
  byId("lamp").dataset.lamp = lamp;
  if (byId("lamp").textContent !== words) byId("lamp").textContent = words;
}

if (token) {
  follow("/crew/api/seat/events", draw, (why) => microphone.say(why, true));
  microphone.prepare();
} else {
  microphone.say("This link is not complete: what stands after its # is missing. Ask the crew for it again.", true);
}
