'use client';

import { useCallback, useMemo, useSyncExternalStore } from 'react';
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

/** The client itself, for events and developer tools; `null` until the first effect, and on a server. */
export function useTidegate(): Client | null {
  return useLink().client;
}

function useFeed<S extends Strategy>(strategy: S, symbol: string | null): FeedSnapshot<S> {
  const { client, failed } = useLink();
  const subscribe = useCallback(
    (listener: () => void) => {
      if (!client || symbol === null) return watchNothing();
      return client.watch(strategy, symbol, listener);
    },
    [client, strategy, symbol],
  );
  const read = (): FeedSnapshot<S> => (client && symbol !== null ? client.feed(strategy, symbol) : IDLE_FEED);
  const feed = useSyncExternalStore(subscribe, read, idleFeed);
  return useMemo(() => (failed ? { ...feed, status: 'error', error: failed.error } : feed), [feed, failed]);
}

function withCountdown<S extends Strategy>(feed: FeedSnapshot<S>): SignalSnapshot<S> {
  const nextInMs = feed.nextAt === null ? null : Math.max(0, feed.nextAt - Date.now());
  return { ...feed, nextInMs };
}

const watchNothing = () => () => {};
const zero = () => 0;
const idleConnection = () => IDLE_CONNECTION;
const idleFeed = (): FeedSnapshot<never> => IDLE_FEED;
const connectionOf = ({ client, failed }: Link) => failed ?? client?.connection ?? IDLE_CONNECTION;
