// One camera: its picture while somebody looks, what is tracked in it, how old that is, and how it does.

import { STATES, sayAge, sayTime, worst } from "./format.js";
import { Health } from "./health.js";
import { Overlay } from "./overlay.js";
import { ask } from "./session.js";
import { serverClock } from "./stream.js";

const PICTURE_EVERY = 250;
const NO_PICTURE_EVERY = 2_000;
const STALE = 1_000; // boxes older than this fade
const [LATE, OLD] = [2, 10]; // seconds at which an age turns amber, then red

export class Camera {
  constructor(template, camera, timeZone) {
    this.root = template.content.firstElementChild.cloneNode(true);
    this.find = (name) => this.root.querySelector(name);
    this.overlay = new Overlay(this.find(".overlay"));
    this.health = new Health(this.find(".health"), camera.id, timeZone);
    this.statuses = new Map();
    this.timeZone = timeZone;
    this.inView = true;
    this.seen = new IntersectionObserver(([entry]) => (this.inView = entry.isIntersecting));
    this.seen.observe(this.root);
    this.closed = false;
    this.configure(camera);
    this.follow();
  }

  configure(camera) {
    this.camera = camera;
    this.root.dataset.camera = camera.id;
    this.find("h3").textContent = camera.name || camera.id;
    this.find(".picture").setAttribute("aria-label", `Picture of ${camera.name || camera.id}`);
    this.overlay.setArea(camera.detection);
    this.overlay.setZones(camera.zones);
    this.overlay.setLines(camera.lines);
    this.statuses = new Map(camera.statuses.map((status) => [status.service, status]));
    this.showState();
  }

  setStatus(status) {
    this.statuses.set(status.service, status);
    this.showState();
    this.health.refresh();
  }

  setCounts(lines) {
    const counted = new Map(lines.filter((one) => one.camera === this.camera.id).map((one) => [one.line, one]));
    const shown = this.camera.lines.map((line) => {
      const { in: ins = 0, out = 0 } = counted.get(line.id) ?? {};
      const row = document.createElement("div");
      const name = this.camera.lines.length > 1 ? `${line.name || line.id}: ` : "";
      row.innerHTML = "<dt></dt><dd><b></b> in<span></span> · <b></b> out<span></span></dd>";
      row.querySelector("dt").textContent = name;
      [row.querySelectorAll("b")[0].textContent, row.querySelectorAll("b")[1].textContent] = [ins, out];
      const sides = row.querySelectorAll("span");
      [line.in_name, line.out_name].forEach((side, n) => (sides[n].textContent = side ? ` → ${side}` : ""));
      return row;
    });
    this.find(".lines").replaceChildren(...shown);
  }

  setTracks(tracks) {
    this.heardAt = performance.now();
    this.capturedAt = tracks.captured_at / 1e6;
    this.overlay.showTracks(tracks);
    this.tick();
  }

  showState() {
    const status = worst([...this.statuses.values()]);
    const [words, tone] = this.camera.paused ? ["Paused", "calm"] : status ? STATES[status.state] : ["Waiting for ingest", "warn"];
    const state = this.find(".state");
    state.textContent = words;
    state.dataset.tone = tone;
    state.dataset.state = status?.state ?? "";
    const message = this.find(".message");
    message.textContent = status?.message ?? "";
    message.dataset.tone = tone;
    message.hidden = !status?.message || status.state === "running";
    const model = [...this.statuses.values()].find((one) => one.model)?.model;
    this.find(".by").textContent = model ? "counted by" : "model";
    this.find("[data-testid=model]").textContent = model ? [model.name, model.precision].filter(Boolean).join(" · ") : this.camera.model;
    this.ended = ["finished", "already_counted", "stopped"].includes(status?.state);
  }

  // Called a few times a second: the age of what is shown grows by itself.
  tick() {
    const age = this.find(".age");
    const since = this.heardAt === undefined ? Infinity : performance.now() - this.heardAt;
    if (since > STALE) this.overlay.fade();
    const capturedAt = this.capturedAt ?? this.picturedAt; // where nobody tracks, the picture's
    if (this.ended || capturedAt === undefined) {
      age.textContent = "";
      return;
    }
    // A recording has times of its own: there, the age is that of the last word about it.
    const recording = this.camera.policy === "every";
    const seconds = recording ? Math.min(since, 3.6e6) / 1000 : (serverClock.now() - capturedAt) / 1000;
    age.textContent = recording ? `recording · ${sayTime(capturedAt, this.timeZone, true)}` : sayAge(seconds);
    age.dataset.age = seconds > OLD ? "old" : seconds > LATE ? "late" : "fresh";
  }

  async follow() {
    while (!this.closed) {
      let wait = PICTURE_EVERY;
      const begun = performance.now();
      if (this.inView && !document.hidden) {
        wait = (await this.fetchPicture().catch(() => false)) ? PICTURE_EVERY : NO_PICTURE_EVERY;
      }
      await new Promise((done) => setTimeout(done, Math.max(wait - (performance.now() - begun), 50)));
    }
  }

  async fetchPicture() {
    const headers = this.etag ? { "If-None-Match": this.etag } : {};
    const answer = await ask(`/v1/cameras/${encodeURIComponent(this.camera.id)}/frame.jpg`, { headers });
    if (answer.status === 304) return true;
    if (!answer.ok) {
      this.find(".view").toggleAttribute("data-old", true);
      this.find(".placeholder").textContent = this.etag ? "" : (await answer.json()).detail;
      return false;
    }
    const picture = await createImageBitmap(await answer.blob());
    const canvas = this.find(".picture");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    this.find(".view").style.aspectRatio = `${picture.width} / ${picture.height}`;
    this.overlay.resize(picture.width, picture.height);
    picture.close();
    this.etag = answer.headers.get("ETag");
    this.picturedAt = Number(answer.headers.get("Metrica-Captured-At")) / 1e6;
    canvas.dataset.seq = answer.headers.get("Metrica-Seq");
    this.find(".view").toggleAttribute("data-old", false);
    this.find(".placeholder").hidden = true;
    return true;
  }

  close() {
    this.closed = true;
    this.seen.disconnect();
    this.root.remove();
  }
}
