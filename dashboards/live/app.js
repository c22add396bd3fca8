// The live dashboard of one store: what the stream tells, put on the page.

import { Camera } from "./camera.js";
import { Chart } from "./chart.js";
import { sayChange, sayDay, sayTime, sayWeekday } from "./format.js";
import { ask, showWho } from "./session.js";
import { Stream, serverClock } from "./stream.js";

const CHART_EVERY = 1_000; // at most, while people cross
const COMPARE_EVERY = 60_000;
const SPEAK_EVERY = 5_000; // a screen reader is told no more often
const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  delayed: "Delayed",
  reconnecting: "Reconnecting",
  away: "Away",
};
const TROUBLE = {
  delayed: "The message bus is away. The numbers are right, and come a few seconds late.",
  away: "Metrica does not answer. These are the last numbers known; this page comes back by itself.",
};

const $ = (id) => document.getElementById(id);
const cameras = new Map();
const chart = new Chart($("chart"));
let stream = null;
let store = null;
let counts = null;
let day = { hour: [], quarter: [] };
let weekAgo = null; // the same weekday last week, as the API compares today with it
let period = "hour";

// ---- which store ----

async function begin() {
  const stores = await listStores();
  showWho();
  $("empty").hidden = stores.length > 0;
  for (const part of [$("panels"), document.querySelector(".numbers")]) part.hidden = !stores.length;
  if (!stores.length) return setTimeout(begin, 3_000);
  $("picker").hidden = stores.length < 2;
  $("store-name").hidden = stores.length > 1;
  $("stores").replaceChildren(...stores.map((one) => new Option(one.name, one.id)));
  const asked = new URLSearchParams(location.search).get("store");
  follow((stores.find((one) => one.id === asked) ?? stores[0]).id);
}

async function listStores() {
  for (;;) {
    try {
      const answer = await ask("/v1/stores");
      if (answer.ok) return await answer.json();
    } catch {
      // the API is away: said below, tried again
    }
    setConnection("away");
    await new Promise((done) => setTimeout(done, 2_000));
  }
}

function follow(id) {
  stream?.close();
  cameras.forEach((camera) => camera.close());
  cameras.clear();
  counts = null;
  weekAgo = null;
  $("stores").value = id;
  stream = new Stream(id, { snapshot, counts: setCounts, status, tracks, connection: setConnection });
}

// ---- what the stream tells ----

function snapshot(data) {
  store = data.store;
  document.title = `${store.name} · Metrica`;
  $("store-name").textContent = store.name;
  $("demo").hidden = !store.demo;
  for (const camera of store.cameras) {
    if (!cameras.has(camera.id)) {
      cameras.set(camera.id, new Camera($("camera"), camera, store.time_zone));
      $("cameras").append(cameras.get(camera.id).root);
    } else cameras.get(camera.id).configure(camera);
  }
  for (const [id, camera] of cameras) {
    if (!store.cameras.some((one) => one.id === id)) {
      camera.close();
      cameras.delete(id);
    }
  }
  $("panels").dataset.cameras = cameras.size;
  counts = null; // a snapshot stands, whatever came before it
  setCounts(store.counts);
  compare();
}

function setCounts(next) {
  if (counts && next.revision < counts.revision) return;
  counts = next;
  for (const name of ["inside", "in", "out"]) setNumber($(name), next[name]);
  $("day").textContent = sayDay(next.day);
  $("inside-note").textContent = next.last_at ? `last crossing ${sayTime(next.last_at / 1e6, store.time_zone, true)}` : "nobody has crossed yet";
  cameras.forEach((camera) => camera.setCounts(next.lines));
  speakSoon();
  chartSoon();
}

function status(event) {
  cameras.get(event.camera)?.setStatus(event);
}

function tracks(event) {
  cameras.get(event.camera)?.setTracks(event);
}

function setConnection(state) {
  document.body.dataset.connection = state;
  $("connection").textContent = CONNECTION[state];
  $("banner").textContent = TROUBLE[state] ?? "";
  $("banner").hidden = !TROUBLE[state];
}

// ---- numbers ----

function setNumber(shown, value) {
  const before = Number(shown.dataset.value ?? NaN);
  shown.dataset.value = value;
  shown.textContent = value.toLocaleString("en-GB");
  if (Number.isNaN(before) || before === value) return;
  shown.classList.remove("up", "down");
  void shown.offsetWidth; // begins the animation anew
  shown.classList.add(value > before ? "up" : "down");
}

// At once, and then no more often than `every`; the last call always counts.
function paced(work, every) {
  let timer = null;
  let last = -Infinity;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      last = performance.now();
      work();
    }, Math.max(0, last + every - performance.now()));
  };
}

const speakSoon = paced(() => {
  $("spoken").textContent = `${counts.inside} inside, ${counts.in} in, ${counts.out} out today`;
}, SPEAK_EVERY);

// ---- the day in bars ----

const chartSoon = paced(async () => {
  const answer = await ask(`/v1/stores/${encodeURIComponent(store.id)}/counts`).catch(() => null);
  if (!answer?.ok) return;
  const today = await answer.json();
  if (today.store !== store.id) return;
  day = today.buckets;
  showDay();
}, CHART_EVERY);

// The footfall of today, beside that of the same weekday a week ago.
async function compare() {
  const query = "bucket=15m&compare=weekday";
  const answer = await ask(`/v1/stores/${encodeURIComponent(store.id)}/footfall?${query}`).catch(() => null);
  if (!answer?.ok) return;
  const footfall = await answer.json();
  if (footfall.store !== store.id) return;
  weekAgo = footfall.compared[0];
  $("then").textContent = `In last ${sayWeekday(weekAgo.from)}`;
  $("then").hidden = !weekAgo.in;
  showDay();
}

function showDay() {
  chart.show(day[period], weekAgo?.in ? weekAgo.buckets : []);
  const now = serverClock.now();
  const hour = day.hour.find((one) => Date.parse(one.start) <= now && now < Date.parse(one.end));
  const change = weekAgo?.so_far ? sayChange(weekAgo.so_far, weekAgo.from) : "";
  $("in-note").textContent = [hour ? `${hour.in} this hour` : "", change].filter(Boolean).join(" · ");
  $("out-note").textContent = hour ? `${hour.out} this hour` : "";
}

// ---- the page itself ----

document.querySelector(".toggle").addEventListener("click", ({ target }) => {
  if (!target.dataset.period) return;
  period = target.dataset.period;
  for (const button of target.parentElement.children) button.setAttribute("aria-pressed", button === target);
  showDay();
});

$("stores").addEventListener("change", ({ target }) => {
  history.replaceState(null, "", `?store=${encodeURIComponent(target.value)}`);
  follow(target.value);
});

setInterval(() => {
  cameras.forEach((camera) => camera.tick());
  if (store) $("clock").textContent = sayTime(serverClock.now(), store.time_zone);
}, 200);
setInterval(() => store && chartSoon(), 60_000); // the hour changes without a crossing
setInterval(() => store && compare(), COMPARE_EVERY);

begin();
