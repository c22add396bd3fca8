import "./camera.css";
import type { Camera, LineCount } from "@metrica/shared/api/client.ts";
import { second, serverNow } from "@metrica/shared/live/clock.ts";
import { Pairing } from "@metrica/shared/live/pairing.ts";
import { below } from "@metrica/shared/root.ts";
import { say, sayAge, sayNumber, saySeconds } from "@metrica/shared/say/index.ts";
import { ask } from "@metrica/shared/session.ts";
import { useEffect, useRef, useState } from "preact/hooks";
import { doing, worst } from "../stores/health.tsx";
import type { StoreModel, Tracks } from "./model.ts";
import { Overlay } from "./overlay.tsx";
import { Week } from "./week.tsx";

const PICTURE_EVERY = 250; // ms
const [NO_PICTURE_FIRST, NO_PICTURE_LONGEST] = [2_000, 30_000];
const STALE = 1_000; // ms: boxes older than this fade
const [LATE, OLD] = [2, 10]; // seconds at which an age turns amber, then red
const TICK = 200;

interface Picture {
  at: number;
  seq: string;
  bitmap: ImageBitmap;
}

interface Shown {
  width: number;
  height: number;
  seq: string;
  at: number;
  tracks: Tracks | null;
}

/** One camera: its picture with who is tracked in it, how old that is, and how it does. */
export function CameraCard({ model, camera, counted }: { model: StoreModel; camera: Camera; counted: LineCount[] }) {
  const status = worst(camera.statuses);
  const { words, tone } = doing(camera, status);
  const run = camera.statuses.find((one) => one.model)?.model;
  const message = status && status.state !== "running" ? status.message : "";
  const ended = status !== null && ["finished", "already_counted", "stopped"].includes(status.state);
  return (
    <article class="card camera" data-testid="camera" data-camera={camera.id}>
      <View model={model} camera={camera} ended={ended} />
      <div class="about">
        <h3>{camera.name || camera.id}</h3>
        <p class="state" data-testid="state" data-tone={tone} data-state={status?.state ?? ""}>
          {words}
        </p>
        <Lines camera={camera} counted={counted} />
        <p class="model quiet">
          {run ? say.countedBy : say.model}{" "}
          <span data-testid="model">{run ? [run.name, run.precision].filter(Boolean).join(" · ") : camera.model}</span>
        </p>
      </div>
      <p class="message" data-testid="message" data-tone={tone} hidden={!message}>
        {message}
      </p>
      <Week camera={camera} timeZone={model.store.value?.time_zone ?? "UTC"} />
    </article>
  );
}

function Lines({ camera, counted }: { camera: Camera; counted: LineCount[] }) {
  return (
    <dl class="lines">
      {camera.lines.map((line) => {
        const count = counted.find((one) => one.camera === camera.id && one.line === line.id);
        const side = (name: string) => (name ? ` → ${name}` : "");
        return (
          <div key={line.id}>
            <dt>{camera.lines.length > 1 ? `${line.name || line.id}: ` : ""}</dt>
            <dd>
              <b>{sayNumber(count?.in ?? 0)}</b>
              {` in${side(line.in_name)} · `}
              <b>{sayNumber(count?.out ?? 0)}</b>
              {` out${side(line.out_name)}`}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function View({ model, camera, ended }: { model: StoreModel; camera: Camera; ended: boolean }) {
  const [shown, setShown] = useState<Shown | null>(null);
  const [missing, setMissing] = useState<string | null>(say.waitingForPicture);
  const [stale, setStale] = useState(false);
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<HTMLDivElement>(null);
  const heard = useRef<{ at: number; captured: number } | null>(null);

  useEffect(() => {
    const pairing = new Pairing<Picture, { at: number; tracks: Tracks }>();
    let [inView, closed] = [true, false];
    let etag: string | null = null;
    let wait = NO_PICTURE_FIRST;

    const show = () => {
      const next = pairing.take(performance.now());
      if (!next) return;
      const { picture, tracks } = next;
      const { width, height } = picture.bitmap;
      if (canvas.current) {
        [canvas.current.width, canvas.current.height] = [width, height];
        canvas.current.getContext("2d")?.drawImage(picture.bitmap, 0, 0);
      }
      picture.bitmap.close();
      setShown({ width, height, seq: picture.seq, at: picture.at, tracks: tracks?.tracks ?? null });
      setMissing(null);
    };

    const heardTracks = (tracks: Tracks) => {
      const captured = tracks.captured_at / 1e6;
      heard.current = { at: performance.now(), captured };
      pairing.addTracks({ at: captured, tracks });
      setStale(false);
      show();
      // Without a picture to put them on, they are shown as they come.
      setShown((now) =>
        now && now.seq !== ""
          ? now
          : { ...now, width: tracks.width, height: tracks.height, seq: "", at: captured, tracks },
      );
    };

    const fetchPicture = async (): Promise<boolean> => {
      const url = below(`v1/cameras/${encodeURIComponent(camera.id)}/frame.jpg`);
      const answer = await ask(new Request(url, { cache: "no-store", headers: etag ? { "If-None-Match": etag } : {} }));
      if (answer.status === 304) return true;
      if (!answer.ok) {
        const { detail } = await answer.json();
        if (!etag) setMissing(detail);
        else view.current?.setAttribute("data-old", "");
        return false;
      }
      etag = answer.headers.get("ETag");
      const at = Number(answer.headers.get("Metrica-Captured-At")) / 1e6;
      const bitmap = await createImageBitmap(await answer.blob());
      pairing.addPicture({ at, seq: answer.headers.get("Metrica-Seq") ?? "", bitmap }, performance.now());
      view.current?.removeAttribute("data-old");
      show();
      return true;
    };

    const followPictures = async () => {
      while (!closed) {
        const begun = performance.now();
        if (!inView || document.hidden) await pause(PICTURE_EVERY);
        else if (await fetchPicture().catch(() => false)) {
          wait = NO_PICTURE_FIRST;
          await pause(Math.max(PICTURE_EVERY - (performance.now() - begun), 50));
        } else {
          await pause(wait);
          wait = etag === null ? NO_PICTURE_FIRST : Math.min(wait * 1.5, NO_PICTURE_LONGEST);
        }
      }
    };

    const observer = new IntersectionObserver((entries) => {
      inView = entries.at(-1)?.isIntersecting ?? true;
    });
    if (view.current) observer.observe(view.current);
    const deaf = model.hear(camera.id, heardTracks);
    const timer = setInterval(() => {
      show();
      if (heard.current && performance.now() - heard.current.at > STALE) setStale(true);
    }, TICK);
    void followPictures();
    return () => {
      closed = true;
      observer.disconnect();
      deaf();
      clearInterval(timer);
    };
  }, [model, camera.id]);

  const { width, height } = shown ?? { width: 16, height: 9 };
  return (
    <div class="view" ref={view} style={shown ? { aspectRatio: `${width} / ${height}` } : undefined}>
      <canvas
        ref={canvas}
        class="picture"
        data-testid="picture"
        data-seq={shown?.seq || undefined}
        role="img"
        aria-label={say.pictureOf(camera.name || camera.id)}
      />
      <Overlay camera={camera} width={width} height={height} tracks={shown?.tracks ?? null} stale={stale} />
      <p class="placeholder" data-testid="placeholder" hidden={missing === null}>
        {missing}
      </p>
      <Age
        camera={camera}
        ended={ended}
        heard={heard.current}
        picturedAt={shown?.at ?? null}
        timeZone={model.store.value?.time_zone ?? "UTC"}
      />
    </div>
  );
}

interface AgeProps {
  camera: Camera;
  ended: boolean;
  heard: { at: number; captured: number } | null;
  picturedAt: number | null;
  timeZone: string;
}

/** How old what is shown is. A recording has times of its own: there, it is the age of the last word about it. */
function Age({ camera, ended, heard, picturedAt, timeZone }: AgeProps) {
  second.value; // drawn anew each second
  const captured = heard?.captured ?? picturedAt; // where nobody tracks, the picture's
  if (ended || captured === null) return <p class="age" data-testid="age" />;
  const recording = camera.policy === "every";
  const since = heard ? performance.now() - heard.at : Number.POSITIVE_INFINITY;
  const seconds = recording ? Math.min(since, 3.6e6) / 1000 : (serverNow() - captured) / 1000;
  return (
    <p class="age" data-testid="age" data-age={seconds > OLD ? "old" : seconds > LATE ? "late" : "fresh"}>
      {recording ? say.recording(saySeconds(captured, timeZone)) : sayAge(seconds)}
    </p>
  );
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
