// All that is known of one store: what its stream tells, and the day until now, which the stream then carries on.

import {
  api,
  type Compared,
  type Counts,
  type Footfall,
  type Occupancy,
  type Status,
  type Store,
} from "@metrica/shared/api/client.ts";
import type { components } from "@metrica/shared/api/schema.ts";
import type { Bucket } from "@metrica/shared/chart/day.ts";
import { serverNow, setServerClock } from "@metrica/shared/live/clock.ts";
import { paced } from "@metrica/shared/paced.ts";
import { me } from "@metrica/shared/session.ts";
import { computed, signal } from "@preact/signals";
import { follow } from "../frame/connection.ts";
import { withStatus } from "../stores/model.ts";
import { carriedOn, newer } from "./counts.ts";

export type Settings = components["schemas"]["StoreSettings"];

/** The people tracked in a frame; boxes are pixels of a frame of `width` by `height`. As contracts/events.py has it. */
export interface Tracks {
  camera: string;
  captured_at: number;
  width: number;
  height: number;
  tracks: { track: number; box: [number, number, number, number] }[];
}

type Hear = (tracks: Tracks) => void;

const REFRESH_EVERY = 60_000; // ms: the day anew, with what is usual by then
const SOON = 2_000;
const AGAIN_AFTER = 3_000;

interface Snapshot {
  now: number;
  store: Store;
}

export class StoreModel {
  readonly id: string;
  readonly store = signal<Store | null>(null);
  readonly counts = signal<Counts | null>(null);
  readonly settings = signal<Settings | null>(null);
  readonly occupancy = signal<Occupancy | null>(null);
  /** What is usual on such a weekday, by quarter hours and by hours: medians do not add up. */
  readonly usual = signal<Compared | null>(null);
  readonly usualByHour = signal<Compared | null>(null);
  /** The first moment that was counted, ever, ms. */
  readonly countedSince = signal<number | null>(null);
  /** Whether there is no such store for who has signed in. */
  readonly missing = signal(false);
  /** The day by quarter hours, until now. */
  readonly quarters = computed<Bucket[]>(() => {
    const { value } = this.counts;
    return value ? carriedOn(this.counted.value, value, serverNow()) : this.counted.value;
  });
  readonly mayCorrect = computed(() => {
    const [who, settings] = [me.value, this.settings.value];
    if (!who?.user || !settings) return false;
    const role = who.roles[settings.organization] ?? who.everywhere;
    return who.superadmin || role === "manager" || role === "admin";
  });

  private readonly counted = signal<Bucket[]>([]);
  private readonly hearing = new Map<string, Set<Hear>>();
  private readonly stop: () => void;
  private readonly timer: ReturnType<typeof setInterval>;
  private closed = false;

  constructor(id: string) {
    this.id = id;
    this.stop = follow(`v1/stores/${encodeURIComponent(id)}/events`, "snapshot", {
      snapshot: ({ now, store }: Snapshot) => this.heardSnapshot(now, store),
      counts: (counts: Counts) => this.heardCounts(counts),
      status: (status: Status) => this.heardStatus(status),
      tracks: (tracks: Tracks) => {
        for (const hear of this.hearing.get(tracks.camera) ?? []) hear(tracks);
      },
    });
    this.timer = setInterval(() => this.refresh(), REFRESH_EVERY);
    void this.loadSettings();
  }

  /** Call something with each set of a camera's tracks, until what is returned is called. */
  hear(camera: string, hear: Hear): () => void {
    const all = this.hearing.get(camera) ?? new Set();
    this.hearing.set(camera, all.add(hear));
    return () => all.delete(hear);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.stop();
  }

  async correct(inside: number): Promise<string | null> {
    const { error } = await api
      .POST("/v1/stores/{store}/occupancy/corrections", { params: { path: { store: this.id } }, body: { inside } })
      .catch(() => ({ error: { detail: "" } }));
    if (!error) void this.loadOccupancy();
    return error ? ("detail" in error && error.detail) || "" : null;
  }

  private readonly refresh = (): void => {
    void this.loadDay();
    void this.loadOccupancy();
  };
  private readonly refreshSoon = paced(this.refresh, SOON);

  private heardSnapshot(now: number, store: Store): void {
    setServerClock(now);
    this.store.value = store;
    this.counts.value = store.counts; // a snapshot stands, whatever came before it
    this.refreshSoon();
  }

  private heardCounts(counts: Counts): void {
    this.counts.value = newer(this.counts.value, counts);
  }

  private heardStatus(status: Status): void {
    const store = this.store.value;
    if (store) this.store.value = withStatus(store, status);
  }

  private async loadSettings(): Promise<void> {
    while (!this.closed) {
      try {
        const { data, response } = await api.GET("/v1/stores/{store}", { params: { path: { store: this.id } } });
        if (data) this.settings.value = data as Settings;
        else if (response.status < 500) {
          this.missing.value = true;
          this.close();
        }
        if (response.status < 500) return;
      } catch {
        // the API is away: the banner says so, and it is tried again
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
    }
  }

  private async loadDay(): Promise<void> {
    const [quarters, byHour] = await Promise.all([this.ask("15m"), this.ask("hour")]);
    if (!quarters || !byHour) return;
    this.counted.value = quarters.series[0]?.buckets ?? [];
    this.countedSince.value = quarters.counted_since ? Date.parse(quarters.counted_since) : null;
    const known = (day: Compared | undefined) => (day?.days ? day : null);
    this.usual.value = known(quarters.compared[0]);
    this.usualByHour.value = known(byHour.compared[0]);
  }

  private async ask(bucket: "15m" | "hour"): Promise<Footfall | undefined> {
    const params = { path: { store: this.id }, query: { bucket, compare: ["typical"] } };
    const { data } = await api.GET("/v1/stores/{store}/footfall", { params }).catch(() => ({ data: undefined }));
    return data;
  }

  private async loadOccupancy(): Promise<void> {
    const params = { path: { store: this.id } };
    const { data } = await api.GET("/v1/stores/{store}/occupancy", { params }).catch(() => ({ data: undefined }));
    if (data) this.occupancy.value = data;
  }
}
