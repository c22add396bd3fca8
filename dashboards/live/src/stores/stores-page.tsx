import "./stores-page.css";
import type { Store } from "@metrica/shared/api/client.ts";
import { say } from "@metrica/shared/say/index.ts";
import { useEffect, useMemo, useState } from "preact/hooks";
import { stores as known } from "../frame/switcher.tsx";
import { Title } from "../frame/title.tsx";
import { addressOf, go } from "../router.ts";
import { Ticking } from "../store/ticking.tsx";
import { Empty } from "./empty.tsx";
import { Dot, health } from "./health.tsx";
import { StoresModel } from "./model.ts";

type Key = "name" | "in" | "inside";
const SEARCHED_FROM = 8; // stores: fewer are seen at a glance

const KEYS: [Key, string][] = [
  ["name", say.store],
  ["in", say.inToday],
  ["inside", say.insideNow],
];

/** All stores at a glance. Who has one alone goes to it. */
export function StoresPage() {
  const model = useMemo(() => new StoresModel(), []);
  useEffect(() => () => model.close(), [model]);
  const stores = model.stores.value;
  const only = stores?.size === 1 ? [...stores.keys()][0] : undefined;
  useEffect(() => {
    if (stores) known.value = [...stores.values()];
  }, [stores]);
  useEffect(() => {
    if (only) go(addressOf({ page: "store", store: only }), true);
  }, [only]);
  if (!stores || only) return null;
  if (!stores.size) return <Empty title={say.emptyTitle} page />;
  return <League stores={[...stores.values()]} days={model.days.value} />;
}

function League({ stores, days }: { stores: Store[]; days: Map<string, number[]> }) {
  const [sought, setSought] = useState("");
  const [ill, setIll] = useState(false);
  const [sorted, setSorted] = useState<{ by: Key; down: boolean }>({ by: "name", down: false });
  const attention = stores.filter(needsAttention);
  // The order is that of when it was chosen: no row moves away under a finger because somebody crossed.
  const names = stores.map(({ id, name }) => `${id} ${name}`).join();
  const order = useMemo(
    () => [...stores].sort((a, b) => compare(a, b, sorted.by) * (sorted.down ? -1 : 1)).map(({ id }) => id),
    [sorted, names],
  );
  const shown = order
    .flatMap((id) => stores.find((store) => store.id === id) ?? [])
    .filter((store) => store.name.toLowerCase().includes(sought.toLowerCase()) && (!ill || needsAttention(store)));
  const counted = shown.filter((store) => store.cameras.length > 0);
  const sum = (key: "in" | "inside") => counted.reduce((total, store) => total + store.counts[key], 0);
  return (
    <>
      <div class="heading">
        <Title tab={say.storesTitle}>{say.stores}</Title>
        {attention.length > 0 && (
          <button type="button" aria-pressed={ill} data-testid="attention" onClick={() => setIll(!ill)}>
            {say.filterAttention(attention.length)}
          </button>
        )}
        {stores.length >= SEARCHED_FROM && (
          <input
            class="search"
            type="search"
            aria-label={say.search}
            placeholder={say.search}
            value={sought}
            onInput={(event) => setSought(event.currentTarget.value)}
          />
        )}
      </div>
      <table class="card league" data-testid="league">
        <thead>
          <tr>
            {KEYS.map(([key, words]) => (
              <th
                key={key}
                scope="col"
                class={key === "name" ? undefined : "number"}
                aria-sort={sorted.by === key ? (sorted.down ? "descending" : "ascending") : undefined}
              >
                <button type="button" class="link" onClick={() => setSorted(next(sorted, key))}>
                  {words}
                </button>
              </th>
            ))}
            <th scope="col" class="spark-head">
              {say.today}
            </th>
            <th scope="col">{say.cameras}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((store) => (
            <Row key={store.id} store={store} day={days.get(store.id) ?? []} />
          ))}
        </tbody>
        {counted.length > 1 && (
          <tfoot>
            <tr>
              <th scope="row">{say.total}</th>
              <td class="number" data-testid="total-in">
                <Ticking value={sum("in")} />
              </td>
              <td class="number">
                <Ticking value={sum("inside")} />
              </td>
              <td class="spark" />
              <td />
            </tr>
          </tfoot>
        )}
      </table>
      {!shown.length && <p class="quiet">{say.nothingMatches}</p>}
    </>
  );
}

function Row({ store, day }: { store: Store; day: number[] }) {
  const does = health(store);
  return (
    <tr data-testid="store-row" data-store={store.id}>
      <th scope="row">
        <a href={addressOf({ page: "store", store: store.id })}>{store.name}</a>
      </th>
      {does.all ? (
        <>
          <td class="number" data-label={say.inToday}>
            <Ticking value={store.counts.in} />
          </td>
          <td class="number" data-label={say.insideNow}>
            <Ticking value={store.counts.inside} />
          </td>
          <td class="spark">
            <Spark values={day} />
          </td>
          <td class="cameras-cell">
            <Dot health={does} /> <span class="quiet">{say.counting(does.ok, does.all)}</span>
          </td>
        </>
      ) : (
        <td class="quiet" colSpan={4}>
          {say.noCameraHere}
        </td>
      )}
    </tr>
  );
}

/** The day by hour in little: its shape, no values. */
function Spark({ values }: { values: number[] }) {
  const most = Math.max(1, ...values);
  return (
    <svg viewBox={`0 0 ${Math.max(values.length, 1) * 4} 24`} preserveAspectRatio="none" aria-hidden="true">
      {values.map((value, n) =>
        value ? <rect key={n} x={n * 4} width={3} y={24 - (24 * value) / most} height={(24 * value) / most} /> : null,
      )}
    </svg>
  );
}

const needsAttention = (store: Store): boolean => health(store).ok < store.cameras.length;

function compare(a: Store, b: Store, by: Key): number {
  return by === "name" ? a.name.localeCompare(b.name) : a.counts[by] - b.counts[by];
}

function next(sorted: { by: Key; down: boolean }, key: Key): { by: Key; down: boolean } {
  return sorted.by === key ? { by: key, down: !sorted.down } : { by: key, down: key !== "name" };
}
