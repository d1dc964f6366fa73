import { useEffect, useState } from 'react';
import type { ScalpMessage } from 'tidegate/protocol';
import { fetchScalpSignals } from './api';
import { addToTape, lacksHistory, type TapeRow } from './tape';

/** An hour, so that the chart has something to draw at once. */
const HISTORY = 120;

/** Every signal of one symbol: what the subscription delivered, and the hour before the page was opened. */
export function useTape(symbol: string, delivered: readonly ScalpMessage[]): readonly TapeRow[] {
  const [tape, setTape] = useState<readonly TapeRow[]>([]);
  useEffect(() => setTape((held) => addToTape(held, delivered, 'live')), [delivered]);
  const lacking = lacksHistory(tape);
  useEffect(() => {
    if (!lacking) return;
    fetchScalpSignals(symbol, HISTORY).then(
      (signals) => setTape((held) => addToTape(held, signals, 'history')),
      // A courtesy: without it the tape begins with the first signal.
      () => undefined,
    );
  }, [symbol, lacking]);
  return tape;
}
