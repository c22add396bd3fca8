// The API's clock, as it tells it: a browser's own may be an hour wrong.

import { signal } from "@preact/signals";

let offset = 0; // ms

/** Milliseconds since 1970 by the API's clock. */
export const serverNow = (): number => Date.now() + offset;

export function setServerClock(nanoseconds: number): void {
  offset = nanoseconds / 1e6 - Date.now();
  second.value = wholeSecond();
}

const wholeSecond = (): number => Math.floor(serverNow() / 1000) * 1000;

/** The present second; changes by itself. */
export const second = signal(wholeSecond());

setInterval(() => {
  second.value = wholeSecond();
}, 250);
