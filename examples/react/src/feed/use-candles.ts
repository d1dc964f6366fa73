import { useEffect, useRef, useState } from 'react';
import { type Candle, fetchCandles } from './api';

/** An hour, and the running minute. */
const CANDLES = 61;
/** At a demo's higher speeds signals come faster than anybody can read candles. */
const SHORTEST_PAUSE_MS = 1_000;

/** The last hour of a symbol, read again after each signal (`seq`): what the socket pushes are signals, not prices. */
export function useCandles(symbol: string, seq: number | undefined): readonly Candle[] {
  const [candles, setCandles] = useState<readonly Candle[]>([]);
  const readAt = useRef(Number.NEGATIVE_INFINITY);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new signal is the reason to read again
  useEffect(() => {
    const read = () => {
      readAt.current = performance.now();
      // A failed read leaves the old candles; the next signal tries again.
      fetchCandles(symbol, CANDLES).then(setCandles, () => undefined);
    };
    const timer = setTimeout(read, Math.max(0, readAt.current + SHORTEST_PAUSE_MS - performance.now()));
    return () => clearTimeout(timer);
  }, [symbol, seq]);
  return candles;
}
