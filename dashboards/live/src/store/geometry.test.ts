import { expect, test } from "vitest";
import { inside, lineFigure, middle, type Point } from "./geometry.ts";

const square: Point[] = [
  [0, 0],
  [10, 0],
  [10, 10],
  [0, 10],
];

test("a point is in a polygon, whichever way its corners go", () => {
  expect(inside(square, [5, 5])).toBe(true);
  expect(inside([...square].reverse(), [5, 5])).toBe(true);
  expect(inside(square, [15, 5])).toBe(false);
  expect(inside(square, [5, -1])).toBe(false);
  expect(middle(square)).toEqual([5, 5]);
});

test("a notch is outside", () => {
  const notched: Point[] = [
    [0, 0],
    [10, 0],
    [10, 10],
    [5, 2],
    [0, 10],
  ];
  expect(inside(notched, [5, 8])).toBe(false);
  expect(inside(notched, [1, 5])).toBe(true);
});

test.each([
  ["right", "from left to right: IN is below", 1],
  ["left", "from left to right: IN is above", -1],
] as const)("%s hand, walking %s", (in_side, _, sign) => {
  const { there, here, ends } = lineFigure({ x1: 0.2, y1: 0.5, x2: 0.8, y2: 0.5, in_side }, 640, 360, 10);
  expect(ends).toEqual({ x1: 128, y1: 180, x2: 512, y2: 180 });
  expect(Math.sign(there[1] - 180)).toBe(sign);
  expect(Math.sign(here[1] - 180)).toBe(-sign);
});
