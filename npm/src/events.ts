// What an engine is told and what it tells: the words that the client core, the tabs and the client share.

import type { TidegateError } from './errors.js';
import type { ServerMessage, SignalMessage, Strategy } from './protocol.js';
import type { ConnectionState } from './types.js';
import type { View } from './view.js';

/** A feed that was asked for at least once. */
export interface Feed {
  readonly strategy: Strategy;
  readonly symbol: string;
  /** How many want it. */
  wanted: number;
  /** How many of them are this tab's; -1: it never was wanted here. */
  here: number;
  /** What the core calls it; changes when it is wanted again after a while. */
  handle: number;
  /** How it stands. */
  status: CoreFeedStatus;
  /** Why it was refused; empty if it was not. */
  code: string;
  /** The two as this tab's own core sees them. */
  core: [status: CoreFeedStatus, code: string];
  /** Where another tab holds the connection: when it expects the next signal, as of `Date.now()`. */
  dueAt: number | null;
  /** The `seq` of the signal that was delivered last; 0 before the first. */
  last: number;
  /** The latest signals, for other tabs. */
  recent: SignalMessage[];
  /** What this tab shows of it; none as long as it was not wanted here. */
  view?: View | undefined;
}

/** Why a connection is blocked; empty if it is not. */
export type Block = '' | 'token_denied' | 'token_refused' | 'stopped' | 'replaced';

/** What happens to a core that has a name and nothing else. */
export type CoreInput =
  | 'connect'
  | 'disconnect'
  | 'new_token'
  | 'online'
  | 'offline'
  | 'hidden'
  | 'visible'
  | 'freeze'
  | 'thaw'
  | 'tick';

/** How a feed stands, as the core says it. */
export type CoreFeedStatus = 'pending' | 'queued' | 'live' | 'stale' | 'rejected';

/** What to do with a signal. */
export const Verdict = { drop: 0, deliver: 1, gap: 2, backfill: 3 } as const;

/** What the engine tells. Nothing of this is called while the core is borrowed. */
export interface EngineListener {
  /** The numbers are those of `Host::on_status` in `client-wasm/src/lib.rs`. */
  onStatus(state: ConnectionState, block: Block, numbers: Float64Array): void;
  onFeed(feed: Feed, status: CoreFeedStatus, code: string): void;
  /** `now` is the date at which it came. */
  onSignal(feed: Feed, signal: SignalMessage, verdict: number, now: number): void;
  onControl(message: ServerMessage): void;
  onGap(feed: Feed, after: number, before: number): void;
  /** `code` is an error code of the protocol or empty, `number` a close code or milliseconds. */
  onWarning(name: string, code: string, number: number, feed: Feed | undefined): void;
  onError(error: TidegateError): void;
  onFrame(direction: 'in' | 'out', text: string): void;
  onClose(code: number, reason: string): void;
  /** The module trapped too often. */
  onFailure(error: TidegateError): void;
}
