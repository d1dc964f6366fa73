import { memo, useState } from 'react';
import type { ScalpIndicator } from 'tidegate/protocol';
import type { TapeRow } from '../feed/tape';
import { distance, percent, price, timeOfDay } from '../format';
import { Icon, SideIcon } from './icons';
import { ConfidenceMeter } from './signal-card';

/** Every signal of the symbol, newest first, as a real table. */
export function Tape({ symbol, tape }: { symbol: string; tape: readonly TapeRow[] }) {
  const [held, hold] = useState<readonly TapeRow[] | null>(null);
  const [tradesOnly, setTradesOnly] = useState(false);
  const rows = (held ?? tape).filter(({ signal }) => !tradesOnly || signal.data.side !== 'NEUTRAL');
  const behind = held ? tape.filter(({ signal }) => signal.seq > (held[0]?.signal.seq ?? 0)).length : 0;
  return (
    <div className="panel tape">
      <header className="tape-head">
        <h2 id="tape-title">Signal tape</h2>
        <span className="quiet tape-count">
          {rows.length}
          <span className="narrow-hidden"> {rows.length === 1 ? 'signal' : 'signals'}</span>
          {behind > 0 && `, ${behind} newer held back`}
        </span>
        <label className="check">
          <input
            type="checkbox"
            checked={tradesOnly}
            onChange={(event) => setTradesOnly(event.target.checked)}
          />
          Hide NEUTRAL
        </label>
        <button
          type="button"
          className="button"
          aria-pressed={held !== null}
          onClick={() => hold(held ? null : tape)}
        >
          <Icon name={held ? 'play' : 'pause'} />
          <span className="narrow-hidden">{held ? 'Resume' : 'Pause'}</span>
        </button>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section className="tape-scroll" aria-labelledby="tape-title" tabIndex={0}>
        <table>
          <caption className="visually-hidden">
            Scalp signals of {symbol}, newest first. Times are UTC.
          </caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Side</th>
              <th scope="col" className="wide">
                Confidence
              </th>
              <th scope="col" className="number">
                Price
              </th>
              <th scope="col" className="number wide">
                Entry
              </th>
              <th scope="col" className="number wide">
                Target
              </th>
              <th scope="col" className="number wide">
                Stop
              </th>
              <th scope="col" className="number">
                To EMA
              </th>
              <th scope="col" className="number wide">
                Range
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={row.signal.seq} row={row} />
            ))}
          </tbody>
        </table>
        {rows.length === 0 && <p className="tape-empty quiet">Signals appear here as they arrive.</p>}
      </section>
    </div>
  );
}

/** The `data-` attributes let a test, or a curious reader, see that no signal is missing. */
const Row = memo(function Row({ row: { signal, via } }: { row: TapeRow }) {
  const { data } = signal;
  return (
    <tr
      className={`row-${data.side.toLowerCase()}`}
      data-seq={signal.seq}
      data-prev={signal.prev}
      data-via={via}
    >
      <td>
        <time dateTime={data.timestamp}>{timeOfDay(signal.seq)}</time>
      </td>
      <td>
        <span className={`tape-side side-${data.side.toLowerCase()}`}>
          <SideIcon side={data.side} />
          {data.side}
        </span>
      </td>
      <td className="wide">
        {data.side === 'NEUTRAL' ? <Nothing /> : <ConfidenceMeter confidence={data.confidence} />}
      </td>
      <td className="number">{price(data.current_price)}</td>
      <Level data={data} value={data.limit_price} />
      <Level data={data} value={data.tp_price} />
      <Level data={data} value={data.sl_price} />
      <td className="number">{percent(distance(data.current_price, data.ema_1min), 3)}</td>
      <td className="number wide">{Math.round(data.position_in_range * 100)}&#8239;%</td>
    </tr>
  );
});

function Level({ data, value }: { data: ScalpIndicator; value: number }) {
  return <td className="number wide">{data.side === 'NEUTRAL' ? <Nothing /> : price(value)}</td>;
}

const Nothing = () => <span className="quiet">–</span>;
