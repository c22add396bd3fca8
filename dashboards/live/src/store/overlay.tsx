// What is drawn over a camera's picture: where nobody is looked for, the zones with how many stand in them, the counting
// lines with the names of their sides, and the people who are tracked. All in pixels of the frames.

import type { Area, Camera, Line, Zone } from "@metrica/shared/api/client.ts";
import { say } from "@metrica/shared/say/index.ts";
import { useId } from "preact/hooks";
import { inside, lineFigure, middle, type Point } from "./geometry.ts";
import type { Tracks } from "./model.ts";

interface Props {
  camera: Camera;
  width: number;
  height: number;
  tracks: Tracks | null;
  /** Whether the tracks are of some time ago: they fade, and nobody is counted by them. */
  stale: boolean;
}

export function Overlay({ camera, width, height, tracks, stale }: Props) {
  const unit = Math.hypot(width, height) / 60; // the size of letters and arrows
  const scale = (points: readonly Point[]): Point[] => points.map(([x, y]) => [x * width, y * height]);
  // Who stands in a zone does so with their feet: the middle of their box's lower edge, within the picture.
  const feet = (stale ? null : tracks)?.tracks.map(
    ({ box: [x1, , x2, y2] }): Point => [(x1 + x2) / 2, Math.min(y2, height - 0.5)],
  );
  return (
    <svg class="overlay" data-testid="overlay" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <Looks area={camera.detection} width={width} height={height} scale={scale} />
      {camera.zones.map((zone) => (
        <ZoneShape key={zone.id} zone={zone} polygon={scale(zone.polygon)} feet={feet} unit={unit} />
      ))}
      {camera.lines.map((line) => (
        <CountingLine key={line.id} line={line} width={width} height={height} unit={unit} />
      ))}
      <g class={stale ? "boxes stale" : "boxes"}>
        {tracks?.tracks.map(({ track, box }) => (
          <Box key={track} track={track} box={box} unit={unit} />
        ))}
      </g>
    </svg>
  );
}

const points = (polygon: readonly Point[]): string => polygon.map(([x, y]) => `${x},${y}`).join(" ");

interface LooksProps {
  area: Area;
  width: number;
  height: number;
  scale: (points: readonly Point[]) => Point[];
}

// Regions may overlap each other and what is ignored: a mask adds them up as the detector does.
function Looks({ area, width, height, scale }: LooksProps) {
  const mask = useId();
  const [regions, ignored] = [area.regions, area.ignore];
  if (!regions.length && !ignored.length) return null;
  const all = { x: 0, y: 0, width, height };
  return (
    <g>
      <mask id={mask}>
        <rect {...all} fill={regions.length ? "white" : "black"} />
        {regions.map((polygon) => (
          <polygon key={points(polygon)} points={points(scale(polygon))} fill="black" />
        ))}
        {ignored.map((polygon) => (
          <polygon key={points(polygon)} points={points(scale(polygon))} fill="white" />
        ))}
      </mask>
      <rect {...all} class="dark" mask={`url(#${mask})`} />
      {regions.map((polygon) => (
        <polygon key={points(polygon)} points={points(scale(polygon))} class="region" />
      ))}
      {ignored.map((polygon) => (
        <polygon key={points(polygon)} points={points(scale(polygon))} class="ignored" />
      ))}
    </g>
  );
}

interface ZoneProps {
  zone: Zone;
  polygon: Point[];
  feet: Point[] | undefined;
  unit: number;
}

function ZoneShape({ zone, polygon, feet, unit }: ZoneProps) {
  const [x, y] = middle(polygon);
  const name = zone.name || zone.id;
  return (
    <>
      <polygon points={points(polygon)} class="zone" />
      <text x={x} y={y} font-size={unit * 1.25} stroke-width={unit * 0.25} class="zone-text" text-anchor="middle">
        {feet ? `${name} · ${feet.filter((foot) => inside(polygon, foot)).length}` : name}
      </text>
    </>
  );
}

function CountingLine({ line, width, height, unit }: { line: Line; width: number; height: number; unit: number }) {
  const { ends, arrow, there, here } = lineFigure(line, width, height, unit);
  const text = { "text-anchor": "middle", "font-size": unit * 1.25, "stroke-width": unit * 0.25 } as const;
  return (
    <>
      <line {...ends} class="line-edge" />
      <line {...ends} class="line" />
      <path d={arrow} class="in-arrow" stroke-width={unit * 0.28} />
      <text {...text} class="in-text" x={there[0]} y={there[1]}>
        {line.in_name ? `${say.lineIn} ${line.in_name}` : say.lineIn}
      </text>
      {line.out_name && (
        <text {...text} class="out-text" x={here[0]} y={here[1]}>
          {line.out_name}
        </text>
      )}
    </>
  );
}

function Box({
  track,
  box: [x1, y1, x2, y2],
  unit,
}: {
  track: number;
  box: [number, number, number, number];
  unit: number;
}) {
  const rect = { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: unit * 0.35 };
  const label = String(track);
  const wide = unit * (0.7 + 0.62 * label.length);
  const top = Math.max(y1 - unit * 1.4, 0);
  return (
    <>
      <rect {...rect} class="box-edge" />
      <rect {...rect} class="box" />
      <rect class="tag" x={x1} y={top} width={wide} height={unit * 1.3} rx={unit * 0.3} />
      <text class="tag-text" x={x1 + wide / 2} y={top + unit} font-size={unit} text-anchor="middle">
        {label}
      </text>
    </>
  );
}
