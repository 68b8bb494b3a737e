/** The speaker page: a microphone, and an on-air light that cannot be missed. */

import { Desk, tokenOfPage } from "../shared/api.js";
import { attribute, find, text } from "../shared/dom.js";
import { Microphone, studioUrl } from "../shared/microphone.js";
import { lightWords, whenWords } from "./words.js";

const token = tokenOfPage();
const desk = new Desk(token);
let state = null;
let microphone = null;
let refused = false; // a final no: the seat was removed, the link revoked or too old

function problem(words) {
  find("#problem").hidden = !words;
  text(find("#problem"), words);
}

function draw() {
  if (!state || refused) return;
  const [light, word, hint] = lightWords(state, microphone.joined);
  attribute(document.body, "data-air", light);
  text(find("#light"), word);
  text(find("#light-hint"), hint);
  text(find("#when"), whenWords(state.show, Date.now()));
  document.title = `${light === "on" ? "● " : ""}${word} · ${state.show.title}`;
}

function begin() {
  microphone = new Microphone(studioUrl(state.studio_port), token, (muted) =>
    desk.ask("seat", { muted }).catch((error) => problem(error.message)),
  );
  microphone.addEventListener("change", draw);
  find("#mic").append(microphone.root);
}

function receive(latest) {
  state = latest;
  problem("");
  if (!microphone) begin();
  text(find("#title"), state.show.title);
  text(find("#who"), state.seat.name);
  microphone.receiveMuted(state.seat.muted, state.revision);
  if (["ended", "cancelled"].includes(state.show.phase)) microphone.voice.leave();
  draw();
}

function refuse(words) {
  refused = true;
  microphone?.voice.leave();
  microphone?.root.remove();
  attribute(document.body, "data-air", "off");
  text(find("#light"), "No entry");
  text(find("#light-hint"), "");
  document.title = "No entry";
  problem(words);
}

/** The desk is not needed to be heard: only what it says may be old. */
function lost(error) {
  if (error.status && !error.passing) refuse(error.message);
  else problem("The crew's desk cannot be reached right now. What you say is still heard.");
}

if (token) {
  desk.follow("seat/events", receive, lost);
  setInterval(draw, 500);
} else {
  text(find("#light"), "No link");
  problem("This address is not whole: the part behind the # is missing. Open the link as you were given it.");
}
