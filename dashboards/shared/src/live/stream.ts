// A live stream of the API, which comes back by itself, and how it does.

import { signal } from "@preact/signals";

export const SILENCE = 7_000; // ms: heartbeats come each 5 s
export const AWAY_AFTER = 5_000; // after the connection was lost, or what it sends was missed
export const HIDDEN_FOR = 10_000; // a tab that nobody sees lets go: a browser has six connections for all its tabs
const RETRY_FIRST = 1_000;
const RETRY_LONGEST = 5_000;
const LOOK_EVERY = 500;

/** How a stream does:
 *  - `connecting`: nothing has come yet,
 *  - `live`,
 *  - `delayed`: the API says that the bus is away; numbers come from its database,
 *  - `checking`: a heartbeat is missing,
 *  - `reconnecting`: the connection was cut,
 *  - `away`: neither has been mended for 5 s. */
export type Connection = "connecting" | "live" | "delayed" | "checking" | "reconnecting" | "away";

interface Heartbeat {
  now: number;
  bus: boolean;
}

export interface Listeners {
  /** What to do with each kind of event. The first of `whole` stands for all that came before. */
  on: Record<string, (data: never) => void>;
  /** Events after which everything that was missed is known. */
  whole: string;
  clock: (nanoseconds: number) => void;
  /** Renews a sign-in that has ended: a stream that is refused does not say why. */
  renew: () => Promise<unknown>;
}

export class Stream {
  readonly state = signal<Connection>("connecting");
  /** Since when nothing has been heard, ms; null while the stream is alive. */
  readonly lostAt = signal<number | null>(Date.now());
  private readonly url: string;
  private readonly listeners: Listeners;
  private source: EventSource | null = null;
  private openedAt = 0;
  private heardAt = Date.now();
  private delay = RETRY_FIRST;
  private again: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;
  private readonly watch: ReturnType<typeof setInterval>;
  private closed = false;

  constructor(url: string, listeners: Listeners) {
    this.url = url;
    this.listeners = listeners;
    this.watch = setInterval(() => this.look(), LOOK_EVERY);
    document.addEventListener("visibilitychange", this.seen);
    this.open();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.watch);
    clearTimeout(this.hiding);
    document.removeEventListener("visibilitychange", this.seen);
    this.letGo();
  }

  private open(): void {
    this.letGo();
    const source = new EventSource(this.url);
    this.source = source;
    this.openedAt = Date.now();
    for (const kind of ["heartbeat", ...Object.keys(this.listeners.on)]) {
      source.addEventListener(kind, (event: MessageEvent<string>) => this.heard(kind, JSON.parse(event.data) as never));
    }
    source.onerror = () => this.lost();
  }

  private letGo(): void {
    clearTimeout(this.again);
    this.again = undefined;
    this.source?.close();
    this.source = null;
  }

  private async reopen(): Promise<void> {
    await this.listeners.renew().catch(() => null);
    if (!this.closed) this.open();
  }

  private heard(kind: string, data: never): void {
    this.heardAt = Date.now();
    if (kind === "heartbeat") {
      const { now, bus } = data as Heartbeat;
      this.listeners.clock(now);
      this.lostAt.value = null;
      this.state.value = bus ? "live" : "delayed";
      return;
    }
    if (kind === this.listeners.whole) {
      this.delay = RETRY_FIRST;
      this.lostAt.value = null;
      if (this.state.value !== "delayed") this.state.value = "live";
    }
    this.listeners.on[kind]?.(data);
  }

  private lost(): void {
    this.lostAt.value ??= this.state.value === "connecting" ? Date.now() : this.heardAt;
    if (this.state.value === "live" || this.state.value === "delayed") this.state.value = "reconnecting";
    // The browser comes back by itself from a cut, not from an answer that is no stream (503, 404).
    if (this.source?.readyState === EventSource.CLOSED && this.again === undefined) {
      this.again = setTimeout(() => this.reopen(), this.delay);
      this.delay = Math.min(this.delay * 1.5, RETRY_LONGEST);
    }
  }

  private look(): void {
    if (!this.source) return;
    const now = Date.now();
    const silent = now - Math.max(this.heardAt, this.openedAt) > SILENCE;
    if (silent && this.again === undefined) {
      this.lostAt.value ??= this.heardAt;
      if (this.state.value === "live" || this.state.value === "delayed") this.state.value = "checking";
      this.openedAt = now;
      void this.reopen(); // a line that is dead without having been cut: a laptop that woke up, a frozen API
    }
    if (this.lostAt.value !== null && this.isAway(now)) this.state.value = "away";
  }

  private isAway(now: number): boolean {
    const since = Math.max(this.lostAt.value ?? now, this.state.value === "checking" ? this.heardAt + SILENCE : 0);
    return now - since > AWAY_AFTER;
  }

  private readonly seen = (): void => {
    clearTimeout(this.hiding);
    if (document.visibilityState === "hidden") this.hiding = setTimeout(() => this.letGo(), HIDDEN_FOR);
    else if (!this.source && !this.closed) this.open();
  };
}
