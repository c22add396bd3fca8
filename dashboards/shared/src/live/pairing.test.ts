import { expect, test } from "vitest";
import { Pairing } from "./pairing.ts";

type Named = { at: number; name: string };
const made = () => new Pairing<Named, Named>();
const one = (at: number, name = String(at)): Named => ({ at, name });

test("a picture waits for the tracks of its own frame", () => {
  const pairing = made();
  pairing.addPicture(one(1_000), 0);
  expect(pairing.take(100)).toBeNull();
  pairing.addTracks(one(750));
  expect(pairing.take(200)).toBeNull();
  pairing.addTracks(one(1_000, "own"));
  expect(pairing.take(300)?.tracks?.name).toBe("own");
  expect(pairing.take(400)).toBeNull();
});

test("tracks that were there before the picture are found", () => {
  const pairing = made();
  for (const at of [800, 900, 1_000, 1_100]) pairing.addTracks(one(at));
  pairing.addPicture(one(1_000), 0);
  expect(pairing.take(0)?.tracks?.at).toBe(1_000);
});

test("the nearest tracks do where a frame's own were left out", () => {
  const pairing = made();
  pairing.addTracks(one(900));
  pairing.addTracks(one(1_080));
  pairing.addPicture(one(1_000), 0);
  expect(pairing.take(0)?.tracks?.at).toBe(1_080);
});

test("without tracks a picture is shown after a second, with nobody in it", () => {
  const pairing = made();
  pairing.addPicture(one(1_000), 0);
  expect(pairing.take(999)).toBeNull();
  expect(pairing.take(1_000)).toEqual({ picture: one(1_000), tracks: null });
});

test("the newest picture that can be shown is, and older ones are forgotten", () => {
  const pairing = made();
  pairing.addPicture(one(1_000), 0);
  pairing.addPicture(one(1_500), 100);
  pairing.addPicture(one(2_000), 200);
  pairing.addTracks(one(1_500));
  expect(pairing.take(300)?.picture.at).toBe(1_500);
  pairing.addTracks(one(1_000));
  expect(pairing.take(300)).toBeNull();
});
