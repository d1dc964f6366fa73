import { useEffect, useState } from 'react';
import { fetchSymbols, type SymbolList } from './api';

/** What the gateway tracks; `null` until it has answered. Asked for again while it does not answer. */
export function useSymbols(): { symbols: readonly string[] | null; demo: boolean } {
  const [list, setList] = useState<SymbolList | null>(null);
  useEffect(() => {
    if (list) return;
    const ask = () => void fetchSymbols().then(setList, () => undefined);
    ask();
    const again = setInterval(ask, 5_000);
    return () => clearInterval(again);
  }, [list]);
  return { symbols: list?.symbols ?? null, demo: /simulat/i.test(list?.description ?? '') };
}
