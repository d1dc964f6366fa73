import type { ReactNode } from 'react';
import type { Confidence, ScalpIndicator } from 'tidegate/protocol';
import type { CardState } from '../feed/view';
import { ago, distance, percent, price, timeOfDay } from '../format';
import { useNow } from '../use-now';
import { Countdown } from './countdown';
import { SideIcon } from './icons';

interface SignalCardProps {
  state: CardState;
  symbol: string;
  data: ScalpIndicator | null;
  receivedAt: number | null;
  latencyMs: number | null;
  dueAt: number | null;
  intervalMs: number;
}

/** The scalp card: what the strategy says now, and when it speaks next. */
export function SignalCard({
  state,
  symbol,
  data,
  receivedAt,
  latencyMs,
  dueAt,
  intervalMs,
}: SignalCardProps) {
  const tone = data && state === 'signal' ? data.side.toLowerCase() : 'none';
  return (
    <section
      className={`panel card card-${tone}`}
      data-state={state}
      aria-label={`Scalp signal for ${symbol}`}
    >
      <header className="card-head">
        <div>
          <h2>Scalp</h2>
          <p className="quiet">mean reversion, one-minute candles</p>
        </div>
        <Countdown dueAt={state === 'signal' || state === 'waiting' ? dueAt : null} intervalMs={intervalMs} />
      </header>
      <CardBody state={state} data={data} />
      <footer className="card-foot">
        {data && receivedAt !== null ? (
          <Received data={data} receivedAt={receivedAt} latencyMs={latencyMs} />
        ) : (
          <span>Signals are not advice.</span>
        )}
      </footer>
    </section>
  );
}

function CardBody({ state, data }: { state: CardState; data: ScalpIndicator | null }) {
  if (data && (state === 'signal' || state === 'outdated')) return <Signal data={data} />;
  if (state === 'waiting')
    return (
      <Blank title="Subscribed">
        No signal yet. The first one comes with the next evaluation; the ring shows when.
      </Blank>
    );
  if (state === 'empty')
    return <Blank title="No signal">Nothing can be shown until the connection works.</Blank>;
  return <Skeleton />;
}

function Blank({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="card-blank">
      <strong>{title}</strong>
      <p>{children}</p>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="card-skeleton">
      <p className="visually-hidden">Connecting</p>
      {['side', 'row', 'row', 'row', 'bar', 'text'].map((shape, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
        <span key={at} className={`bone bone-${shape}`} />
      ))}
    </div>
  );
}

function Signal({ data }: { data: ScalpIndicator }) {
  return (
    <div className="signal">
      <div className="verdict">
        <span className={`verdict-side side-${data.side.toLowerCase()}`}>
          <SideIcon side={data.side} />
          {data.side}
        </span>
        {data.side === 'NEUTRAL' ? (
          <span className="quiet">no trade</span>
        ) : (
          <ConfidenceMeter confidence={data.confidence} />
        )}
      </div>
      {data.side === 'NEUTRAL' ? <NoTrade data={data} /> : <Trade data={data} />}
      <RangeBar data={data} />
      <p className="reasoning">{data.reasoning}</p>
    </div>
  );
}

const steps: Record<Confidence, number> = { low: 1, medium: 2, high: 3 };

/** One, two or three bars, and the word. */
export function ConfidenceMeter({ confidence }: { confidence: Confidence }) {
  return (
    <span className="confidence">
      <span className="confidence-bars" data-level={steps[confidence]} aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span>
        {confidence}
        <span className="confidence-word"> confidence</span>
      </span>
    </span>
  );
}

function Trade({ data }: { data: ScalpIndicator }) {
  const breakEven = (fee: number) =>
    ((data.sl_percent + 2 * fee) / (data.tp_percent + data.sl_percent)) * 100;
  return (
    <>
      <dl className="prices">
        <Price name="Entry" note="limit" value={data.limit_price} from={data.current_price} />
        <Price name="Target" kind="target" value={data.tp_price} from={data.current_price} />
        <Price name="Stop" kind="stop" value={data.sl_price} from={data.current_price} />
      </dl>
      <p className="quiet break-even">
        Break-even: <b>{breakEven(0).toFixed(1)}&#8239;%</b> hits, <b>{breakEven(0.02).toFixed(1)}&#8239;%</b>{' '}
        at 0.02&#8239;% fees a side.
      </p>
    </>
  );
}

interface PriceProps {
  name: string;
  note?: string;
  kind?: 'target' | 'stop';
  value: number;
  /** What the distance is measured from; without it none is shown. */
  from?: number;
}

function Price({ name, note, kind, value, from }: PriceProps) {
  return (
    <div className={kind ? `price price-${kind}` : 'price'}>
      <dt>
        {name} {note && <span className="quiet">{note}</span>}
      </dt>
      <dd className={from === undefined ? 'price-alone' : undefined}>{price(value)}</dd>
      {from !== undefined && <dd className="price-distance">{percent(distance(value, from))}</dd>}
    </div>
  );
}

/** As many rows as a trade has, so that the page keeps still when the side changes. */
function NoTrade({ data }: { data: ScalpIndicator }) {
  return (
    <>
      <dl className="prices">
        <Price name="Price" value={data.current_price} />
        <Price name="EMA" note="5 min" value={data.ema_1min} />
        <div className="price">
          <dt>Distance</dt>
          <dd className="price-alone">{percent(distance(data.current_price, data.ema_1min), 3)}</dd>
        </div>
      </dl>
      <p className="quiet break-even">No entry, target or stop while the side is NEUTRAL.</p>
    </>
  );
}

/** Where the price stands between the low and the high of five minutes. */
function RangeBar({ data }: { data: ScalpIndicator }) {
  const at = Math.min(1, Math.max(0, data.position_in_range));
  return (
    <div className="range">
      <div className="range-head">
        <span>Five-minute range</span>
        <span>{Math.round(at * 100)}&#8239;%</span>
      </div>
      <svg className="range-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect className="range-track" x="0" y="2.5" width="100" height="3" />
        <rect className="range-zone range-zone-low" x="0" y="2.5" width="30" height="3" />
        <rect className="range-zone range-zone-high" x="70" y="2.5" width="30" height="3" />
        <rect
          className="range-marker"
          x={Math.min(99, Math.max(0, at * 100 - 0.5))}
          y="0"
          width="1"
          height="8"
        />
      </svg>
      <div className="range-ends">
        <span>{price(data.range_low_5min)}</span>
        <span>{price(data.range_high_5min)}</span>
      </div>
    </div>
  );
}

interface ReceivedProps {
  data: ScalpIndicator;
  receivedAt: number;
  latencyMs: number | null;
}

function Received({ data, receivedAt, latencyMs }: ReceivedProps) {
  const now = useNow(1_000);
  return (
    <>
      <span>
        Evaluated <time dateTime={data.timestamp}>{timeOfDay(Date.parse(data.timestamp))} UTC</time>
      </span>
      <span>received {ago(now - receivedAt)}</span>
      {latencyMs !== null && <span>in {Math.max(0, Math.round(latencyMs))}&#8239;ms</span>}
      {data.side !== 'NEUTRAL' && <span>holds about {data.expected_hold_minutes} min</span>}
    </>
  );
}
