import { expect, test } from "vitest";
import { type Bucket, besideThen, hours, isGap } from "./day.ts";
import { niceStep, ticks } from "./scale.ts";

test.each([
  [0, 1],
  [4, 1],
  [9, 5],
  [40, 10],
  [41, 20],
  [1_000, 500],
])("up to %d in steps of %d", (most, step) => {
  expect(niceStep(most)).toBe(step);
  expect(ticks(most).length).toBeLessThanOrEqual(5);
  expect(ticks(most).at(-1)).toBeGreaterThanOrEqual(most);
});

const quarter = (start: string, end: string, ins = 0): Bucket => ({ start, end, in: ins, out: 0 });

test("the repeated hour at the end of summer time is two", () => {
  const night = [
    quarter("2026-10-25T02:45:00+02:00", "2026-10-25T02:00:00+01:00", 3),
    quarter("2026-10-25T02:00:00+01:00", "2026-10-25T02:15:00+01:00", 4),
  ];
  expect(hours(night).map((hour) => hour.in)).toEqual([3, 4]);
});

test("an hour stands beside the same hour of a usual day", () => {
  const today = [quarter("2026-11-27T10:00:00+01:00", "2026-11-27T11:00:00+01:00", 9)];
  const usual = [
    { ...quarter("2026-11-27T10:00:00+01:00", "2026-11-27T11:00:00+01:00", 7), low: 5, high: 8 },
    { ...quarter("2026-11-27T11:00:00+01:00", "2026-11-27T12:00:00+01:00", 8), low: 6, high: 9 },
  ];
  expect(besideThen(today, usual)[0]?.then).toEqual({ in: 7, out: 0, low: 5, high: 8 });
  expect(besideThen(today, [])[0]?.then).toBeNull();
});

test("an hour is covered by the mean of its quarters that are known", () => {
  const day = [1, 0.5, null, null].map((covered, n) => ({
    ...quarter(`2026-11-27T10:${15 * n || "00"}:00+01:00`, "", 1),
    covered,
  }));
  expect(hours(day)).toMatchObject([{ in: 4, covered: 0.75 }]);
  expect(hours([{ ...quarter("2026-11-27T10:00:00+01:00", ""), covered: null }])[0]?.covered).toBeNull();
});

test.each([
  [0, true],
  [0.89, true],
  [0.9, false],
  [1, false],
  [null, false],
])("a bucket of which %s was counted is a gap: %s", (covered, gap) => {
  expect(isGap({ ...quarter("", ""), covered })).toBe(gap);
});
