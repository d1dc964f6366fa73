import { useState } from 'react';

/** Until the first signal has said when the next one is due. */
const DEFAULT_MS = 30_000;

/**
 * The time between two signals of a feed, for a countdown to start from: the longest wait that was announced. It is
 * the gateway's to say, since a demo may run faster than real time.
 */
export function useIntervalMs(receivedAt: number | null, nextAt: number | null): number {
  const [longest, setLongest] = useState(0);
  const wait = receivedAt === null || nextAt === null ? 0 : nextAt - receivedAt;
  if (wait > longest) setLongest(wait);
  return Math.max(wait, longest) || DEFAULT_MS;
}
