// A day in bars: its quarter hours or hours by the store's wall clock, beside those of another day.

export interface Bucket {
  /** Local time with the store's offset, as the API writes it: the wall clock stands in the text itself. */
  start: string;
  end: string;
  in: number;
  out: number;
}

export interface Slot extends Bucket {
  /** Wall clock of its start and end, "14:00". */
  from: string;
  to: string;
  /** The same time of the other day; null where there is none to compare with. */
  then: { in: number; out: number } | null;
}

export const wallClock = (time: string): string => time.slice(11, 16);

/** The buckets of a day beside those of another, which may be shorter ones: they are added up. */
export function besideThen(buckets: readonly Bucket[], then: readonly Bucket[]): Slot[] {
  return buckets.map((bucket) => {
    const [from, to] = [wallClock(bucket.start), wallClock(bucket.end)];
    const within = then.filter((one) => wallClock(one.start) >= from && (wallClock(one.start) < to || to <= from));
    const sum = within.length ? { in: 0, out: 0 } : null;
    for (const one of within) {
      if (!sum) break;
      sum.in += one.in;
      sum.out += one.out;
    }
    return { ...bucket, from, to, then: sum };
  });
}

/** Quarter hours put together to hours. A repeated hour (summer time's end) stays two. */
export function hours(quarters: readonly Bucket[]): Bucket[] {
  const made: Bucket[] = [];
  for (const quarter of quarters) {
    const last = made.at(-1);
    if (last && hourOf(last.start) === hourOf(quarter.start)) {
      last.end = quarter.end;
      last.in += quarter.in;
      last.out += quarter.out;
    } else made.push({ ...quarter });
  }
  return made;
}

// The hour with its offset: 02:00+02:00 and 02:00+01:00 are two.
const hourOf = (start: string): string => start.slice(0, 13) + start.slice(19);

/** Whether a moment, ms, is in a bucket. */
export const holds = (bucket: Bucket, now: number): boolean =>
  Date.parse(bucket.start) <= now && now < Date.parse(bucket.end);
