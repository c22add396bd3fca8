// The arithmetic of a day's numbers.

import type { Counts, Occupancy } from "@metrica/shared/api/client.ts";
import { type Bucket, holds } from "@metrica/shared/chart/day.ts";

/** The newer of two totals: an older revision that comes later is ignored. */
export function newer(present: Counts | null, next: Counts): Counts {
  return present && next.revision < present.revision ? present : next;
}

/** A day's buckets with what was counted since they were asked for, in the bucket of the newest crossing. */
export function carriedOn(buckets: readonly Bucket[], counts: Counts, now: number): Bucket[] {
  if (!buckets[0]?.start.startsWith(counts.day)) return [...buckets];
  const sum = (key: "in" | "out") => buckets.reduce((total, bucket) => total + bucket[key], 0);
  const [ins, outs] = [Math.max(counts.in - sum("in"), 0), Math.max(counts.out - sum("out"), 0)];
  if (!ins && !outs) return [...buckets];
  const at = counts.last_at ? counts.last_at / 1e6 : now;
  const last = buckets.findIndex((bucket) => holds(bucket, at));
  return buckets.map((bucket, n) => (n === last ? { ...bucket, in: bucket.in + ins, out: bucket.out + outs } : bucket));
}

export const ENOUGH_FOR_STAY = 20; // INs: below, one person who stays long is the whole of it

/** The mean stay in minutes, by Little's law: person-minutes inside, divided by who came in. Null with too few. */
export function meanStay(occupancy: Occupancy, now: number): number | null {
  let [ins, minutes] = [0, 0];
  for (const bucket of occupancy.buckets) {
    const [start, end] = [Date.parse(bucket.start), Math.min(Date.parse(bucket.end), now)];
    ins += bucket.in;
    minutes += bucket.inside * Math.max(0, (end - start) / 60_000);
  }
  return ins < ENOUGH_FOR_STAY ? null : minutes / ins;
}
