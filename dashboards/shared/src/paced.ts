/** Calls `work` at once, and then no more often than `every` ms; the last call always counts. */
export function paced(work: () => void, every: number): () => void {
  let planned = false;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (planned) return;
    planned = true;
    setTimeout(
      () => {
        planned = false;
        last = performance.now();
        work();
      },
      Math.max(0, last + every - performance.now()),
    );
  };
}
