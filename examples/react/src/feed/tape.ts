// The list of signals that the page knows: newest first, each once, bounded.

import type { ScalpMessage } from 'tidegate/protocol';

/** How many signals are kept: about four hours of scalp. */
export const TAPE_ROWS = 500;

/** One signal, and how it came. */
export interface TapeRow {
  /** The signal, whole, as it was on the wire. */
  signal: ScalpMessage;
  /** `live`: from the subscription. `history`: asked for over HTTP, to have something to draw at once. */
  via: 'live' | 'history';
}

/** The tape with `signals` added; the very same array when that changes nothing. */
export function addToTape(tape: readonly TapeRow[], signals: readonly ScalpMessage[], via: TapeRow['via']) {
  const rows = new Map(tape.map((row) => [row.signal.seq, row]));
  let changed = false;
  for (const signal of signals) {
    const row = rows.get(signal.seq);
    // What the subscription delivered is marked as such, whichever way it came first.
    if (row && (row.via === 'live' || via === 'history')) continue;
    rows.set(signal.seq, { signal, via });
    changed = true;
  }
  if (!changed) return tape;
  return [...rows.values()].sort((a, b) => b.signal.seq - a.signal.seq).slice(0, TAPE_ROWS);
}

/** Whether history should be asked for: there is none yet, or signals came between it and the first live one. */
export function lacksHistory(tape: readonly TapeRow[]): boolean {
  const oldestLive = tape.findLastIndex((row) => row.via === 'live');
  if (oldestLive === -1) return tape.length === 0;
  const before = tape[oldestLive + 1];
  return before?.signal.seq !== tape[oldestLive]?.signal.prev;
}
