import { expect, test } from "vitest";
import { type Bucket, besideThen, hours } from "./day.ts";
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

test("an hour stands beside the quarter hours of another day", () => {
  const today = [quarter("2026-11-27T10:00:00+01:00", "2026-11-27T11:00:00+01:00", 9)];
  const before = [
    quarter("2026-11-20T10:00:00+01:00", "2026-11-20T10:15:00+01:00", 3),
    quarter("2026-11-20T10:45:00+01:00", "2026-11-20T11:00:00+01:00", 4),
    quarter("2026-11-20T11:00:00+01:00", "2026-11-20T11:15:00+01:00", 8),
  ];
  expect(besideThen(today, before)[0]?.then).toEqual({ in: 7, out: 0 });
  expect(besideThen(today, [])[0]?.then).toBeNull();
});

test("the last hour of a day ends at midnight", () => {
  const last = [quarter("2026-11-27T23:00:00+01:00", "2026-11-28T00:00:00+01:00", 1)];
  const before = [quarter("2026-11-20T23:45:00+01:00", "2026-11-21T00:00:00+01:00", 2)];
  expect(besideThen(last, before)[0]?.then?.in).toBe(2);
});
