// The arithmetic of the chart, apart from the drawing so that it can be tested.

/** Maps a value of `from` linearly onto `to`. */
export function scale(from: [number, number], to: [number, number]): (value: number) => number {
  const width = from[1] - from[0] || 1;
  return (value) => to[0] + ((value - from[0]) / width) * (to[1] - to[0]);
}

/** The smallest span that holds all values, widened by `margin` on both sides. */
export function extent(values: Iterable<number>, margin: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const room = (high - low || Math.abs(high) * 0.001 || 1) * margin;
  return [low - room, high + room];
}

/** Round values inside `[low, high]`, about `count` of them: steps of 1, 2 or 5 times a power of ten. */
export function roundTicks([low, high]: [number, number], count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => (first + at) * step);
}

const TIME_STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1440];

/** Full minutes inside `[from, to]`, at most `count` of them. */
export function timeTicks([from, to]: [number, number], count: number): number[] {
  const rough = (to - from) / 60_000 / count;
  const step =
    60_000 * (TIME_STEPS_MIN.find((minutes) => minutes >= rough) ?? Math.ceil(rough / 1440) * 1440);
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => (first + at) * step);
}

/** Moves labels apart so that each keeps `gap` to the next; order and values stay as they were. */
export function spread(positions: readonly number[], gap: number, [low, high]: [number, number]): number[] {
  const order = positions.map((_, at) => at).sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0));
  const placed = [...positions];
  let floor = low;
  for (const at of order) {
    placed[at] = Math.max(placed[at] ?? 0, floor);
    floor = (placed[at] ?? 0) + gap;
  }
  let ceiling = high;
  for (const at of order.reverse()) {
    placed[at] = Math.min(placed[at] ?? 0, ceiling);
    ceiling = (placed[at] ?? 0) - gap;
  }
  return placed;
}
