/** The crew's page: what is, from one stream of states, and the few buttons that change it. Pressing twice is harmless. */

import { Desk, tokenOfPage } from "../shared/api.js";
import { attribute, fill, find, text } from "../shared/dom.js";
import { Microphone, studioUrl } from "../shared/microphone.js";
import { Clock } from "../shared/time.js";
import { seated } from "./door-words.js";
import { Door } from "./door.js";
import { healthRows } from "./health.js";
import { Log } from "./log.js";
import { Seats } from "./seats.js";
import { Shield } from "./shield.js";
import * as words from "./words.js";

const MARKS = { good: "●", bad: "▲", idle: "○" };
const token = tokenOfPage();
const desk = new Desk(token);
const clock = new Clock();
const door = new Door(order, sure);
const shield = new Shield(order, sure);
const log = new Log(desk);
const seats = new Seats(pressSeat, () => own?.seat.id);
let state = null;
let own = null;
let microphone = null;

function say(message) {
  find("#says").hidden = !message;
  text(find("#says"), message);
}

/** Carries out an order; -> the answer, or undefined when it was refused, which the page then says. */
async function order(path, body) {
  try {
    const answer = await desk.ask(path, body);
    say("");
    return answer;
  } catch (error) {
    say(error.status ? error.message : "The desk did not answer: nothing was changed. The show goes on without it.");
    return undefined;
  }
}

/** Asks first. -> whether it is really meant. */
function sure(title, detail, yes, no = "No, go on") {
  const dialog = find("#ask");
  text(find("#ask-title"), title);
  text(find("#ask-text"), detail);
  text(find("#ask-yes"), yes);
  text(find("#ask-no"), no);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function pressSeat(seat, change) {
  if (change.removed && !(await sure(`Remove ${seat.name}?`, "Their link stops working at once.", "Remove"))) return;
  await order(`seats/${encodeURIComponent(seat.id)}`, change);
}

const reason = () => find("#reason").value.trim();

async function pressEnd() {
  const { phase } = state.show;
  const count = seated(state.edges).toLocaleString();
  const live = phase === "live";
  const meant = live
    ? await sure("End the show?", `${count} are listening. The recording is up at once.`, "End the show")
    : await sure("Cancel the show?", "It will not take place. Everybody is told so, with your reason.", "Cancel the show");
  if (meant) await order("wish", { wish: live ? "end" : "cancel", reason: reason() });
}

async function addGuest() {
  const name = find("#guest").value.trim();
  const answer = await order("seats", { name });
  if (!answer) return;
  find("#made").hidden = false;
  text(find("#made-for"), answer.link ? `The link for ${name}. It is shown this once; whoever has it speaks as ${name}.` : `${name} has a link already.`);
  text(find("#made-link"), answer.link);
  find("#copy").hidden = !answer.link;
  text(find("#copy"), "Copy");
  find("#guest").value = "";
}

async function copyLink() {
  const link = find("#made-link");
  try {
    await navigator.clipboard.writeText(link.textContent);
    text(find("#copy"), "Copied");
  } catch {
    getSelection().selectAllChildren(link); // no clipboard outside https: it is selected instead
    text(find("#copy"), "Press Ctrl+C");
  }
}

function drawShow() {
  const { show } = state;
  const [lamp, word] = words.lampWords(show.phase);
  const can = words.wishes(show.phase);
  attribute(find("#lamp"), "data-lamp", lamp);
  text(find("#lamp"), word);
  text(find("#title"), show.title);
  text(find("#when"), words.whenWords(show, clock.now()));
  for (const wish of ["go", "hold", "end"]) find(`#${wish}`).disabled = !can[wish];
  text(find("#end"), show.phase === "live" || show.phase === "ended" ? "End the show" : "Cancel the show");
  text(find("#notice-now"), show.notice ? `Now shown: ${show.notice}` : "None is shown.");
  find("#notice-clear").disabled = !show.notice;
  document.title = `${show.phase === "live" ? "● " : ""}${show.title} · crew`;
}

function drawClock() {
  if (!state) return;
  const [label, figure] = words.clockWords(state, clock.now());
  text(find("#clock-label"), label);
  text(find("#clock"), figure);
}

function drawListeners({ edges }) {
  const rows = Object.entries(edges.by_rendition).filter(([, count]) => count);
  fill("#renditions", rows, "<li><span></span><span></span></li>", ([name, count], row) => {
    text(row.children[0], name);
    text(row.children[1], count.toLocaleString());
  });
}

function drawHealth() {
  fill("#health", healthRows(state), "<li><b aria-hidden='true'></b><span><strong></strong> <span></span></span></li>", ([kind, name, said], row) => {
    attribute(row, "data-state", kind);
    text(find("b", row), MARKS[kind]);
    text(find("strong", row), name);
    text(find("span > span", row), (kind === "bad" ? "trouble: " : "") + said);
  });
}

function receive(latest) {
  if (!state) say("");
  state = latest;
  clock.hear(state.now_ms);
  find("#main").hidden = false;
  drawShow();
  drawClock();
  seats.draw(state);
  door.draw(state, clock.now());
  shield.draw(state, clock.now());
  log.draw(state.revision, clock.now());
  drawListeners(state);
  drawHealth();
  const mine = state.show.seats.find((seat) => seat.id === own?.seat.id);
  if (mine) microphone?.receiveMuted(mine.muted, state.revision);
  if (find("#says").dataset.lost) [find("#says").dataset.lost] = ["", say("")];
}

function lost(error) {
  find("#says").dataset.lost = "1";
  say(error.status ? error.message : "The desk cannot be reached right now. The show goes on; this page shows what was.");
}

async function begin() {
  desk.follow("events", receive, lost);
  own = await desk.ask("seat");
  find("#listener-page").href = own.listener_link;
  microphone = new Microphone(studioUrl(own.studio_port), token, (muted) => order(`seats/${encodeURIComponent(own.seat.id)}`, { muted }));
  find("#mic").append(microphone.root);
}

function connectControls() {
  const on = (id, event, act) => find(id).addEventListener(event, (happened) => (happened.preventDefault(), act()));
  on("#go", "click", () => order("wish", { wish: "go" }));
  on("#hold", "click", () => order("wish", { wish: "hold", reason: reason() }));
  on("#end", "click", pressEnd);
  on("#notice", "submit", () => order("notice", { text: find("#notice-text").value.trim() }));
  on("#notice-clear", "click", () => order("notice", { text: "" }));
  on("#add", "submit", addGuest);
  on("#copy", "click", copyLink);
}

connectControls();
if (token) {
  begin().catch((error) => say(error.message));
  setInterval(drawClock, 250);
} else say("This address is not whole: the part behind the # is missing. Open the link as you were given it.");
