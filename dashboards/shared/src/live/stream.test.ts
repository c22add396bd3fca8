import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AWAY_AFTER, HIDDEN_FOR, SILENCE, Stream } from "./stream.ts";

/** An EventSource that a test speaks through. */
class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static all: FakeSource[] = [];
  static get last(): FakeSource {
    return FakeSource.all.at(-1)!;
  }
  readyState = 1;
  onerror: (() => void) | null = null;
  readonly url: string;
  constructor(url: string) {
    super();
    this.url = url;
    FakeSource.all.push(this);
  }
  close(): void {
    this.readyState = FakeSource.CLOSED;
  }
  say(kind: string, data: unknown = {}): void {
    if (this.readyState !== FakeSource.CLOSED)
      this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
  }
  fail(readyState: number): void {
    this.readyState = readyState;
    this.onerror?.();
  }
}

let stream: Stream;
let heard: string[];
const renew = vi.fn(async () => {});
const clock = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeSource);
  FakeSource.all = [];
  heard = [];
  renew.mockClear();
  clock.mockClear();
  stream = new Stream("/events", {
    whole: "snapshot",
    on: { snapshot: () => heard.push("snapshot"), counts: () => heard.push("counts") },
    clock,
    renew,
  });
});

afterEach(() => {
  stream.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const beat = (bus = true) => FakeSource.last.say("heartbeat", { now: 1, bus });
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a snapshot makes it live, and events are handed on", () => {
  expect(stream.state.value).toBe("connecting");
  FakeSource.last.say("snapshot");
  FakeSource.last.say("counts");
  expect(stream.state.value).toBe("live");
  expect(stream.lostAt.value).toBeNull();
  expect(heard).toEqual(["snapshot", "counts"]);
});

test("a heartbeat tells the API's clock, and whether the bus is away", () => {
  FakeSource.last.say("snapshot");
  beat(false);
  expect(stream.state.value).toBe("delayed");
  FakeSource.last.say("snapshot"); // does not know of the bus
  expect(stream.state.value).toBe("delayed");
  beat();
  expect(stream.state.value).toBe("live");
  expect(clock).toHaveBeenCalledTimes(2);
});

test("with heartbeats each 5 s it stays live", async () => {
  FakeSource.last.say("snapshot");
  for (let n = 0; n < 10; n++) {
    await pass(5_000);
    beat();
  }
  expect(stream.state.value).toBe("live");
  expect(FakeSource.all).toHaveLength(1);
});

test("a silent API is checked within 8 s, and away 5 s later; since when is known", async () => {
  FakeSource.last.say("snapshot");
  const last = Date.now();
  await pass(SILENCE + 1_000);
  expect(stream.state.value).toBe("checking");
  expect(FakeSource.all).toHaveLength(2);
  await pass(AWAY_AFTER);
  expect(stream.state.value).toBe("away");
  expect(stream.lostAt.value).toBe(last);
});

test("an API that was frozen is live again by its next snapshot", async () => {
  FakeSource.last.say("snapshot");
  await pass(SILENCE + AWAY_AFTER + 1_000);
  FakeSource.last.say("snapshot");
  expect(stream.state.value).toBe("live");
  expect(stream.lostAt.value).toBeNull();
});

test("a connection that hangs is opened anew, again and again", async () => {
  FakeSource.last.say("snapshot");
  await pass(5 * (SILENCE + 1_000));
  expect(FakeSource.all.length).toBeGreaterThanOrEqual(5);
  expect(FakeSource.all.filter((source) => source.readyState !== FakeSource.CLOSED)).toHaveLength(1);
});

test("after a cut the browser comes back by itself", async () => {
  FakeSource.last.say("snapshot");
  FakeSource.last.fail(0);
  expect(stream.state.value).toBe("reconnecting");
  await pass(2_000);
  FakeSource.last.say("snapshot");
  expect(FakeSource.all).toHaveLength(1);
  expect(stream.state.value).toBe("live");
});

test("an answer that is no stream is asked for again, after the sign-in was renewed", async () => {
  FakeSource.last.fail(FakeSource.CLOSED);
  await pass(1_500);
  expect(renew).toHaveBeenCalledOnce();
  expect(FakeSource.all).toHaveLength(2);
});

test("who waits for somebody to sign in does not open it over and over", async () => {
  renew.mockImplementation(() => new Promise(() => {}));
  FakeSource.last.fail(FakeSource.CLOSED);
  await pass(60_000);
  expect(renew).toHaveBeenCalledOnce();
  expect(FakeSource.all).toHaveLength(1);
});

test("a hidden tab lets go after 10 s, and is back when it is seen", async () => {
  FakeSource.last.say("snapshot");
  const visibility = vi.spyOn(document, "visibilityState", "get");
  visibility.mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(HIDDEN_FOR / 2);
  expect(FakeSource.last.readyState).not.toBe(FakeSource.CLOSED);
  await pass(HIDDEN_FOR);
  expect(FakeSource.last.readyState).toBe(FakeSource.CLOSED);

  visibility.mockReturnValue("visible");
  document.dispatchEvent(new Event("visibilitychange"));
  expect(FakeSource.all).toHaveLength(2);
  FakeSource.last.say("snapshot");
  expect(stream.state.value).toBe("live");
});

test("what is closed stays closed", async () => {
  stream.close();
  await pass(60_000);
  expect(FakeSource.all).toHaveLength(1);
});
