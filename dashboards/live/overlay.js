// What is drawn over a camera's picture: where nobody is looked for, the zones with how many stand in them, the counting
// lines with the names of their sides, and the people who are tracked.

import { element } from "./chart.js";

let overlays = 0;

export class Overlay {
  constructor(svg) {
    this.svg = svg;
    this.mask = `dark-${overlays++}`; // the name of a mask, one for each overlay of the page
    this.area = element("g");
    this.zones = element("g");
    this.lines = element("g");
    this.boxes = element("g", { class: "boxes" });
    svg.append(this.area, this.zones, this.lines, this.boxes);
    this.resize(16, 9);
  }

  // Pixels of the frames: all of what is drawn is in them.
  resize(width, height) {
    if (this.width === width && this.height === height) return false;
    [this.width, this.height] = [width, height];
    this.unit = Math.hypot(width, height) / 60; // the size of letters and arrows
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.drawArea();
    this.drawZones();
    this.drawLines();
    return true;
  }

  setArea(area) {
    this.looks = area;
    this.drawArea();
  }

  // Regions may overlap each other and what is ignored: a mask adds them up as the detector does.
  drawArea() {
    this.area.replaceChildren();
    const { regions = [], ignore = [] } = this.looks ?? {};
    if (!regions.length && !ignore.length) return;
    const all = { x: 0, y: 0, width: this.width, height: this.height };
    const mask = element("mask", { id: this.mask });
    mask.append(
      element("rect", { ...all, fill: regions.length ? "white" : "black" }),
      ...regions.map((polygon) => this.polygon(polygon, { fill: "black" })),
      ...ignore.map((polygon) => this.polygon(polygon, { fill: "white" })),
    );
    this.area.append(
      mask,
      element("rect", { ...all, class: "dark", mask: `url(#${this.mask})` }),
      ...regions.map((polygon) => this.polygon(polygon, { class: "region" })),
      ...ignore.map((polygon) => this.polygon(polygon, { class: "ignored" })),
    );
  }

  polygon(corners, attributes) {
    return element("polygon", { ...attributes, points: corners.map(([x, y]) => `${x * this.width},${y * this.height}`).join(" ") });
  }

  setZones(zones) {
    this.named = zones;
    this.drawZones();
  }

  drawZones() {
    this.drawn = (this.named ?? []).map(({ id, name, polygon }) => {
      const [x, y] = [0, 1].map((axis) => polygon.reduce((sum, corner) => sum + corner[axis], 0) / polygon.length);
      const place = { x: x * this.width, y: y * this.height, "font-size": this.unit * 1.25, "stroke-width": this.unit * 0.25 };
      const text = element("text", { ...place, class: "zone-text", "text-anchor": "middle" });
      return { name: name || id, shape: this.polygon(polygon, { class: "zone" }), text };
    });
    this.zones.replaceChildren(...this.drawn.flatMap(({ shape, text }) => [shape, text]));
    this.countZones(null);
  }

  // Who stands in a zone does so with their feet: the middle of their box's lower edge, within the picture.
  countZones(tracks) {
    const feet = tracks?.map(({ box: [x1, , x2, y2] }) => new DOMPoint((x1 + x2) / 2, Math.min(y2, this.height - 0.5)));
    for (const { name, shape, text } of this.drawn) {
      text.textContent = feet ? `${name} · ${feet.filter((foot) => shape.isPointInFill(foot)).length}` : name;
    }
  }

  setLines(lines) {
    this.given = lines;
    this.drawLines();
  }

  drawLines() {
    this.lines.replaceChildren();
    for (const line of this.given ?? []) this.lines.append(...this.line(line));
  }

  line({ x1, y1, x2, y2, in_side: inSide, in_name: inName, out_name: outName }) {
    const ends = { x1: x1 * this.width, y1: y1 * this.height, x2: x2 * this.width, y2: y2 * this.height };
    const [dx, dy] = [ends.x2 - ends.x1, ends.y2 - ends.y1];
    const length = Math.hypot(dx, dy) || 1;
    // The right hand of somebody who walks down the picture (0, 1) points to its left (-1, 0): y grows downwards.
    const turn = inSide === "right" ? 1 : -1;
    const [nx, ny] = [(-dy / length) * turn, (dx / length) * turn];
    const [mx, my] = [(ends.x1 + ends.x2) / 2, (ends.y1 + ends.y2) / 2];
    const u = this.unit;
    const [tx, ty] = [mx + nx * u * 2.6, my + ny * u * 2.6];
    const wing = (side) => `${tx - nx * u * 0.9 + side * (dx / length) * u * 0.8},${ty - ny * u * 0.9 + side * (dy / length) * u * 0.8}`;
    const arrow = `M${mx + nx * u * 0.7},${my + ny * u * 0.7}L${tx},${ty}M${wing(1)}L${tx},${ty}L${wing(-1)}`;
    const text = { "text-anchor": "middle", "font-size": u * 1.25, "stroke-width": u * 0.25 };
    const there = { ...text, class: "in-text", x: tx + nx * u * 1.5, y: ty + ny * u * 1.1 + u * 0.5 };
    const here = { ...text, class: "out-text", x: mx - nx * u * 2, y: my - ny * u * 1.6 + u * 0.5 };
    return [
      element("line", { ...ends, class: "line-edge" }),
      element("line", { ...ends, class: "line" }),
      element("path", { d: arrow, class: "in-arrow", "stroke-width": u * 0.28 }),
      element("text", there, inName ? `IN ${inName}` : "IN"),
      ...(outName ? [element("text", here, outName)] : []),
    ];
  }

  showTracks({ width, height, tracks }) {
    this.resize(width, height);
    this.boxes.classList.remove("stale");
    this.boxes.replaceChildren(...tracks.flatMap((track) => this.box(track)));
    this.countZones(tracks);
  }

  box({ track, box: [x1, y1, x2, y2] }) {
    const u = this.unit;
    const rect = { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: u * 0.35 };
    const label = String(track);
    const wide = u * (0.7 + 0.62 * label.length);
    const top = Math.max(y1 - u * 1.4, 0);
    return [
      element("rect", { ...rect, class: "box-edge" }),
      element("rect", { ...rect, class: "box" }),
      element("rect", { class: "tag", x: x1, y: top, width: wide, height: u * 1.3, rx: u * 0.3 }),
      element("text", { class: "tag-text", x: x1 + wide / 2, y: top + u, "font-size": u, "text-anchor": "middle" }, label),
    ];
  }

  fade() {
    this.boxes.classList.add("stale");
    this.countZones(null);
  }
}
