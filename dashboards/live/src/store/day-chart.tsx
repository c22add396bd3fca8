import "./day-chart.css";
import { besideThen, holds, hours, isGap, type Slot } from "@metrica/shared/chart/day.ts";
import { ticks } from "@metrica/shared/chart/scale.ts";
import { second } from "@metrica/shared/live/clock.ts";
import { say, sayNumber, sayShare, sayWeekday } from "@metrica/shared/say/index.ts";
import { useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { StoreModel } from "./model.ts";
import { openSpans, within } from "./opening.ts";

type Direction = "in" | "out";
type Period = "hour" | "quarter";

const MARGIN = { start: 40, end: 4, top: 10, bottom: 24 };

/** The day in bars, beside a usual one of its weekday; as a table for who asks. */
export function DayChart({ model }: { model: StoreModel }) {
  const [period, setPeriod] = useState<Period>("hour");
  const [direction, setDirection] = useState<Direction>("in");
  const [table, setTable] = useState(false);
  const usual = period === "hour" ? model.usualByHour.value : model.usual.value;
  const quarters = model.quarters.value;
  const spans = openSpans(model.settings.value, model.counts.value?.day);
  const buckets = period === "hour" ? hours(quarters) : quarters;
  const shown = within(besideThen(buckets, usual?.buckets ?? []), spans);
  const day = model.counts.value?.day;
  const weekday = usual && day ? sayWeekday(day) : "";
  return (
    <section class="card chart" aria-labelledby="chart-title">
      <header>
        <h2 id="chart-title">{say.today}</h2>
        <Choice
          label={say.barsOf}
          value={direction}
          all={[
            ["in", say.in],
            ["out", say.out],
          ]}
          onChoose={setDirection}
        />
        <Choice
          label={say.barsBy}
          value={period}
          all={[
            ["hour", say.hour],
            ["quarter", say.quarter],
          ]}
          onChoose={setPeriod}
          testId="by"
        />
        <button type="button" class="link" data-testid="as-table" aria-pressed={table} onClick={() => setTable(!table)}>
          {table ? say.asChart : say.asTable}
        </button>
      </header>
      <p class="legend" aria-hidden="true" hidden={table}>
        <span class={`swatch ${direction}`}>{direction === "in" ? say.in : say.out}</span>
        <span class="swatch then" id="then" hidden={!weekday}>
          {direction === "in" ? say.inUsual(weekday) : say.outUsual(weekday)}
        </span>
        <span class="swatch gap" data-testid="gaps" hidden={!shown.some(isGap)}>
          {say.gaps}
        </span>
      </p>
      {table ? (
        <DayTable slots={shown} weekday={weekday} />
      ) : (
        <Bars slots={shown} direction={direction} weekday={weekday} spans={spans} />
      )}
    </section>
  );
}

interface ChoiceProps<Value extends string> {
  label: string;
  value: Value;
  all: [Value, string][];
  onChoose: (value: Value) => void;
  testId?: string;
}

function Choice<Value extends string>({ label, value, all, onChoose, testId }: ChoiceProps<Value>) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out in a row of a flex container alike everywhere
    <div class="toggle" role="group" aria-label={label}>
      {all.map(([name, words]) => (
        <button
          key={name}
          type="button"
          data-testid={testId && `${testId}-${name}`}
          aria-pressed={name === value}
          onClick={() => onChoose(name)}
        >
          {words}
        </button>
      ))}
    </div>
  );
}

interface BarsProps {
  slots: Slot[];
  direction: Direction;
  weekday: string;
  spans: [string, string][];
}

function Bars({ slots, direction, weekday, spans }: BarsProps) {
  const figure = useRef<HTMLElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [chosen, setChosen] = useState<number | null>(null);
  const present = useComputed(() => second.value - (second.value % 60_000)).value; // drawn anew each minute
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    if (figure.current) observer.observe(figure.current);
    return () => observer.disconnect();
  }, []);

  const now = slots.findIndex((slot) => holds(slot, present));
  const told = slots[chosen ?? now];
  const walk = (event: KeyboardEvent) => {
    const from = chosen ?? Math.max(now, 0);
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: slots.length - 1 }[event.key];
    if (event.key === "Escape") setChosen(null);
    else if (to !== undefined) setChosen(Math.min(Math.max(to, 0), slots.length - 1));
    else return;
    event.preventDefault();
  };
  return (
    <>
      <p class="value" aria-live="polite">
        {told && inWords(told, direction, weekday)}
      </p>
      <figure
        ref={figure}
        data-testid="chart"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is walked through by arrow keys
        tabIndex={0}
        aria-label={`${summary(slots, direction)} ${say.chartKeys}`}
        onKeyDown={walk}
        onBlur={() => setChosen(null)}
        onPointerLeave={() => setChosen(null)}
      >
        {size.width > 0 && slots.length > 0 && (
          <Drawing
            {...size}
            slots={slots}
            direction={direction}
            chosen={chosen}
            now={now}
            present={present}
            spans={spans}
            onChoose={setChosen}
          />
        )}
        {!slots.some((slot) => slot.in || slot.out) && <p class="nothing">{say.nobodyToday}</p>}
      </figure>
    </>
  );
}

interface DrawingProps extends Omit<BarsProps, "weekday"> {
  width: number;
  height: number;
  chosen: number | null;
  now: number;
  present: number;
  onChoose: (slot: number) => void;
}

function Drawing({ slots, direction, spans, width, height, chosen, now, present, onChoose }: DrawingProps) {
  const most = Math.max(4, ...slots.map((slot) => Math.max(slot[direction], slot.then?.[direction] ?? 0)));
  const values = ticks(most);
  const top = values.at(-1) ?? 1;
  const inner = height - MARGIN.top - MARGIN.bottom;
  const wide = (width - MARGIN.start - MARGIN.end) / slots.length;
  const x = (n: number) => MARGIN.start + n * wide;
  const y = (value: number) => MARGIN.top + inner * (1 - value / top);
  const gap = Math.min(wide * 0.16, 6);
  return (
    <svg width={width} height={height} aria-hidden="true">
      <defs>
        <pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-ground" width="6" height="6" />
          <rect class="hatch" width="3" height="6" />
        </pattern>
        <pattern id="gap" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="gap-hatch" width="1.5" height="8" />
        </pattern>
      </defs>
      {values.map((value) => (
        <line
          key={value}
          class={value ? "grid" : "base"}
          x1={MARGIN.start}
          x2={width - MARGIN.end}
          y1={y(value)}
          y2={y(value)}
        />
      ))}
      {values.map((value) => (
        <text key={value} x={MARGIN.start - 8} y={y(value) + 4} text-anchor="end">
          {sayNumber(value)}
        </text>
      ))}
      {slots.map((slot, n) => (
        <g
          key={slot.start}
          data-in={slot.in}
          data-out={slot.out}
          data-then={slot.then?.[direction] || undefined}
          data-gap={isGap(slot) || undefined}
          data-chosen={n === chosen || undefined}
          onPointerEnter={() => onChoose(n)}
          onPointerDown={() => onChoose(n)}
        >
          <rect
            class={spans.length && !isOpen(slot, spans) ? "slot closed" : "slot"}
            x={x(n)}
            width={wide}
            y={MARGIN.top}
            height={inner}
          />
          {isGap(slot) && <rect class="gap" x={x(n)} width={wide} y={MARGIN.top} height={inner} />}
          {direction === "in" && band(slot) && (
            <rect class="usual" x={x(n)} width={wide} y={y(slot.then?.high ?? 0)} height={spread(slot, y)} />
          )}
          {slot[direction] > 0 && (
            <rect
              class={`bar-${direction}`}
              x={x(n) + gap}
              width={Math.max(wide - 2 * gap, 1)}
              y={y(slot[direction])}
              height={y(0) - y(slot[direction])}
              rx={Math.min(3, wide / 5)}
            />
          )}
          {hasLabel(slots, n, wide) && (
            <text x={x(n)} y={height - 6} text-anchor={n ? "middle" : "start"}>
              {slot.from.slice(0, 2)}
            </text>
          )}
        </g>
      ))}
      <path class="then-line" d={steps(slots, direction, x, y)} />
      {slots[now] && <line class="now" {...upright(x(now + passed(slots[now], present)), MARGIN.top, y(0))} />}
    </svg>
  );
}

/** Whether there is something between the quartiles of a usual day. */
const band = ({ then }: Slot): boolean => then?.low != null && then.high != null && then.high > then.low;

const spread = ({ then }: Slot, y: (value: number) => number): number => y(then?.low ?? 0) - y(then?.high ?? 0);

const upright = (x: number, y1: number, y2: number) => ({ x1: x, x2: x, y1, y2 });

/** The part of a slot that has passed. */
const passed = (slot: Slot, now: number): number =>
  (now - Date.parse(slot.start)) / (Date.parse(slot.end) - Date.parse(slot.start));

const isPast = (slot: Slot): boolean => Date.parse(slot.start) <= second.peek();

const isOpen = (slot: Slot, spans: [string, string][]): boolean =>
  spans.some(([opens, closes]) => slot.from < closes && (slot.to > opens || slot.to === "00:00"));

/** A line in steps over the slots that there is something to compare with. */
function steps(slots: Slot[], direction: Direction, x: (n: number) => number, y: (value: number) => number): string {
  let drawn = "";
  let before: number | null = null;
  slots.forEach((slot, n) => {
    const value = slot.then?.[direction];
    if (value === undefined) {
      before = null;
      return;
    }
    drawn += before === null ? `M${x(n)},${y(value)}` : `V${y(value)}`;
    drawn += `H${x(n + 1)}`;
    before = value;
  });
  return drawn;
}

/** Labels stand at whole hours, as many as there is room for. */
function hasLabel(slots: Slot[], n: number, wide: number): boolean {
  const slot = slots[n];
  if (!slot?.from.endsWith(":00")) return false;
  const perHour = slots.some((one) => one.from.endsWith(":15")) ? 4 : 1;
  const every = [1, 2, 3, 6].find((hours) => hours * perHour * wide > 32) ?? 6;
  return Number(slot.from.slice(0, 2)) % every === 0;
}

function inWords(slot: Slot, direction: Direction, weekday: string): string {
  const time = `${slot.from}–${slot.to}`;
  const value = slot.covered === 0 ? say.notCountedThen(time) : say.chartValue(time, ...marked(slot));
  const usual = slot.then && weekday ? say.chartThen(weekday, sayNumber(slot.then[direction])) : "";
  const gap = slot.covered && isGap(slot) ? say.partly(sayShare(slot.covered)) : "";
  return [value, gap, usual].filter(Boolean).join(" · ");
}

/** INs and OUTs, with a mark where people are missing in them. */
function marked(slot: Slot): [string, string] {
  const mark = isGap(slot) ? "~" : "";
  return [mark + sayNumber(slot.in), mark + sayNumber(slot.out)];
}

function summary(slots: Slot[], direction: Direction): string {
  const total = slots.reduce((sum, slot) => sum + slot[direction], 0);
  const busiest = slots.reduce<Slot | null>(
    (most, slot) => (most && most[direction] >= slot[direction] ? most : slot),
    null,
  );
  if (!total || !busiest) return say.nobodyToday;
  return say.chartSummary(direction === "in" ? say.in : say.out, sayNumber(total), `${busiest.from}–${busiest.to}`);
}

function DayTable({ slots, weekday }: { slots: Slot[]; weekday: string }) {
  return (
    <div class="scrolls">
      <table data-testid="day-table">
        <thead>
          <tr>
            <th scope="col">{say.time}</th>
            <th scope="col" class="number">
              {say.in}
            </th>
            <th scope="col" class="number">
              {say.out}
            </th>
            {weekday && (
              <th scope="col" class="number">
                {say.inUsual(weekday)}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {slots.map((slot) => (
            <tr key={slot.start}>
              <th scope="row">{`${slot.from}–${slot.to}`}</th>
              {isPast(slot) && slot.covered === 0 ? (
                <td class="number quiet" colSpan={2}>
                  {say.notCountedShort}
                </td>
              ) : (
                marked(slot).map((value, n) => (
                  <td key={n ? "out" : "in"} class="number">
                    {isPast(slot) && value}
                  </td>
                ))
              )}
              {weekday && <td class="number">{slot.then ? sayNumber(slot.then.in) : ""}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
