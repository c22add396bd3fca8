// The live stream of one store, which comes back by itself; and the API's clock, as it tells it.

import { ask } from "./session.js";

const SILENCE = 16_000; // three heartbeats of 5 s
const AWAY_AFTER = 5_000;
const RETRY_FIRST = 1_000;
const RETRY_LONGEST = 5_000;

export const serverClock = {
  offset: 0,
  now() {
    return Date.now() + this.offset;
  },
  set(nanoseconds) {
    this.offset = nanoseconds / 1e6 - Date.now();
  },
};

export class Stream {
  // `on` has a function for each event (snapshot, counts, status, tracks) and `connection(state)`.
  constructor(store, on) {
    this.url = `/v1/stores/${encodeURIComponent(store)}/events`;
    this.on = on;
    this.delay = RETRY_FIRST;
    this.lostAt = Date.now();
    this.state = "connecting";
    this.watch = setInterval(() => this.look(), 500);
    this.open();
  }

  open() {
    clearTimeout(this.again);
    this.again = null;
    this.source?.close();
    this.source = new EventSource(this.url);
    this.heardAt = Date.now();
    for (const kind of ["snapshot", "counts", "status", "tracks", "heartbeat"]) {
      this.source.addEventListener(kind, (event) => this.heard(kind, JSON.parse(event.data)));
    }
    this.source.onerror = () => this.lost();
  }

  // A sign-in that has ended is renewed first: a stream that is refused does not say why.
  async reopen() {
    await ask("/v1/auth/me").catch(() => null);
    if (!this.closed) this.open();
  }

  heard(kind, data) {
    this.heardAt = Date.now();
    if (kind === "snapshot" || kind === "heartbeat") serverClock.set(data.now);
    if (kind === "heartbeat") return this.tell(data.bus ? "live" : "delayed");
    if (kind === "snapshot") {
      this.delay = RETRY_FIRST;
      this.lostAt = null;
      if (this.state !== "delayed") this.tell("live");
    }
    this.on[kind](data);
  }

  lost() {
    this.lostAt ??= Date.now();
    this.look();
    // The browser comes back by itself from a cut, not from an answer that is no stream (503, 404).
    if (this.source.readyState === EventSource.CLOSED && !this.again) {
      this.again = setTimeout(() => this.reopen(), this.delay);
      this.delay = Math.min(this.delay * 1.5, RETRY_LONGEST);
    }
  }

  look() {
    if (this.lostAt === null && Date.now() - this.heardAt > SILENCE) {
      this.lostAt = this.heardAt;
      this.open(); // a line that is dead without having been cut: a laptop that woke up
    }
    if (this.lostAt !== null) this.tell(Date.now() - this.lostAt > AWAY_AFTER ? "away" : this.state === "connecting" ? "connecting" : "reconnecting");
  }

  tell(state) {
    if (state === this.state) return;
    this.state = state;
    this.on.connection(state);
  }

  close() {
    this.closed = true;
    clearInterval(this.watch);
    clearTimeout(this.again);
    this.source.close();
  }
}
