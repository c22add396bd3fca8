// When a store is open, as its day chart needs it.

import type { Slot } from "@metrica/shared/chart/day.ts";
import type { Settings } from "./model.ts";

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

/** The open spans of a local date, "09:00" to "19:00"; none where no weekday has any: always open. */
export function openSpans(settings: Settings | null, day: string | undefined): [string, string][] {
  const weekday = WEEKDAYS[new Date(`${day}T12:00:00Z`).getUTCDay()];
  if (!settings || !weekday) return [];
  return settings.opening_hours[weekday];
}

/** The slots from an hour before opening to an hour after closing, and wherever somebody crossed besides. */
export function within(slots: Slot[], spans: [string, string][]): Slot[] {
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last) return slots;
  const hour = (time: string) => Number(time.slice(0, 2)) + Number(time.slice(3, 5)) / 60;
  const [from, to] = [hour(first[0]) - 1, hour(last[1]) + 1];
  const wanted = (slot: Slot) => (hour(slot.from) >= from && hour(slot.from) < to) || slot.in > 0 || slot.out > 0;
  const begin = slots.findIndex(wanted);
  const end = slots.findLastIndex(wanted);
  return begin < 0 ? slots : slots.slice(begin, end + 1);
}
