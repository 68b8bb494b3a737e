/** The crew's page: what is, from one stream of states, and the few buttons that change it. */

import { follow, get, post, token } from "../shared/api.js";
import { Microphone, meterPart } from "../shared/microphone.js";
import { Clock, clockText, countdownText, hourText } from "../shared/time.js";
import { health } from "./health.js";

const byId = (id) => document.getElementById(id);
const clock = new Clock();
let state = null;
let own = null;

function say(text, trouble = false) {
  byId("says").textContent = text;
  byId("says").dataset.trouble = String(trouble);
}

/** Carry out a press. Pressing twice is harmless: the desk keeps what is wanted, not how often. */
async function order(path, body, done = "") {
  try {
    const answer = await post(path, body);
    say(done);
    return answer;
  } catch (error) {
    say(error.message, true);
    return null;
  }
}

const LAMPS = {
  live: ["live", "On air"],
  held: ["hold", "Held"],
  open: ["off", "Doors open"],
  drawn: ["off", "Doors open"],
  ended: ["off", "Ended"],
  cancelled: ["off", "Cancelled"],
};

function drawHead({ show, stage }) {
  const phase = stage?.phase ?? show.phase;
  const [lamp, words] = LAMPS[phase] ?? ["off", "Announced"];
  byId("title").textContent = document.title = show.title;
  byId("lamp").dataset.lamp = lamp;
  if (byId("lamp").textContent !== words) byId("lamp").textContent = words;
  byId("when").textContent = `Promised for ${hourText(show.starts_at_ms, clock.now())}` +
    (show.reason && phase === "held" ? `. Held: ${show.reason}` : "");
  byId("go").disabled = !["announced", "open", "drawn", "held"].includes(phase);
  byId("hold").disabled = !["announced", "open", "drawn"].includes(phase);
  byId("end").disabled = ["ended", "cancelled"].includes(phase);
  byId("end").textContent = phase === "live" ? "End the show" : "Cancel the show";
  byId("notice-now").textContent = show.notice ? `Now shown: ${show.notice}` : "";
}

function drawClock() {
  if (!state) return;
  const { show, stage } = state;
  const started = stage?.started_at_ms ?? 0;
  const last = stage?.ended_at_ms || clock.now();
  const left = (show.starts_at_ms - clock.now()) / 1000;
  byId("clock-label").textContent = started ? "On air for" : left > 0 ? "Until the start" : "Late by";
  byId("clock").textContent = started ? clockText((last - started) / 1000) : countdownText(Math.abs(left));
}

function makeSeat(seat) {
  const row = document.createElement("div");
  row.className = "seat";
  row.dataset.id = seat.id;
  row.innerHTML = `<div><strong></strong><br><span class="soft"></span></div>
    <meter min="0" max="1" low="0.3" high="0.95" optimum="0.7" value="0" aria-label="Level"></meter>
    <div class="row"><button type="button" class="button" data-does="on_air"></button>
    <button type="button" class="button" data-does="muted"></button>
    <button type="button" class="button" data-does="removed">Remove</button></div>`;
  row.addEventListener("click", ({ target }) => target.dataset.does && press(seat.id, target.dataset.does));
  byId("seats").append(row);
  return row;
}

function press(id, what) {
  const seat = state.show.seats.find((one) => one.id === id);
  if (what === "removed" && !confirm(`Remove ${seat.name}? Their link stops working.`)) return;
  order(`/crew/api/seats/${encodeURIComponent(id)}`, { [what]: what === "removed" ? true : !seat[what] });
}

function drawSeat(seat, { stage, levels }) {
  const row = byId("seats").querySelector(`[data-id="${CSS.escape(seat.id)}"]`) ?? makeSeat(seat);
  const speaker = stage?.speakers?.find((one) => one.seat === seat.id);
  const button = (does) => row.querySelector(`[data-does="${does}"]`);
  row.hidden = seat.removed;
  row.dataset.air = String(Boolean(speaker) && seat.on_air);
  row.querySelector("strong").textContent = seat.name + (seat.id === own ? " (you)" : "");
  row.querySelector(".soft").textContent = !speaker ? "not connected" : wordsOf(speaker, seat);
  row.querySelector("meter").value = speaker ? meterPart(levels?.dbfs?.[seat.id] ?? -120) : 0;
  button("on_air").textContent = seat.on_air ? "Take off air" : "Put on air";
  button("on_air").setAttribute("aria-pressed", String(seat.on_air));
  button("muted").textContent = seat.muted ? "Unmute" : "Mute";
  button("muted").setAttribute("aria-pressed", String(seat.muted));
  button("removed").hidden = seat.id === own;
}

function wordsOf(speaker, seat) {
  if (speaker.stopped_ms > 500) return `silent for ${(speaker.stopped_ms / 1000).toFixed(1)} s`;
  const lost = speaker.received ? ((100 * (speaker.lost ?? 0)) / speaker.received).toFixed(1) : "0.0";
  return `${seat.on_air ? (seat.muted ? "on air, muted" : "on air") : "backstage"} · ${lost} % lost`;
}

function draw(fresh) {
  state = fresh;
  clock.hear(state.now_ms);
  drawHead(state);
  state.show.seats.forEach((seat) => drawSeat(seat, state));
  const mine = state.show.seats.find((seat) => seat.id === own);
  if (mine) microphone.setMuted(mine.muted);
  byId("health").replaceChildren(...health(state).flatMap(([name, text, trouble]) => fact(name, text, trouble)));
  if (byId("says").dataset.stale) say("");
  delete byId("says").dataset.stale;
}

function fact(name, text, trouble) {
  const group = document.createElement("div");
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  term.className = "eyebrow";
  term.textContent = name;
  value.textContent = text;
  value.dataset.trouble = String(Boolean(trouble));
  group.append(term, value);
  return [group];
}

const microphone = new Microphone(
  byId("microphone"),
  () => studio,
  (muted) => own && order(`/crew/api/seats/${encodeURIComponent(own)}`, { muted }),
);
let studio = { endpoint: "", token };

async function findOwnSeat() {
  const { seat, studio_port: port } = await get("/crew/api/seat");
  own = seat.id;
  const origin = port ? `${location.protocol}//${location.hostname}:${port}` : location.origin;
  studio = { endpoint: `${origin}/stage/whip`, token };
}

byId("go").addEventListener("click", () => order("/crew/api/wish", { wish: "go" }, "Going live."));
byId("hold").addEventListener("click", () => order("/crew/api/wish", { wish: "hold", reason: byId("reason").value }));
byId("end").addEventListener("click", () => {
  const live = state?.stage?.phase === "live";
  if (confirm(live ? "End the show for everybody? The recording is up at once." : "Cancel the show?")) {
    order("/crew/api/wish", { wish: live ? "end" : "cancel", reason: byId("reason").value });
  }
});
byId("notice").addEventListener("submit", (event) => {
  event.preventDefault();
  order("/crew/api/notice", { text: byId("notice-text").value }, "Posted.");
});
byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("guest").value.trim();
  const made = await order("/crew/api/seats", { name });
  if (!made) return;
  byId("made").hidden = false;
  byId("made-for").textContent = made.link
    ? `The link for ${name}. It is shown once; whoever has it speaks as ${name}.`
    : `${name} has a link already.`;
  byId("made-link").textContent = made.link;
  byId("guest").value = "";
});

if (token) {
  findOwnSeat().catch((error) => say(error.message, true));
  follow("/crew/api/events", draw, (why) => {
    say(why, true);
    byId("says").dataset.stale = "true";
  });
  setInterval(drawClock, 250);
} else {
  say("This link is not complete: what stands after its # is missing.", true);
}
