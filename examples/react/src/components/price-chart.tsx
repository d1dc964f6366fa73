import { type PointerEvent, useEffect, useState } from 'react';
import type { ScalpMessage } from 'tidegate/protocol';
import type { Candle } from '../feed/api';
import { distance, percent, price, timeOfDay } from '../format';
import { extent, roundTicks, scale, spread, timeTicks } from './chart-scale';

const MINUTE = 60_000;
const AXIS_WIDTH = 84;
const TIME_HEIGHT = 24;
const RIBBON_HEIGHT = 22;
const LABEL_HEIGHT = 20;

interface PriceChartProps {
  symbol: string;
  /** Oldest first. */
  candles: readonly Candle[];
  /** Newest first. */
  signals: readonly ScalpMessage[];
  /** Whether the newest signal still holds: entry, target and stop are drawn only then. */
  current: boolean;
}

/** The last hour in candles; EMA, sides and levels as the signals say. Plain SVG. */
export function PriceChart({ symbol, candles, signals, current }: PriceChartProps) {
  const [hovered, hover] = useState<number | null>(null);
  const under = candles.find((candle) => candle.at === hovered);
  const shown = under?.close ?? candles.at(-1)?.close;
  const since = candles[0];
  return (
    <section className="panel chart" aria-label={`Price of ${symbol}`}>
      <header className="chart-head">
        <div>
          <h2>{symbol}</h2>
          <p className="chart-price">
            <b>{shown === undefined ? '–' : price(shown)}</b>
            {since && shown !== undefined && (
              <Change
                by={distance(shown, since.open)}
                note={under ? `at ${timeOfDay(under.at, false)} UTC` : 'in an hour'}
              />
            )}
          </p>
        </div>
        <ul className="legend">
          <li className="legend-price">Minutes</li>
          <li className="legend-ema">
            EMA 5 min <b>{signals[0] ? price(signals[0].data.ema_1min) : '–'}</b>
          </li>
          <li className="legend-ribbon">Side</li>
        </ul>
      </header>
      <Plot
        symbol={symbol}
        candles={candles}
        signals={signals}
        current={current}
        hovered={hovered}
        hover={hover}
      />
    </section>
  );
}

function Change({ by, note }: { by: number; note: string }) {
  const tone = by > 0 ? 'side-long' : by < 0 ? 'side-short' : 'quiet';
  return (
    <span className="chart-change">
      <span className={tone}>{percent(by)}</span> <span className="quiet">{note}</span>
    </span>
  );
}

interface PlotProps extends PriceChartProps {
  hovered: number | null;
  hover: (at: number | null) => void;
}

function Plot({ symbol, candles, signals, current, hovered, hover }: PlotProps) {
  const [ref, size] = useSize();
  const latest = current ? signals[0] : undefined;
  const frame = size.width > 0 && candles.length > 1 ? frameOf(candles, latest, size) : null;
  const levels = frame ? levelsOf(candles, latest, frame) : [];
  const follow = (event: PointerEvent) => {
    if (!frame) return;
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    hover(Math.floor(frame.timeAt(x) / MINUTE) * MINUTE);
  };
  return (
    <div className="plot" ref={ref} onPointerMove={follow} onPointerLeave={() => hover(null)}>
      {frame ? (
        <svg
          width={size.width}
          height={size.height}
          role="img"
          aria-label={summary(symbol, candles, signals)}
        >
          <Grid frame={frame} levels={levels} />
          <Candles candles={candles} frame={frame} />
          <Ema signals={signals} frame={frame} />
          <Ribbon signals={signals} frame={frame} />
          <Levels signal={latest} levels={levels} frame={frame} />
          <Crosshair candle={candles.find((candle) => candle.at === hovered)} frame={frame} />
        </svg>
      ) : (
        <div className="plot-empty bone" />
      )}
    </div>
  );
}

interface Frame {
  x: (at: number) => number;
  y: (price: number) => number;
  timeAt: (x: number) => number;
  times: [number, number];
  prices: [number, number];
  /** The drawing area, without the price axis on the right. */
  width: number;
  /** The same, without ribbon and times below. */
  height: number;
}

function frameOf(
  candles: readonly Candle[],
  latest: ScalpMessage | undefined,
  size: { width: number; height: number },
): Frame {
  const [first, last] = [candles[0] as Candle, candles.at(-1) as Candle];
  const to = last.at + MINUTE;
  // Room on the right for the levels of the latest signal, until they expire.
  const expires = latest ? latest.seq + latest.data.expected_hold_minutes * MINUTE : 0;
  const times: [number, number] = [first.at, Math.max(to + 2 * MINUTE, Math.min(expires, to + 10 * MINUTE))];
  const levels = latest && latest.data.side !== 'NEUTRAL' ? [latest.data.tp_price, latest.data.sl_price] : [];
  const prices = extent([...candles.flatMap(({ high, low }) => [high, low]), ...levels], 0.06);
  const [width, height] = [size.width - AXIS_WIDTH, size.height - TIME_HEIGHT - RIBBON_HEIGHT];
  return {
    width,
    height,
    times,
    prices,
    x: scale(times, [0, width]),
    y: scale(prices, [height, 4]),
    timeAt: scale([0, width], times),
  };
}

function Grid({ frame, levels }: { frame: Frame; levels: readonly LevelLabel[] }) {
  const { x, y, width, height } = frame;
  const free = (at: number) => levels.every((level) => Math.abs(level.label - at) >= LABEL_HEIGHT * 0.9);
  return (
    <g className="grid">
      {roundTicks(frame.prices, 5).map((value) => (
        <g key={value}>
          <line x1="0" x2={width} y1={y(value)} y2={y(value)} />
          {free(y(value)) && (
            <text x={width + 12} y={y(value)} dy="0.35em">
              {price(value)}
            </text>
          )}
        </g>
      ))}
      {timeTicks(frame.times, Math.max(2, Math.floor(width / 90))).map((at) => (
        <text key={at} className="grid-time" x={x(at)} y={height + RIBBON_HEIGHT + 17}>
          {timeOfDay(at, false)}
        </text>
      ))}
    </g>
  );
}

function Candles({ candles, frame: { x, y } }: { candles: readonly Candle[]; frame: Frame }) {
  const slot = x(MINUTE) - x(0);
  const width = Math.max(1, Math.min(9, Math.round(slot * 0.64)));
  return (
    <g>
      {candles.map(({ at, open, high, low, close }) => {
        const middle = x(at) + slot / 2;
        const [top, bottom] = [y(Math.max(open, close)), y(Math.min(open, close))];
        return (
          <g key={at} className={close >= open ? 'candle candle-up' : 'candle candle-down'}>
            <line x1={middle} x2={middle} y1={y(high)} y2={y(low)} />
            <rect x={middle - width / 2} y={top} width={width} height={Math.max(1, bottom - top)} />
          </g>
        );
      })}
    </g>
  );
}

function Ema({ signals, frame }: { signals: readonly ScalpMessage[]; frame: Frame }) {
  const points = signals
    .filter(({ seq }) => seq >= frame.times[0])
    .map(({ seq, data }) => `${frame.x(seq).toFixed(1)},${frame.y(data.ema_1min).toFixed(1)}`);
  return <polyline className="line line-ema" points={points.join(' ')} />;
}

/** One bar for each signal: LONG above the middle, SHORT below it, NEUTRAL a dot. */
function Ribbon({ signals, frame }: { signals: readonly ScalpMessage[]; frame: Frame }) {
  const middle = frame.height + RIBBON_HEIGHT / 2;
  const width = Math.max(1.5, Math.min(5, (frame.x(MINUTE) - frame.x(0)) * 0.3));
  const shapes = { LONG: [-8, 8], SHORT: [0, 8], NEUTRAL: [-0.75, 1.5] } as const;
  return (
    <g>
      <line className="ribbon-axis" x1="0" x2={frame.width} y1={middle} y2={middle} />
      {signals
        .filter(({ seq }) => seq >= frame.times[0])
        .map(({ seq, data }) => {
          const [top, height] = shapes[data.side];
          const left = frame.x(seq) - width / 2;
          const fill = `fill-${data.side.toLowerCase()}`;
          return <rect key={seq} className={fill} x={left} y={middle + top} width={width} height={height} />;
        })}
    </g>
  );
}

interface LevelLabel {
  name: string;
  value: number;
  /** Where its label stands: near its line, but clear of the other labels. */
  label: number;
}

/** The prices that the axis names: the last one, and what the latest signal says. */
function levelsOf(candles: readonly Candle[], latest: ScalpMessage | undefined, frame: Frame): LevelLabel[] {
  const levels: [name: string, value: number][] = [['price', (candles.at(-1) as Candle).close]];
  if (latest && latest.data.side !== 'NEUTRAL') {
    const { limit_price, tp_price, sl_price } = latest.data;
    levels.push(['entry', limit_price], ['target', tp_price], ['stop', sl_price]);
  }
  const wanted = levels.map(([, value]) => frame.y(value));
  const labels = spread(wanted, LABEL_HEIGHT, [LABEL_HEIGHT / 2, frame.height]);
  return levels.map(([name, value], at) => ({ name, value, label: labels[at] ?? 0 }));
}

interface LevelsProps {
  signal: ScalpMessage | undefined;
  levels: readonly LevelLabel[];
  frame: Frame;
}

/** Entry, target and stop of the latest signal, from its instant until it expires. */
function Levels({ signal, levels, frame }: LevelsProps) {
  const from = signal ? frame.x(signal.seq) : 0;
  const to = signal
    ? frame.x(Math.min(signal.seq + signal.data.expected_hold_minutes * MINUTE, frame.times[1]))
    : 0;
  return (
    <g>
      {levels.map(({ name, value, label }) => (
        <g key={name} className={`level level-${name}`}>
          {name !== 'price' && <line x1={from} x2={to} y1={frame.y(value)} y2={frame.y(value)} />}
          <rect x={frame.width + 4} y={label - 9} width={AXIS_WIDTH - 4} height="18" rx="4" />
          <text x={frame.width + 12} y={label} dy="0.35em">
            {price(value)}
          </text>
        </g>
      ))}
    </g>
  );
}

function Crosshair({ candle, frame }: { candle: Candle | undefined; frame: Frame }) {
  if (!candle) return null;
  const x = frame.x(candle.at + MINUTE / 2);
  return <line className="crosshair" x1={x} x2={x} y1="0" y2={frame.height + RIBBON_HEIGHT} />;
}

/** What the drawing shows, in words. */
function summary(symbol: string, candles: readonly Candle[], signals: readonly ScalpMessage[]): string {
  const [first, last] = [candles[0] as Candle, candles.at(-1) as Candle];
  const count = (side: string) => `${signals.filter(({ data }) => data.side === side).length} ${side}`;
  return (
    `${symbol} from ${price(first.open)} at ${timeOfDay(first.at, false)} to ${price(last.close)} ` +
    `at ${timeOfDay(last.at, false)} UTC; signals: ${['LONG', 'SHORT', 'NEUTRAL'].map(count).join(', ')}`
  );
}

/** The size of an element, kept up to date: the chart is drawn in real pixels, so that text stays sharp. */
function useSize(): [(element: HTMLElement | null) => void, { width: number; height: number }] {
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [element, setElement] = useState<HTMLElement | null>(null);
  useEffect(() => {
    if (!element) return;
    const observer = new ResizeObserver(() =>
      setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [setElement, size];
}
