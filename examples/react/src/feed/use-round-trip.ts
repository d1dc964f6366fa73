import { useEffect, useState } from 'react';
import { measureRoundTrip } from './api';

const EVERY_MS = 15_000;

/** How long the gateway takes to answer, in milliseconds, measured while `live`; `null` otherwise. */
export function useRoundTrip(live: boolean): number | null {
  const [ms, setMs] = useState<number | null>(null);
  useEffect(() => {
    if (!live) return setMs(null);
    const measure = () =>
      void measureRoundTrip().then(setMs, () => {
        // The connection's own state will tell.
        setMs(null);
      });
    measure();
    const timer = setInterval(measure, EVERY_MS);
    return () => clearInterval(timer);
  }, [live]);
  return ms;
}
