// A day in bars: INs above the line, OUTs below it; a mark where the INs stood on another day.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 30, right: 4, top: 14, bottom: 22 };

export function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

// The API writes local times with their offset: the wall clock stands in the text itself.
const wall = (bucket) => bucket.start.slice(11, 16);

export class Chart {
  constructor(figure) {
    this.figure = figure;
    this.buckets = [];
    this.before = [];
    new ResizeObserver(() => this.draw()).observe(figure);
  }

  // `before` are the quarter hours of the other day; they are put together as the buckets of this one are.
  show(buckets, before) {
    this.buckets = buckets;
    this.before = before;
    this.draw();
  }

  ins(bucket) {
    const [from, to] = [wall(bucket), bucket.end.slice(11, 16)];
    return this.before.filter((one) => wall(one) >= from && (wall(one) < to || to <= from)).reduce((sum, one) => sum + one.in, 0);
  }

  draw() {
    const { width, height } = this.figure.getBoundingClientRect();
    if (!width || !this.buckets.length) return;
    const most = { in: Math.max(...this.buckets.map((b) => Math.max(b.in, this.ins(b)))), out: Math.max(...this.buckets.map((b) => b.out)) };
    const step = niceStep(Math.max(most.in + most.out, 4) / 4);
    const top = Math.max(Math.ceil(most.in / step), 1) * step;
    const bottom = Math.max(Math.ceil(most.out / step), 1) * step;
    const inner = height - MARGIN.top - MARGIN.bottom;
    const y = (value) => MARGIN.top + (inner * (top - value)) / (top + bottom);
    const slot = (width - MARGIN.left - MARGIN.right) / this.buckets.length;
    const x = (n) => MARGIN.left + n * slot;

    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.inWords() });
    for (let value = -bottom; value <= top; value += step) {
      svg.append(element("line", { class: value ? "grid" : "base", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      svg.append(element("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, String(Math.abs(value))));
    }
    this.buckets.forEach((bucket, n) => svg.append(this.bar(bucket, n, { x, y, slot, top, bottom })));
    this.figure.replaceChildren(svg);
    if (!this.buckets.some((b) => b.in || b.out)) this.figure.append(this.note("Nobody yet today"));
  }

  bar(bucket, n, { x, y, slot, top, bottom }) {
    const group = element("g", { "data-in": bucket.in, "data-out": bucket.out });
    const now = Date.now();
    const current = Date.parse(bucket.start) <= now && now < Date.parse(bucket.end);
    group.append(element("rect", { class: current ? "now" : "slot", x: x(n), width: slot, y: y(top), height: y(-bottom) - y(top), rx: 4 }));
    const gap = Math.min(slot * 0.18, 6);
    const rect = { x: x(n) + gap, width: Math.max(slot - 2 * gap, 1), rx: Math.min(3, slot / 5) };
    if (bucket.in) group.append(element("rect", { ...rect, class: "bar-in", y: y(bucket.in), height: y(0) - y(bucket.in) }));
    if (bucket.out) group.append(element("rect", { ...rect, class: "bar-out", y: y(0), height: y(-bucket.out) - y(0) }));
    const before = this.ins(bucket);
    if (before) group.append(element("line", { class: "then", "data-then": before, x1: rect.x, x2: rect.x + rect.width, y1: y(before), y2: y(before) }));
    const labels = slot * this.buckets.length < 420 ? 6 : 3;
    if (wall(bucket).endsWith(":00") && Number(wall(bucket).slice(0, 2)) % labels === 0) {
      group.append(element("text", { x: x(n) + (slot > 14 ? slot / 2 : 0), y: y(-bottom) + 17, "text-anchor": "middle" }, wall(bucket).slice(0, 2)));
    }
    group.addEventListener("pointerenter", () => this.tip(bucket, x(n) + slot / 2));
    group.addEventListener("pointerleave", () => this.figure.querySelector(".tip")?.remove());
    return group;
  }

  tip(bucket, at) {
    this.figure.querySelector(".tip")?.remove();
    const then = this.before.length ? ` · in a week ago ${this.ins(bucket)}` : "";
    const tip = this.note(`${wall(bucket)}–${bucket.end.slice(11, 16)}   in ${bucket.in} · out ${bucket.out}${then}`, "tip");
    this.figure.append(tip);
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(at, half), this.figure.clientWidth - half)}px`;
  }

  note(text, kind = "nothing") {
    const note = document.createElement("div");
    note.className = kind;
    note.textContent = text;
    return note;
  }

  inWords() {
    const busy = this.buckets.filter((b) => b.in || b.out).map((b) => `${wall(b)}: ${b.in} in, ${b.out} out`);
    return busy.length ? `Today. ${busy.join("; ")}` : "Nobody yet today";
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(1, [1, 2, 5, 10].find((n) => n * power >= rough) * power);
}
