import type { ReactNode } from 'react';
import { ago, clock } from '../format';
import { useNow } from '../use-now';

/** How much of a limit is used; `used` is `null` where nobody tells. */
export interface Usage {
  used: number | null;
  of: number;
}

interface StatusStripProps {
  /** The connection in one word, and how to colour it. */
  state: string;
  tone: 'good' | 'busy' | 'bad';
  rttMs: number | null;
  /** When the last signal came; the feed's age is counted from it. */
  receivedAt: number | null;
  stale: boolean;
  tokenExpiresAt: number | null;
  limits: { connections: Usage; subscriptions: Usage; messages: Usage } | null;
}

/** What an operator asks first: is it up, how fast, how old, and how much of each limit is used. */
export function StatusStrip(props: StatusStripProps) {
  const now = useNow(1_000);
  const { state, tone, rttMs, receivedAt, stale, tokenExpiresAt, limits } = props;
  return (
    <section className="panel strip" aria-label="Status">
      <Cell name="Connection">
        <span className={`dot dot-${tone}`} aria-hidden="true" />
        <span role="status">{state}</span>
      </Cell>
      <Cell name="Round trip">
        {rttMs === null ? '–' : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)}\u202fms`}
      </Cell>
      <Cell name="Last signal" warn={stale}>
        {receivedAt === null ? '–' : ago(now - receivedAt)}
      </Cell>
      <Limit name="Connections" usage={limits?.connections} />
      <Limit name="Subscriptions" usage={limits?.subscriptions} />
      <Limit name="Messages" usage={limits?.messages} />
      <Cell name="Token left">{tokenExpiresAt === null ? '–' : clock(tokenExpiresAt - now)}</Cell>
    </section>
  );
}

function Cell({ name, warn, children }: { name: string; warn?: boolean; children: ReactNode }) {
  return (
    <div className={warn ? 'cell cell-warn' : 'cell'}>
      <span className="cell-name">{name}</span>
      <span className="cell-value">{children}</span>
    </div>
  );
}

function Limit({ name, usage }: { name: string; usage: Usage | undefined }) {
  if (!usage) return <Cell name={name}>–</Cell>;
  if (usage.used === null) return <Cell name={name}>{`at most ${usage.of}`}</Cell>;
  return (
    <Cell name={name}>
      {usage.used}
      <span className="quiet"> / {usage.of}</span>
      <meter className="visually-hidden" min={0} max={usage.of} value={usage.used} aria-label={name} />
      <svg className="cell-bar" viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden="true">
        <rect className="cell-bar-track" width="100" height="2" />
        <rect className="cell-bar-used" width={Math.min(100, (usage.used / usage.of) * 100)} height="2" />
      </svg>
    </Cell>
  );
}
