/** The step of an axis: 1, 2 or 5 times a power of ten, a whole number, so that `most` needs at most `steps` of them. */
export function niceStep(most: number, steps = 4): number {
  const rough = Math.max(most, 1) / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 5, 10].find((n) => n * power >= rough) ?? 10;
  return Math.max(1, nice * power);
}

/** The values of an axis from 0 to at least `most`. */
export function ticks(most: number, steps = 4): number[] {
  const step = niceStep(most, steps);
  return Array.from({ length: Math.max(Math.ceil(most / step), 1) + 1 }, (_, n) => n * step);
}
