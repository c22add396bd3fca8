// A day in bars: its quarter hours or hours by the store's wall clock, beside what is usual on such a day.

export interface Bucket {
  /** Local time with the store's offset, as the API writes it: the wall clock stands in the text itself. */
  start: string;
  end: string;
  in: number;
  out: number;
  /** Share of it that was counted; null where it is to come, or not known. */
  covered?: number | null;
  /** Of a typical day, the quartiles of its INs. */
  low?: number | null;
  high?: number | null;
}

/** Coverage below which a number is marked: people are missing in it. */
export const ENOUGH = 0.9;

export const isGap = ({ covered }: Bucket): boolean => typeof covered === "number" && covered < ENOUGH;

export interface Then {
  in: number;
  out: number;
  low: number | null;
  high: number | null;
}

export interface Slot extends Bucket {
  /** Wall clock of its start and end, "14:00". */
  from: string;
  to: string;
  /** The same time of a usual day; null where there is none to compare with. */
  then: Then | null;
}

export const wallClock = (time: string): string => time.slice(11, 16);

/** The buckets of a day beside those of another, by the wall clock. */
export function besideThen(buckets: readonly Bucket[], then: readonly Bucket[]): Slot[] {
  const usual = new Map(then.map((one) => [wallClock(one.start), one]));
  return buckets.map((bucket) => {
    const [from, to] = [wallClock(bucket.start), wallClock(bucket.end)];
    const other = usual.get(from);
    return {
      ...bucket,
      from,
      to,
      then: other ? { in: other.in, out: other.out, low: other.low ?? null, high: other.high ?? null } : null,
    };
  });
}

/** Quarter hours put together to hours. A repeated hour (summer time's end) stays two. What was covered of an hour is
 *  the mean of what is known. */
export function hours(quarters: readonly Bucket[]): Bucket[] {
  const made: { hour: Bucket; covered: number[] }[] = [];
  for (const quarter of quarters) {
    let last = made.at(-1);
    if (last && hourOf(last.hour.start) === hourOf(quarter.start)) {
      last.hour.end = quarter.end;
      last.hour.in += quarter.in;
      last.hour.out += quarter.out;
    } else {
      last = { hour: { ...quarter }, covered: [] };
      made.push(last);
    }
    if (typeof quarter.covered === "number") last.covered.push(quarter.covered);
  }
  return made.map(({ hour, covered }) => ({
    ...hour,
    covered: covered.length ? covered.reduce((sum, share) => sum + share, 0) / covered.length : null,
  }));
}

// The hour with its offset: 02:00+02:00 and 02:00+01:00 are two.
const hourOf = (start: string): string => start.slice(0, 13) + start.slice(19);

/** Whether a moment, ms, is in a bucket. */
export const holds = (bucket: Bucket, now: number): boolean =>
  Date.parse(bucket.start) <= now && now < Date.parse(bucket.end);
