// One feed in this tab: what is shown of it, and who follows it.

import type { CoreFeedStatus } from './engine.js';
import { report, TidegateError } from './errors.js';
import type { Feed } from './feed.js';
import type { SignalMessage } from './protocol.js';
import type { FeedCell } from './store.js';
import type { ConnectionSnapshot, FeedSnapshot } from './types.js';

/** What follows one feed. */
export interface Follower {
  readonly signal: (signal: SignalMessage) => void;
  /** It follows no more. */
  left?: boolean;
  /** The feed will not go on by itself. */
  fail?(error: TidegateError): void;
  /** The client was closed. */
  end?(): void;
}

/** A feed as this tab sees it. */
export class View {
  readonly cell: FeedCell;
  /** The list is replaced, never changed: whoever goes through one may let others come and go. */
  followers: readonly Follower[] = [];

  constructor(cell: FeedCell, feed: Feed) {
    this.cell = cell;
    cell.feed = feed;
  }

  /** A signal came, at this date. What a follower throws is its own: it must not end the work of others. */
  deliver(signal: SignalMessage, receivedAt: number): void {
    this.cell.receive(receivedAt);
    const { followers } = this;
    for (let index = 0; index < followers.length; index += 1) {
      const follower = followers[index] as Follower;
      if (follower.left) continue;
      // Not as a method: whose it is does not concern an application's function.
      const tell = follower.signal;
      try {
        tell(signal);
      } catch (error) {
        report(error);
      }
    }
  }

  /** One of the missing came: for the history, not for those who follow what is new. */
  filled(): void {
    this.cell.filled();
  }

  /** The feed will not go on by itself. */
  fail(error: TidegateError): void {
    for (const follower of this.followers) follower.fail?.(error);
  }

  /** The client was closed. */
  end(): void {
    for (const follower of this.followers) {
      follower.left = true;
      follower.end?.();
    }
    this.followers = [];
  }

  /** Derives what is shown from how the feed and the connection stand. `refusal`: why the feed was rejected. */
  show(status: CoreFeedStatus, refusal: TidegateError | null, { state, error }: ConnectionSnapshot): void {
    let change: Pick<FeedSnapshot, 'status' | 'error'> = { status: 'idle', error: null };
    if (this.followers.length === 0) {
      // Idle.
    } else if (refusal) change = { status: 'error', error: refusal };
    else if (state === 'blocked') change = { status: 'error', error };
    else if (status === 'queued') change = { status: 'connecting', error: new TidegateError('subscription_limit') };
    else if (status === 'live' || status === 'stale') change = { status, error: null };
    else change = { status: 'connecting', error: null };
    this.cell.set(change);
  }
}
