// Lines and polygons in a picture: x to the right, y down.

import type { Line } from "@metrica/shared/api/client.ts";

export type Point = [number, number];

/** The middle of a polygon's corners. */
export function middle(polygon: readonly Point[]): Point {
  const mean = (axis: 0 | 1) => polygon.reduce((sum, corner) => sum + corner[axis], 0) / polygon.length;
  return [mean(0), mean(1)];
}

/** Whether a point is in a polygon, by the non-zero winding rule, as SVG fills it. */
export function inside(polygon: readonly Point[], [x, y]: Point): boolean {
  let winding = 0;
  polygon.forEach(([x1, y1], n) => {
    const [x2, y2] = polygon[(n + 1) % polygon.length]!;
    if (y1 <= y === y2 <= y) return;
    const side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1);
    if (y1 <= y && side > 0) winding++;
    if (y1 > y && side < 0) winding--;
  });
  return winding !== 0;
}

type Drawn = Pick<Line, "x1" | "y1" | "x2" | "y2" | "in_side">;

/** How a counting line is drawn: its ends, the arrow to its IN side, and where the names of its sides stand. */
export function lineFigure(line: Drawn, width: number, height: number, unit: number) {
  const ends = { x1: line.x1 * width, y1: line.y1 * height, x2: line.x2 * width, y2: line.y2 * height };
  const [dx, dy] = [ends.x2 - ends.x1, ends.y2 - ends.y1];
  const length = Math.hypot(dx, dy) || 1;
  const [ax, ay] = [dx / length, dy / length];
  // The right hand of somebody who walks down the picture (0, 1) points to its left (-1, 0): y grows downwards.
  const turn = line.in_side === "right" ? 1 : -1;
  const [nx, ny] = [-ay * turn, ax * turn];
  const [mx, my] = [(ends.x1 + ends.x2) / 2, (ends.y1 + ends.y2) / 2];
  const [tx, ty] = [mx + nx * unit * 2.6, my + ny * unit * 2.6];
  const wing = (side: number) =>
    `${tx - nx * unit * 0.9 + side * ax * unit * 0.8},${ty - ny * unit * 0.9 + side * ay * unit * 0.8}`;
  const arrow = `M${mx + nx * unit * 0.7},${my + ny * unit * 0.7}L${tx},${ty}M${wing(1)}L${tx},${ty}L${wing(-1)}`;
  const there: Point = [tx + nx * unit * 1.5, ty + ny * unit * 1.1 + unit * 0.5];
  const here: Point = [mx - nx * unit * 2, my - ny * unit * 1.6 + unit * 0.5];
  return { ends, arrow, there, here };
}
