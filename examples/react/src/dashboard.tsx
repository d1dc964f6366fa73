// The page: header, status, and the feed of one symbol.

import { useEffect, useMemo, useState } from 'react';
import { useConnection, useSignal } from 'tidegate/react';
import { Header } from './components/header';
import { NoticeBar } from './components/notice';
import { PriceChart } from './components/price-chart';
import { SignalCard } from './components/signal-card';
import { StatusStrip } from './components/status-strip';
import { Tape } from './components/tape';
import type { WalletMenuProps } from './components/wallet-menu';
import { connectionView, connectionWords, feedView, usages } from './feed/sdk';
import { useCandles } from './feed/use-candles';
import { useIntervalMs } from './feed/use-interval-ms';
import { useRoundTrip } from './feed/use-round-trip';
import { useSymbols } from './feed/use-symbols';
import { useTape } from './feed/use-tape';
import { viewOf } from './feed/view';
import { useTheme } from './use-theme';

/** Until the gateway has said what it tracks: the symbol that nearly every gateway has. */
const FIRST_SYMBOL = 'BTCUSDT';

/** Everything below the sign-in. */
export function Dashboard({ wallet }: { wallet: WalletMenuProps }) {
  const [theme, setTheme] = useTheme();
  const { symbols, demo } = useSymbols();
  const [symbol, setSymbol] = useSymbolOfUrl(symbols);
  return (
    <>
      <Header
        {...wallet}
        symbols={symbols ?? [symbol]}
        symbol={symbol}
        onSymbol={setSymbol}
        demo={demo}
        theme={theme}
        onTheme={setTheme}
      />
      <FeedPage key={symbol} symbol={symbol} onNewWallet={() => wallet.onWallet('new-throw-away')} />
      <footer className="footer">
        <p>
          <strong>Signals are not advice.</strong> They are the output of fixed rules over past prices, and
          most rules that look good lose money after fees. Trade at your own risk.
        </p>
      </footer>
    </>
  );
}

function FeedPage({ symbol, onNewWallet }: { symbol: string; onNewWallet: () => void }) {
  const connection = useConnection();
  // The countdown is drawn by the ring alone: the page need not be drawn every second.
  const feed = useSignal('scalp', symbol, { countdown: false });
  const tape = useTape(symbol, feed.history);
  const signals = useMemo(() => tape.map((row) => row.signal), [tape]);
  const candles = useCandles(symbol, signals[0]?.seq);
  const roundTripMs = useRoundTrip(connection.state === 'live');
  const intervalMs = useIntervalMs(feed.receivedAt, feed.nextAt);
  const view = viewOf(connectionView(connection), feedView(feed));
  return (
    <main className="main">
      <div className="top">
        <StatusStrip
          {...connectionWords(connection)}
          rttMs={roundTripMs}
          receivedAt={feed.receivedAt}
          stale={feed.status === 'stale'}
          tokenExpiresAt={connection.expiresAt}
          limits={usages(connection)}
        />
        {view.notice && (
          <NoticeBar
            notice={view.notice}
            actions={{
              retry: connection.retryNow,
              'new-wallet': onNewWallet,
              reload: () => location.reload(),
            }}
          />
        )}
      </div>
      <SignalCard
        state={view.card}
        symbol={symbol}
        data={feed.data}
        receivedAt={feed.receivedAt}
        latencyMs={feed.latencyMs}
        dueAt={feed.nextAt}
        intervalMs={intervalMs}
      />
      <PriceChart symbol={symbol} candles={candles} signals={signals} current={view.card === 'signal'} />
      <Tape symbol={symbol} tape={tape} />
    </main>
  );
}

/** The symbol after `#` in the address, so that a symbol can be linked to and survives a reload. */
function useSymbolOfUrl(known: readonly string[] | null): [string, (symbol: string) => void] {
  const [symbol, setSymbol] = useState(() => location.hash.slice(1) || FIRST_SYMBOL);
  useEffect(() => {
    const follow = () => setSymbol(location.hash.slice(1) || FIRST_SYMBOL);
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  const first = known?.[0];
  const valid = first === undefined || known?.includes(symbol) ? symbol : first;
  const pick = (next: string) => {
    location.hash = next;
  };
  return [valid, pick];
}
