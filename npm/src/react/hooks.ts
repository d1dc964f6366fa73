'use client';

import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { SignalOf, Strategy } from '../protocol.js';
import { IDLE_CONNECTION, IDLE_FEED } from '../store.js';
import type { Client, ConnectionSnapshot, FeedSnapshot } from '../types.js';
import { type Link, useLink } from './provider.js';
import { currentSecond, watchSeconds } from './seconds.js';

/** What {@link useSignal} returns. */
export interface SignalSnapshot<S extends Strategy = Strategy> extends FeedSnapshot<S> {
  /** Milliseconds until the next signal is due, 0 when it is overdue; `null` while nobody knows. */
  readonly nextInMs: number | null;
}

/** Options of {@link useSignal}. */
export interface UseSignalOptions {
  /** Whether `nextInMs` counts down, which draws once a second. Default `true`. */
  countdown?: boolean;
}

/** What {@link useConnection} returns. */
export interface ConnectionHandle extends ConnectionSnapshot {
  /** Tries again now: skips a wait, and leaves `blocked`. */
  readonly retryNow: () => void;
}

/**
 * Follows a feed while the component is mounted. Components that follow the same feed share one subscription. With
 * `null` for the symbol nothing is followed.
 */
export function useSignal<S extends Strategy>(
  strategy: S,
  symbol: string | null,
  options: UseSignalOptions = {},
): SignalSnapshot<S> {
  const feed = useFeed(strategy, symbol);
  const counts = options.countdown !== false && feed.nextAt !== null;
  const second = useSyncExternalStore(counts ? watchSeconds : watchNothing, currentSecond, zero);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the second is what makes it count down
  return useMemo(() => withCountdown(feed), [feed, second]);
}

/** A feed, for {@link useSignals}. */
export type FeedName = readonly [strategy: Strategy, symbol: string];

/**
 * Follows several feeds at once: `useSignals([['scalp', 'BTCUSDT'], ['momentum', 'BTCUSDT']])`. The answers are in the
 * order of the feeds, of which there may be more or fewer with every render; `nextInMs` does not count down by itself.
 */
export function useSignals<const F extends readonly FeedName[]>(
  feeds: F,
): { readonly [I in keyof F]: SignalSnapshot<F[I][0]> } {
  const snapshots = useFeeds(feeds);
  return useMemo(() => snapshots.map(withCountdown), [snapshots]) as never;
}

/** The latest signals of a feed, oldest first: `useSignal(…).history` without the rest, and drawn only with it. */
export function useSignalHistory<S extends Strategy>(strategy: S, symbol: string | null): ReadonlyArray<SignalOf<S>> {
  return useFeed(strategy, symbol).history;
}

/** How the connection stands. */
export function useConnection(): ConnectionHandle {
  const link = useLink();
  const { client } = link;
  const subscribe = useCallback(
    (listener: () => void) => (client ? client.watchConnection(listener) : watchNothing()),
    [client],
  );
  const snapshot = useSyncExternalStore(subscribe, () => connectionOf(link), idleConnection);
  return useMemo(() => ({ ...snapshot, retryNow: () => client?.retryNow() }), [snapshot, client]);
}

/** What {@link useLostConnection} returns while the connection is lost. */
export interface LostConnection extends ConnectionHandle {
  /** Since when, as of `Date.now()`. */
  readonly since: number;
}

/**
 * `null` while all is well, or will be in a moment; else how the lost connection stands. For a notice that does not
 * flash at every blip: it appears when the connection was away for `afterMs` (default 5000), or at once when it does
 * not come back by itself, and goes when it is live again.
 */
export function useLostConnection(afterMs = 5_000): LostConnection | null {
  const connection = useConnection();
  const { state } = connection;
  const away = state !== 'live' && state !== 'idle' && state !== 'frozen';
  const [since, setSince] = useState(0);
  const [lost, setLost] = useState(false);
  // During render: what is shown at once must know it already. 0: not away.
  if (away !== since > 0) setSince(away ? Date.now() : 0);
  useEffect(() => {
    if (!away) return undefined;
    const timer = setTimeout(() => setLost(true), afterMs);
    return () => {
      clearTimeout(timer);
      setLost(false);
    };
  }, [away, afterMs]);
  const shown = away && (lost || state === 'blocked');
  return useMemo(() => (shown ? { ...connection, since } : null), [shown, connection, since]);
}

/** The client itself, for events and developer tools; `null` until the first effect, and on a server. */
export function useTidegate(): Client | null {
  return useLink().client;
}

function useFeed<S extends Strategy>(strategy: S, symbol: string | null): FeedSnapshot<S> {
  return (useFeeds(symbol === null ? [] : [[strategy, symbol]])[0] ?? IDLE_FEED) as FeedSnapshot<S>;
}

/** The same array as long as each of its feeds is the same. */
function useFeeds(feeds: readonly FeedName[]): readonly FeedSnapshot[] {
  const { client, failed } = useLink();
  // Most applications write the list into the call: it is new with every render, and says the same.
  const names = JSON.stringify(feeds);
  const { subscribe, read, idle } = useMemo(() => {
    const list: FeedName[] = JSON.parse(names);
    const idle: readonly FeedSnapshot[] = list.map(() =>
      failed ? { ...IDLE_FEED, status: 'error', error: failed.error } : IDLE_FEED,
    );
    let latest = idle;
    const read = () => {
      const next = client ? list.map(([strategy, symbol]) => client.feed(strategy, symbol)) : idle;
      if (next.some((feed, index) => feed !== latest[index])) latest = next;
      return latest;
    };
    const subscribe = (listener: () => void) => {
      const stops = list.map(([strategy, symbol]) => client?.watch(strategy, symbol, listener));
      return () => {
        for (const stop of stops) stop?.();
      };
    };
    return { subscribe, read, idle };
  }, [client, failed, names]);
  return useSyncExternalStore(subscribe, read, () => idle);
}

function withCountdown<S extends Strategy>(feed: FeedSnapshot<S>): SignalSnapshot<S> {
  const nextInMs = feed.nextAt === null ? null : Math.max(0, feed.nextAt - Date.now());
  return { ...feed, nextInMs };
}

const watchNothing = () => () => {};
const zero = () => 0;
const idleConnection = () => IDLE_CONNECTION;
const connectionOf = ({ client, failed }: Link) => failed ?? client?.connection ?? IDLE_CONNECTION;
