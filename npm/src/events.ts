// What an engine is told and what it tells: the words that the client core, the tabs and the client share.

import type { TidegateError } from './errors.js';
import type { Feed } from './feed.js';
import type { ServerMessage, SignalMessage } from './protocol.js';
import type { ConnectionState } from './types.js';

export type { Feed } from './feed.js';

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
