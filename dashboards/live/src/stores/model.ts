// All stores, live: one stream for each organization that one may see.

import { api, type Counts, type Status, type Store } from "@metrica/shared/api/client.ts";
import { setServerClock } from "@metrica/shared/live/clock.ts";
import { signal } from "@preact/signals";
import { follow } from "../frame/connection.ts";
import { newer } from "../store/counts.ts";

const LOOK_EVERY = 3_000; // ms, while there is nothing to follow
const DAY_EVERY = 60_000;

export class StoresModel {
  /** By id; null until they are known. */
  readonly stores = signal<Map<string, Store> | null>(null);
  /** INs of today by hour, by store. */
  readonly days = signal<Map<string, number[]>>(new Map());
  private organizations: string[] = [];
  private ends: (() => void)[] = [];
  private readonly timer: ReturnType<typeof setInterval>;
  private looking: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    void this.look();
    this.timer = setInterval(() => this.loadDays(), DAY_EVERY);
  }

  close(): void {
    clearInterval(this.timer);
    clearTimeout(this.looking);
    this.looking = undefined;
    for (const end of this.ends) end();
    this.organizations = [];
  }

  // What there is, and then what changes in it. With no store there is nothing to follow: it is looked for again.
  private async look(): Promise<void> {
    const { data } = await api.GET("/v1/stores").catch(() => ({ data: undefined }));
    const stores = Array.isArray(data) ? data : data?.items; // a page comes only to who asks for one
    if (stores) this.stores.value = new Map((stores as Store[]).map((store) => [store.id, store]));
    if (stores?.length) {
      const { data } = await api
        .GET("/v1/organizations", { params: { query: { limit: 200 } } })
        .catch(() => ({ data: undefined }));
      if (data) {
        this.organizations = data.items.map(({ id }) => id);
        this.ends = this.organizations.map((id) => this.followOrganization(id));
        return this.loadDays();
      }
    }
    this.looking = setTimeout(() => this.look(), LOOK_EVERY);
  }

  private followOrganization(id: string): () => void {
    let own: string[] = [];
    return follow(`v1/organizations/${encodeURIComponent(id)}/events`, "stores", {
      stores: ({ now, stores }: { now: number; stores: string[] }) => {
        setServerClock(now);
        for (const gone of own.filter((store) => !stores.includes(store))) this.change((all) => all.delete(gone));
        own = stores;
      },
      snapshot: ({ store }: { store: Store }) => this.change((all) => all.set(store.id, store)),
      counts: (counts: Counts) =>
        this.change((all) => {
          const store = all.get(counts.store);
          if (store) all.set(store.id, { ...store, counts: newer(store.counts, counts) });
        }),
      status: (status: Status) =>
        this.change((all) => {
          const store = all.get(status.store);
          if (store) all.set(store.id, withStatus(store, status));
        }),
    });
  }

  private change(work: (all: Map<string, Store>) => void): void {
    const all = new Map(this.stores.value);
    work(all);
    this.stores.value = all;
  }

  private async loadDays(): Promise<void> {
    const days = new Map(this.days.value);
    for (const organization of this.organizations) {
      const params = { path: { organization }, query: { by: "store", bucket: "hour" } as const };
      const { data } = await api
        .GET("/v1/organizations/{organization}/footfall", { params })
        .catch(() => ({ data: undefined }));
      for (const { store, buckets } of data?.series ?? [])
        if (store)
          days.set(
            store,
            buckets.map((bucket) => bucket.in),
          );
    }
    this.days.value = days;
  }
}

export function withStatus(store: Store, status: Status): Store {
  const cameras = store.cameras.map((camera) =>
    camera.id === status.camera
      ? { ...camera, statuses: [...camera.statuses.filter((one) => one.service !== status.service), status] }
      : camera,
  );
  return { ...store, cameras };
}
