// One clock for every countdown on the page: it ticks only while somebody looks at it.

const listeners = /* @__PURE__ */ new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let second = 0;

/** Calls back once a second until the function that it returns is called. */
export function watchSeconds(listener: () => void): () => void {
  const own = () => listener();
  listeners.add(own);
  timer ??= setInterval(tick, 1_000);
  return () => {
    listeners.delete(own);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Counts the ticks: a value that changes only with them, as `useSyncExternalStore` wants it. */
export const currentSecond = (): number => second;

function tick(): void {
  second += 1;
  for (const listener of [...listeners]) listener();
}
