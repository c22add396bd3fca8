// How the page's connection to the API does: that of the stream of the page that is shown.

import { second, setServerClock } from "@metrica/shared/live/clock.ts";
import { type Connection, type Listeners, Stream } from "@metrica/shared/live/stream.ts";
import { below } from "@metrica/shared/root.ts";
import { loadMe } from "@metrica/shared/session.ts";
import { effect, signal } from "@preact/signals";

interface Shown {
  /** "none" on a page that follows nothing. */
  state: Connection | "none";
  /** Since when nothing was heard, ms by the browser's clock; null while all is well, or where nothing ever was. */
  lostAt: number | null;
}

export const connection = signal<Shown>({ state: "connecting", lostAt: null });

/** Follow a stream of the API and show how it does. Ends with what is returned. */
export function follow(path: string, whole: string, on: Listeners["on"]): () => void {
  const stream = new Stream(below(path), { on, whole, clock: setServerClock, renew: loadMe });
  let everHeard = false;
  const stop = effect(() => {
    const state = stream.state.value;
    everHeard ||= state === "live" || state === "delayed";
    connection.value = { state, lostAt: everHeard ? stream.lostAt.value : null };
  });
  return () => {
    stop();
    stream.close();
    forgetConnection();
  };
}

export function forgetConnection(): void {
  connection.value = { state: "connecting", lostAt: null };
}

/** Say nothing of a connection, on a page that needs none. */
export function needNoConnection(): void {
  connection.value = { state: "none", lostAt: null };
}

/** Seconds without news. */
export const quietFor = (lostAt: number): number => Math.max(0, (second.value - lostAt) / 1000);

effect(() => {
  document.body.dataset.connection = connection.value.state;
});
