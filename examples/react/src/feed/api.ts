// What the page asks for over HTTP, beside the socket.

import type { ScalpMessage } from 'tidegate/protocol';

/** What the gateway tracks. */
export interface SymbolList {
  symbols: string[];
  count: number;
  interval: string;
  description: string;
}

/** One minute of the market. */
export interface Candle {
  /** Start of the minute, in Unix milliseconds. */
  at: number;
  open: number;
  high: number;
  low: number;
  close: number;
}

/** The symbols that this gateway has feeds for. */
export async function fetchSymbols(): Promise<SymbolList> {
  return (await getJson('/api/perps/symbols')) as SymbolList;
}

/** The last minutes of a symbol, oldest first; the running one is the last. */
export async function fetchCandles(symbol: string, limit: number): Promise<Candle[]> {
  const query = new URLSearchParams({ symbol, interval: '1m', limit: String(limit) });
  const klines = (await getJson(`/api/perps/klines?${query}`)) as KlineHead[];
  return klines.map(([at, open, high, low, close]) => ({
    at,
    open: Number(open),
    high: Number(high),
    low: Number(low),
    close: Number(close),
  }));
}

/** The fields of a Binance kline that the page draws; prices are text there. */
type KlineHead = [
  openTime: number,
  open: string,
  high: string,
  low: string,
  close: string,
  ...rest: unknown[],
];

/** The last scalp signals of a symbol, oldest first. */
export async function fetchScalpSignals(symbol: string, limit: number): Promise<ScalpMessage[]> {
  return ((await getJson(`/api/signals/scalp/${symbol}?limit=${limit}`)) as { signals: ScalpMessage[] })
    .signals;
}

/** How long the gateway takes to answer, in milliseconds. */
export async function measureRoundTrip(): Promise<number> {
  const began = performance.now();
  await getJson('/health');
  return performance.now() - began;
}

async function getJson(path: string): Promise<unknown> {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`GET ${path}: ${response.status}`);
  return response.json();
}
