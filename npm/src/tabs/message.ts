// What the tabs of one browser tell each other.
//
// A page may be older or newer than another: the version is in the name of the channel and of the lock, so that
// pages which do not understand each other never meet, and each kind has its own connection. Within a version,
// fields may be added: who does not know them ignores them. No token is ever in a message.

import type { CoreFeedStatus } from '../engine.js';
import type { SignalMessage, Strategy } from '../protocol.js';
import type { ConnectionSnapshot } from '../types.js';

/** Raised when a page that runs the version before could not follow any more. */
export const TABS_VERSION = 1;

/** The connection as the leader's page shows it; errors as plain objects, because messages hold no classes. */
export interface Mirror extends Omit<ConnectionSnapshot, 'error'> {
  error: object | null;
  /** The leader's reading of the gateway's clock; all tabs have the same one of their own. */
  offsetMs: number | undefined;
}

/** One feed: how it stands, why it was refused, and when its next signal is due as of `Date.now()`. */
export type FeedState = [
  strategy: Strategy,
  symbol: string,
  status: CoreFeedStatus,
  code: string,
  dueAt: number | null,
];

/** A feed that a tab wants, and up to which signal the tab holds it; 0: it holds none. */
export type Want = [strategy: Strategy, symbol: string, last: number];

/** What is said, without who says it. */
export type Said =
  /** From the leader, every second and with every change. `user`: whom the gateway took it for. `roll`: answer. */
  | { kind: 'lead'; term: number; visible: boolean; mirror: Mirror; user: string; roll: boolean }
  /** From a follower: all that it wants. `missed`: and it noticed that it missed something. */
  | { kind: 'want'; visible: boolean; feeds: Want[]; missed: boolean }
  /** From the leader. */
  | { kind: 'feed'; state: FeedState }
  /** From the leader: to everybody, or what one tab missed. */
  | { kind: 'signal'; signal: SignalMessage; verdict: number; dueAt: number | null; to: string }
  /** From a follower, whose user wants something done at the connection. */
  | { kind: 'ask'; what: 'connect' | 'new_token' | 'drop' }
  /** From a tab that leaves. */
  | { kind: 'bye' };

/** A message as it crosses the channel. */
export type TabMessage = Said & { from: string };
