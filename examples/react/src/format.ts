// Numbers and times as the page shows them. All of it is pure: what "now" is, is an argument.

const priceFormats = new Map<number, Intl.NumberFormat>();

/** A price with as many decimals as its size calls for: 107,478.50 · 182.3450 · 0.512300. */
export function price(value: number): string {
  const decimals = value >= 1000 ? 2 : value >= 1 ? 4 : 6;
  let format = priceFormats.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat('en-US', {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
    priceFormats.set(decimals, format);
  }
  return format.format(value);
}

/** A signed percentage with a real minus sign: +0.15 % · −0.10 %. */
export function percent(value: number, decimals = 2): string {
  const rounded = Math.abs(value).toFixed(decimals);
  const sign = Number(rounded) === 0 ? '' : value < 0 ? '−' : '+';
  return `${sign}${rounded}\u202f%`;
}

/** How far `value` is from `base`, in percent. */
export function distance(value: number, base: number): number {
  return base === 0 ? 0 : ((value - base) / base) * 100;
}

/** A short span: 12 s · 4 min · 2 h. */
export function span(ms: number): string {
  if (ms < 100_000) return `${Math.max(0, Math.round(ms / 1_000))}\u202fs`;
  if (ms < 6_000_000) return `${Math.round(ms / 60_000)}\u202fmin`;
  return `${Math.round(ms / 3_600_000)}\u202fh`;
}

/** How long ago something was: now · 12 s ago. */
export function ago(ms: number): string {
  return ms < 1_000 ? 'now' : `${span(ms)} ago`;
}

/** Time left as a clock: 14:32 · 1:02:10. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const pad = (value: number) => String(value).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** Time of day in UTC, with seconds unless told otherwise. */
export function timeOfDay(at: number, seconds = true): string {
  return new Date(at).toISOString().slice(11, seconds ? 19 : 16);
}

/** An address short enough for a button: 0x742d…3f1a. */
export function shortAddress(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** `BTCUSDT` → `BTC`, `USDT`; an unknown quote leaves the symbol whole. */
export function splitSymbol(symbol: string): [base: string, quote: string] {
  const quote = ['USDT', 'USDC', 'USD', 'EUR', 'BTC'].find(
    (end) => symbol.length > end.length && symbol.endsWith(end),
  );
  return quote ? [symbol.slice(0, -quote.length), quote] : [symbol, ''];
}
