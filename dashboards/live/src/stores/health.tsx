import "./health.css";
import type { Camera, State, Status, Store } from "@metrica/shared/api/client.ts";
import { say } from "@metrica/shared/say/index.ts";

export type Tone = "good" | "warn" | "bad" | "calm";

const TONES: Record<State, Tone> = {
  running: "good",
  starting: "warn",
  stopped: "calm",
  already_counted: "calm",
  finished: "calm",
  retrying: "warn",
  no_model: "bad",
  refused: "bad",
};
// From well to ill, as the API has it: a camera does as the worst word about it.
const SEVERITY = Object.keys(TONES) as State[];

export function worst(statuses: Iterable<Status>): Status | null {
  let bad: Status | null = null;
  for (const one of statuses) {
    if (!bad || SEVERITY.indexOf(one.state) > SEVERITY.indexOf(bad.state)) bad = one;
  }
  return bad;
}

/** How a camera does, in words and as a tone. */
export function doing(camera: Camera, status: Status | null): { words: string; tone: Tone } {
  if (camera.paused) return { words: say.paused, tone: "calm" };
  if (!status) return { words: say.waitingForIngest, tone: "warn" };
  return { words: say.states[status.state] ?? status.state, tone: TONES[status.state] };
}

export interface Health {
  /** Cameras that count, or have nothing more to count. */
  ok: number;
  all: number;
  tone: Tone;
}

/** How a store's cameras do together. */
export function health(store: Store): Health {
  const tones = store.cameras.map((camera) => doing(camera, worst(camera.statuses)).tone);
  const ok = tones.filter((tone) => tone === "good" || tone === "calm").length;
  const tone = !tones.length ? "calm" : tones.includes("bad") ? "bad" : ok < tones.length ? "warn" : "good";
  return { ok, all: tones.length, tone };
}

const GLYPHS: Record<Tone, string> = { good: "●", warn: "▲", bad: "✕", calm: "○" };

/** Colour and shape; with its words for who sees neither. */
export function Dot({ health }: { health: Health }) {
  return (
    <span
      class="dot"
      data-tone={health.tone}
      role="img"
      aria-label={health.all ? say.counting(health.ok, health.all) : say.noCamera}
    >
      {GLYPHS[health.tone]}
    </span>
  );
}
