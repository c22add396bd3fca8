import type { Counts } from "@metrica/shared/api/client.ts";
import { expect, test } from "vitest";
import { carriedOn, newer } from "./counts.ts";

const DAY = "2026-11-27";
const counts = (more: Partial<Counts>): Counts => ({
  version: 1,
  run: "live",
  store: "shop",
  revision: 5,
  day: DAY,
  in: 0,
  out: 0,
  inside: 0,
  lines: [],
  ...more,
});
const bucket = (from: string, to: string, ins = 0, out = 0) => ({
  start: `${DAY}T${from}:00+01:00`,
  end: `${DAY}T${to}:00+01:00`,
  in: ins,
  out,
});
const ten = Date.parse(`${DAY}T10:05:00+01:00`);

test("an older revision is ignored, the same one again stands", () => {
  expect(newer(counts({ in: 3 }), counts({ revision: 4, in: 2 })).in).toBe(3);
  expect(newer(counts({ in: 3 }), counts({ in: 4 })).in).toBe(4);
  expect(newer(null, counts({ in: 1 })).in).toBe(1);
});

test("what was counted since is in the bucket of the newest crossing", () => {
  const day = [bucket("09:45", "10:00", 4, 1), bucket("10:00", "10:15"), bucket("10:15", "10:30")];
  const now = carriedOn(day, counts({ in: 6, out: 2, last_at: ten * 1e6 }), ten);
  expect(now.map((one) => [one.in, one.out])).toEqual([
    [4, 1],
    [2, 1],
    [0, 0],
  ]);
});

test("buckets that know more than the totals stay as they are", () => {
  const day = [bucket("10:00", "10:15", 7, 3)];
  expect(carriedOn(day, counts({ in: 6, out: 3 }), ten)).toEqual(day);
});

test("another day's totals are not put into this one's buckets", () => {
  const day = [bucket("10:00", "10:15", 7, 3)];
  expect(carriedOn(day, counts({ day: "2026-11-28", in: 9 }), ten)).toEqual(day);
});
