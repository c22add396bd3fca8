// Pictures and the people tracked in them come by different ways: they are put together by when they were captured.

export interface Captured {
  /** When it was captured, ms by the API's clock. */
  at: number;
}

const NEAR = 120; // ms: tracks come ten times a second at most, so a picture's own may be left out
const PATIENCE = 1_000; // ms that a picture waits for its tracks: behind a slow detector they come late
const KEPT = 3_000;

/** Holds pictures until their tracks are there. */
export class Pairing<Picture extends Captured, Tracks extends Captured> {
  private waiting: { picture: Picture; since: number }[] = [];
  private tracks: Tracks[] = [];

  addPicture(picture: Picture, now: number): void {
    this.waiting.push({ picture, since: now });
  }

  addTracks(tracks: Tracks): void {
    const newest = tracks.at;
    this.tracks = [...this.tracks.filter(({ at }) => Math.abs(newest - at) < KEPT), tracks];
  }

  /** The next picture to be shown, with its tracks if it has any; null while the present one stays. */
  take(now: number): { picture: Picture; tracks: Tracks | null } | null {
    for (let n = this.waiting.length - 1; n >= 0; n--) {
      const { picture, since } = this.waiting[n]!;
      const tracks = this.nearest(picture.at);
      if (tracks || now - since >= PATIENCE) {
        this.waiting.splice(0, n + 1);
        return { picture, tracks };
      }
    }
    return null;
  }

  private nearest(at: number): Tracks | null {
    const best = this.tracks.reduce<Tracks | null>(
      (best, one) => (best && Math.abs(best.at - at) <= Math.abs(one.at - at) ? best : one),
      null,
    );
    return best && Math.abs(best.at - at) <= NEAR ? best : null;
  }
}
