/** Calls `work` at once, and then no more often than `every` ms; the last call always counts. */
export function paced(work: () => void, every: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        last = performance.now();
        work();
      },
      Math.max(0, last + every - performance.now()),
    );
  };
}
