/** Joins what the show says (`now`) with what the player does, and shows both. */

import { Clock } from "../shared/time.js";
import { Entry } from "./entry.js";
import { Mount } from "./mount.js";
import { NowFeed } from "./now.js";
import { managed, Push, pushRendition } from "./push.js";
import * as view from "./view.js";
import * as words from "./words.js";

const CONNECT_JITTER_MS = 10_000;
const POLL_MS_UNTOLD = 1_500; // where nothing is said between chunks
const SILENCES_MAX = 2; // more: endless answers are kept back on the way
const NONE = { stalls: 0, skips: 0, seeks: 0, rate_changes: 0 };

const config = JSON.parse(view.element("config").textContent);
const showId = location.pathname.split("/").filter(Boolean).at(-1);
const origin = (port) => (port ? `${location.protocol}//${location.hostname}:${port}` : "");
const edge = origin(config.edge_port);
const edges = [edge, ""];
const archive = `${origin(config.archive_port)}/archive/${showId}`;
const audio = view.element("audio");
const clock = new Clock();
const news = new NowFeed([`/s/${showId}/now`, `${edge}/live/${showId}/now`], clock);
const entry = new Entry({ show: showId, kept, clock, now: () => now, play, playing: () => playing(), changed: () => draw() });
const rendition = !managed || kept("managed") ? pushRendition() : undefined;

let now = null;
let said = null; // between chunks: a piece of a `now` object
let engine = null;
let sound = {};
let doorTrouble = "";
let calm = "";
let turning = false;
let wasLive = false;
let late = false;
let makeEngine = makePush;

function kept(key, value) {
  try {
    return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value);
  } catch {
    return null; // a private window
  }
}

const playing = () => engine !== null && !audio.paused;
const startS = () => (engine?.live ? ((now.live_n ?? 0) * (now.chunk_ms ?? 500)) / 1000 : 0);
const isOpen = () => now.gate === "gathering" || !["announced", "cancelled"].includes(now.phase);
const limits = () => ({ firstN: now.live_n ?? 0, endN: now.end_n ?? 0, open: isOpen() });

const sinceStart = (seconds) => (seconds === null ? null : Math.max(0, seconds - startS()));

// The player.

function makePush() {
  const push = new Push(audio, new Mount(entry, rendition, edges, archive), limits);
  push.feed.addEventListener("state", ({ detail }) => {
    sound = detail;
    if (detail.reason === "lost") news.soon(2_000);
    if (push.feed.silences >= SILENCES_MAX && !push.mount.bytes) return lost();
    draw();
  });
  push.feed.addEventListener("words", ({ detail }) => {
    said = detail;
    if (now) receiveNow({ detail: now });
  });
  return push;
}

/** Anew, or by other means where this is `lost`; -> in how many ms. */
async function change(isLost) {
  const page = { audio, show: showId, entry, edges, archive, clock, limits, now: () => now, lost, refused, makePush: rendition && makePush };
  const { next } = await import("./others.js");
  const [maker, ms] = await next(page, makeEngine, isLost);
  makeEngine = maker;
  return ms;
}

function drop() {
  engine?.stop();
  [engine, sound] = [null, {}];
}

function play() {
  calm = "";
  entry.declined = false;
  if (engine?.position() !== null && engine) return void audio.play().catch(() => {});
  drop();
  engine = makeEngine();
  engine.start().catch(({ name }) => {
    if (name !== "NotAllowedError") return;
    drop();
    calm = "Your browser wants you to press play.";
  });
  draw();
}

/** Before there is sound: it is not to start by itself. */
function pause() {
  audio.pause();
  entry.declined = true;
  if (engine.position() === null) drop();
  draw();
}

/** It is not to come back by itself. */
function refused(reason) {
  audio.pause();
  audio.removeAttribute("src");
  drop();
  entry.declined = true;
  calm = reason;
  draw();
}

async function lost(isLost = true) {
  drop();
  setTimeout(play, await change(isLost));
}

// From the show to its recording.

async function maybeTurn() {
  if (turning || now.phase !== "ended" || !now.replay) return;
  turning = true;
  const { heardOut, replay } = await import("./replay.js");
  await heardOut(audio, () => engine?.position(), wasLive);
  const position = sinceStart(engine?.position() ?? null);
  drop();
  engine = replay(audio, archive, now, position);
  calm = "The recording is ready.";
  afterSound();
  draw();
}

// What is shown.

function playLabel() {
  const waits = now.phase === "announced" || entry.waits;
  if (playing()) return waits ? "Do not start by itself" : "Pause";
  if (engine?.live === false) return "Play the recording";
  return waits ? "Start by itself" : "Play";
}

function drawPlayer() {
  const replaying = engine?.live === false;
  const position = engine ? sinceStart(engine.position()) : null;
  const [label, figure] = words.clockWords(now, clock.now(), position, replaying);
  view.text("clock-label", label);
  view.text("clock", figure);
  view.playButton(playing(), playLabel());
  view.attribute("horn", "data-sound", playing() && audio.readyState > 2 ? "on" : "off");
  view.text("behind", words.behindText(engine?.behindS() ?? null));
}

function draw() {
  if (!now) return view.status(doorTrouble, "Asking for the show…");
  view.lamp(engine?.live === false ? ["off", "Recording"] : words.lampWords(now));
  view.text("when", words.whenWords(now, clock.now(), playing(), entry.waits));
  view.show("deck", now.phase !== "cancelled" && (now.phase !== "ended" || engine !== null));
  drawPlayer();
  view.status((playing() && engine.live && words.troubleWords(sound)) || doorTrouble, sound.state === "connecting" && !entry.waits ? "Connecting…" : calm || (now.ladder?.reason ?? ""));
  news.msMost = playing() && engine.live && !engine.feed ? POLL_MS_UNTOLD : Infinity;
  maybeTurn();
}

function receiveNow({ detail }) {
  const [before, wasOpen] = [now?.phase, now && isOpen()];
  now = said?.at_ms > detail.at_ms ? { ...detail, ...said } : detail;
  doorTrouble = "";
  wasLive ||= now.phase !== "ended";
  if (before !== now.phase || wasOpen !== isOpen()) phaseChanged();
  document.title = `${now.phase === "live" ? "● " : ""}${now.title} · Stentor`;
  view.text("title", now.title);
  view.line("voices", now.phase !== "ended" && now.on_air?.length && `with ${new Intl.ListFormat("en").format(now.on_air)}`);
  view.line("notice", now.notice, "notice-text");
  if ((now.verdict?.verdict ?? "calm") !== "calm" || view.element("verdict")) import("./verdict.js").then(({ say }) => say(now), () => {});
  view.text("audience", now.listeners && now.phase !== "ended" ? `${now.listeners.toLocaleString()} listening` : "");
  draw();
  entry.look();
}

/** When doors open, all would come in the same second. */
function phaseChanged() {
  const doors = now.starts_at_ms - clock.now() > 60_000;
  setTimeout(() => engine?.feed?.wake(), Math.random() * (doors ? CONNECT_JITTER_MS : 500));
}

function receiveTrouble({ detail: { failures, missing } }) {
  if (missing && !now) doorTrouble = "There is no show at this address.";
  else if (failures > 1) doorTrouble = `The server cannot be reached right now.${playing() ? " What you hear does not depend on it." : ""}`;
  draw();
}

async function afterSound() {
  if (late) return;
  late = true;
  const page = { audio, play, pause, startS, sinceStart, draw, kept, figures, managed };
  (await import("./late.js")).begin({ ...page, state: () => [now, engine] });
}

function connectControls() {
  const on = (id, event, act) => view.element(id).addEventListener(event, act);
  on("play", "click", () => (playing() ? pause() : play()));
  on("mute", "click", () => view.attribute("mute", "aria-pressed", String((audio.muted = !audio.muted))));
  on("volume", "input", ({ target }) => (kept("volume", target.value), (audio.volume = target.value / 100)));
  for (const event of ["play", "pause", "playing", "ended", "waiting"]) on("audio", event, draw);
  on("audio", "error", () => engine?.live && audio.error && lost(false));
  on("audio", "playing", afterSound);
}

/** For people who ask, and for tests. */
function figures() {
  const behindS = engine?.behindS() ?? null;
  const { n = 0, mount, counters } = engine ?? {};
  const behind_ms = behindS === null ? null : Math.round(behindS * 1000);
  return { phase: now?.phase ?? "", behind_ms, position_s: engine?.position() ?? null, n, bytes: mount?.bytes ?? 0, ...NONE, ...counters };
}

Object.defineProperty(window, "stentor", { get: figures });

audio.volume = (view.element("volume").value = kept("volume") ?? 100) / 100;
if (!rendition) await change(true);
connectControls();
news.addEventListener("now", receiveNow);
news.addEventListener("trouble", receiveTrouble);
addEventListener("online", () => (news.soon(500), engine?.feed?.wake()));
document.addEventListener("visibilitychange", () => document.hidden || news.soon(500));
news.soon(0);
setInterval(draw, 500);
