// The language of the page, and how numbers and times are written in it.

import { en, type Messages } from "./en.ts";

export type { Messages };

/** What the page says. */
export const say: Messages = en;
export const locale = "en-GB";

type Options = Intl.DateTimeFormatOptions;
const formats = new Map<string, Intl.DateTimeFormat>();

function format(options: Options): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, made);
  return made;
}

const whole = new Intl.NumberFormat(locale);
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });

export const sayNumber = (n: number): string => whole.format(n);
export const sayTenths = (n: number): string => tenths.format(n);
export const sayShare = (part: number): string => percent.format(part);

/** An age in seconds, as a person would say it. */
export function sayAge(seconds: number): string {
  if (seconds < 10) return say.secondsAgo(tenths.format(Math.max(seconds, 0)));
  if (seconds < 90) return say.secondsAgo(whole.format(Math.round(seconds)));
  if (seconds < 5400) return say.minutesAgo(Math.round(seconds / 60));
  return say.hoursAgo(Math.round(seconds / 3600));
}

// A local date (2026-11-27) has no zone: it is said at its noon.
const noon = (day: string): Date => new Date(`${day}T12:00:00Z`);

export const sayDay = (day: string): string =>
  format({ weekday: "long", day: "numeric", month: "long", timeZone: "UTC" }).format(noon(day));
export const sayWeekday = (day: string): string => format({ weekday: "long", timeZone: "UTC" }).format(noon(day));

export const sayTime = (ms: number, timeZone: string): string =>
  format({ hour: "2-digit", minute: "2-digit", timeZone }).format(ms);
export const saySeconds = (ms: number, timeZone?: string): string =>
  format({ hour: "2-digit", minute: "2-digit", second: "2-digit", ...(timeZone ? { timeZone } : {}) }).format(ms);
export const sayMoment = (ms: number, timeZone: string): string =>
  format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone }).format(ms);

/** The name of a zone where it is another one than the browser's: "Tokyo". */
export function sayZone(timeZone: string): string {
  if (timeZone === Intl.DateTimeFormat().resolvedOptions().timeZone) return "";
  return timeZone.split("/").pop()?.replaceAll("_", " ") ?? timeZone;
}

/** Today beside a usual day of its weekday, each until the same time. */
export function sayChange(now: number, then: number, day: string): string {
  if (!then) return "";
  const percent = Math.round((100 * (now - then)) / then);
  if (!percent) return say.asMany(sayWeekday(day));
  const words = percent > 0 ? say.more : say.fewer;
  return words(Math.abs(percent), sayWeekday(day), sayNumber(then));
}

/** The local date of a moment, 2026-11-27. */
export function sayDate(ms: number, timeZone: string): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone }).format(ms);
}
