import "./store-page.css";
import { holds, hours } from "@metrica/shared/chart/day.ts";
import { second, serverNow } from "@metrica/shared/live/clock.ts";
import { paced } from "@metrica/shared/paced.ts";
import {
  say,
  sayChange,
  sayDate,
  sayDay,
  sayNumber,
  saySeconds,
  sayTenths,
  sayTime,
  sayZone,
} from "@metrica/shared/say/index.ts";
import { effect, signal, useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { connection } from "../frame/connection.ts";
import { Message } from "../frame/message.tsx";
import { Title } from "../frame/title.tsx";
import { Empty } from "../stores/empty.tsx";
import { health } from "../stores/health.tsx";
import { CameraCard } from "./camera.tsx";
import { Correction } from "./correction.tsx";
import { meanStay } from "./counts.ts";
import { DayChart } from "./day-chart.tsx";
import { LinesTable } from "./lines-table.tsx";
import { StoreModel } from "./model.ts";
import { Ticking } from "./ticking.tsx";

const WHOLE = 0.98; // the share of a day until now from which on it is not said how much of it is compared
const SPEAK_EVERY = 5_000; // ms: a screen reader is told no more often

/** A store as it is now. */
export function StorePage({ id }: { id: string }) {
  const model = useMemo(() => new StoreModel(id), [id]);
  useEffect(() => () => model.close(), [model]);
  if (model.missing.value) return <Message title={say.unknownStore(id)} />;
  const store = model.store.value;
  const counts = model.counts.value;
  if (!store || !counts) return <Skeleton />;
  const { ok, all } = health(store);
  return (
    <>
      <div class="heading">
        <Title tab={say.title(store.name, all ? counts.in : null)} testId="store">
          {store.name}
        </Title>
        <Clock timeZone={store.time_zone} day={counts.day} />
      </div>
      <p class="demo" data-testid="demo" hidden={!store.demo}>
        <b>{say.demo}</b> {say.demoAbout}
      </p>
      {all > 0 && ok < all && (
        <p class="banner" data-tone="warn" data-testid="not-counted">
          {say.notCounted(all - ok, all)}
        </p>
      )}
      {all === 0 ? (
        <Empty title={say.noCameraHere} />
      ) : (
        <>
          <Numbers model={model} />
          <div class="panels" data-cameras={all}>
            <DayChart model={model} />
            <section class="cameras" aria-label={say.cameras}>
              {store.cameras.map((camera) => (
                <CameraCard key={camera.id} model={model} camera={camera} counted={counts.lines} />
              ))}
            </section>
          </div>
          <LinesTable store={store} counted={counts.lines} />
        </>
      )}
    </>
  );
}

function Clock({ timeZone, day }: { timeZone: string; day: string }) {
  const zone = sayZone(timeZone);
  return (
    <p class="clock">
      {sayDay(day)} <time>{sayTime(second.value, timeZone)}</time>
      {zone && (
        <span class="quiet" title={say.localTime}>
          {" "}
          {zone}
        </span>
      )}
    </p>
  );
}

function Numbers({ model }: { model: StoreModel }) {
  const counts = model.counts.value;
  const store = model.store.value;
  const minute = useComputed(() => Math.floor(second.value / 60_000)).value;
  const thisHour = useMemo(
    () => hours(model.quarters.value).find((bucket) => holds(bucket, serverNow())),
    [model.quarters.value, minute],
  );
  if (!counts || !store) return null;
  const change = sayUsual(model, counts.day, store.time_zone);
  const { lostAt, state } = connection.value;
  const asOf = state === "away" && lostAt !== null ? say.asOf(saySeconds(lostAt)) : "";
  const notes = [thisHour && thisHour.in > 0 ? say.thisHour(sayNumber(thisHour.in)) : "", change];
  return (
    <section class="numbers" aria-label={say.today}>
      <Inside model={model} />
      <div class="tile in">
        <h2>{say.inToday}</h2>
        <output data-testid="in">
          <Ticking value={counts.in} />
        </output>
        <p class="quiet">{notes.filter(Boolean).join(" · ") || "\u00a0"}</p>
      </div>
      <div class="tile out small">
        <h2>{say.outToday}</h2>
        <output data-testid="out">
          <Ticking value={counts.out} />
        </output>
        <p class="quiet">{thisHour && thisHour.out > 0 ? say.thisHour(sayNumber(thisHour.out)) : "\u00a0"}</p>
      </div>
      <Stay model={model} />
      <p class="as-of" hidden={!asOf}>
        {asOf}
      </p>
      <Spoken model={model} />
    </section>
  );
}

/** Today beside a usual day, of the time that both counted; or since when there is anything to compare. */
function sayUsual(model: StoreModel, day: string, timeZone: string): string {
  const usual = model.usual.value;
  const since = model.countedSince.value;
  if (since !== null && sayDate(since, timeZone) === day) return say.countedSince(sayTime(since, timeZone));
  if (!usual?.comparable.hours) return "";
  const { now, then, hours: compared, share } = usual.comparable;
  const change = sayChange(now.in, then.in, day);
  return change && share < WHOLE ? `${change} · ${say.ofHours(sayTenths(compared))}` : change;
}

function Inside({ model }: { model: StoreModel }) {
  const counts = model.counts.value;
  const zone = model.store.value?.time_zone ?? "UTC";
  const occupancy = model.occupancy.value;
  if (!counts) return null;
  const capacity = occupancy?.capacity ?? null;
  const part = capacity ? counts.inside / capacity : 0;
  const level = part >= 1 ? "bad" : part >= 0.8 ? "warn" : "good";
  const last = counts.last_at ? say.lastCrossing(saySeconds(counts.last_at / 1e6, zone)) : say.nobodyYet;
  const peak = occupancy?.peak;
  const highest = peak?.inside ? say.peak(sayNumber(peak.inside), sayTime(Date.parse(peak.end), zone)) : "";
  return (
    <div class="tile inside">
      <h2>{say.insideNow}</h2>
      <output data-testid="inside">
        <Ticking value={counts.inside} />
      </output>
      {capacity !== null && (
        <p class="capacity" data-level={level}>
          <meter
            min={0}
            max={capacity}
            value={counts.inside}
            low={capacity * 0.8}
            high={capacity * 0.999}
            optimum={0}
            aria-label={say.insideNow}
          />
          <span>
            {[say.ofCapacity(sayNumber(capacity)), { good: "", warn: say.nearlyFull, bad: say.full }[level]]
              .filter(Boolean)
              .join(" · ")}
          </span>
        </p>
      )}
      <p class="quiet">{[last, highest].filter(Boolean).join(" · ")}</p>
      {model.mayCorrect.value && <Correction model={model} />}
    </div>
  );
}

/** How long people stay, by how many are inside and how many come: shown once enough came. */
function Stay({ model }: { model: StoreModel }) {
  const occupancy = model.occupancy.value;
  const minutes = occupancy && meanStay(occupancy, serverNow());
  if (minutes === null || minutes === undefined) return null;
  return (
    <div class="tile stay small">
      <h2>{say.meanStay}</h2>
      <output data-testid="stay">{say.minutes(Math.round(minutes))}</output>
      <p class="quiet">{say.estimate}</p>
    </div>
  );
}

function Spoken({ model }: { model: StoreModel }) {
  const words = useMemo(() => signal(""), []);
  useEffect(() => {
    const speak = paced(() => {
      const { value } = model.counts;
      if (value) words.value = say.spoken(value.inside, value.in, value.out);
    }, SPEAK_EVERY);
    return effect(() => {
      if (model.counts.value) speak();
    });
  }, [model, words]);
  return (
    <p class="unseen" aria-live="polite" data-testid="spoken">
      {words}
    </p>
  );
}

/** What has the sizes of the page while it is asked for, so that nothing moves. */
function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      <div class="heading" />
      <div class="numbers">
        <div class="tile" />
        <div class="tile" />
      </div>
      <div class="panels">
        <div class="card chart" />
      </div>
    </div>
  );
}
