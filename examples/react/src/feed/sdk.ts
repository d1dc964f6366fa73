// From the snapshots of the SDK to what the page shows.

import type { ConnectionSnapshot, FeedSnapshot } from 'tidegate/react';
import type { Usage } from '../components/status-strip';
import type { ConnectionView, FeedView } from './view';

/** The connection, reduced to what decides about the page. */
export function connectionView(connection: ConnectionSnapshot): ConnectionView {
  const { state } = connection;
  const named = state === 'waiting' || state === 'offline' || state === 'live' || state === 'blocked';
  return {
    phase: named ? state : 'connecting',
    attempt: connection.attempt,
    retryAt: connection.nextRetryAt,
    problem: connection.error,
  };
}

/** The feed, likewise. */
export function feedView(feed: FeedSnapshot): FeedView {
  return { status: feed.status, hasData: feed.data !== null, problem: feed.error };
}

/** The connection in one word, and how it is coloured. */
export function connectionWords({ state }: ConnectionSnapshot): Words {
  return words[state];
}

interface Words {
  state: string;
  tone: 'good' | 'busy' | 'bad';
}

const words: Record<ConnectionSnapshot['state'], Words> = {
  idle: { state: 'Starting', tone: 'busy' },
  token: { state: 'Signing in', tone: 'busy' },
  dialing: { state: 'Connecting', tone: 'busy' },
  authenticating: { state: 'Connecting', tone: 'busy' },
  live: { state: 'Live', tone: 'good' },
  waiting: { state: 'Reconnecting', tone: 'busy' },
  offline: { state: 'Offline', tone: 'bad' },
  frozen: { state: 'Paused', tone: 'busy' },
  blocked: { state: 'Stopped', tone: 'bad' },
};

/** How much of each limit is used; `null` before the first connection. */
export function usages({ limits }: ConnectionSnapshot) {
  if (!limits) return null;
  const usage = ({ used, max }: { used: number | null; max: number }): Usage => ({ used, of: max });
  return {
    connections: usage(limits.connections),
    subscriptions: usage(limits.subscriptions),
    messages: usage(limits.messages),
  };
}
