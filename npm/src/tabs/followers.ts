// What the leader knows of its followers: what each of them wants, and what each of them missed.

import type { Feed } from '../engine.js';
import { Verdict } from '../engine.js';
import type { SignalMessage, Strategy } from '../protocol.js';
import type { FeedState, Said, TabMessage } from './message.js';

/** What of the engine is used here. */
export interface FollowedEngine {
  subscribe(strategy: Strategy, symbol: string): Feed;
  release(feed: Feed): void;
  held(feed: Feed, seq: number): void;
  find(strategy: Strategy, symbol: string): Feed | undefined;
}

/** How long what was missed may take to arrive, in milliseconds. */
export const MISS_MS = 500;

/** The gateway was asked for everything after a signal, then. */
interface Asked {
  after: number;
  at: number;
}

const NOTHING: Asked = { after: -1, at: 0 };

/** The followers of this tab. */
export class Followers {
  /** Whether there are any. */
  some = false;
  readonly #engine: FollowedEngine;
  readonly #say: (said: Said) => void;
  readonly #dueAt: (feed: Feed) => number | null;
  readonly #now: () => number;
  /** What each of them wants, and what the gateway was asked for on its behalf. */
  readonly #tabs = new Map<string, Map<Feed, Asked>>();
  /** Those that were asked for a sign of life and have given none. */
  #silent = new Set<string>();

  constructor(
    engine: FollowedEngine,
    say: (said: Said) => void,
    dueAt: (feed: Feed) => number | null,
    now: () => number,
  ) {
    this.#now = now;
    this.#engine = engine;
    this.#say = say;
    this.#dueAt = dueAt;
  }

  /** A follower's wishes: a reference of its own for each feed, and what it has not seen. */
  want({ from, feeds, missed }: TabMessage & { kind: 'want' }): void {
    const wanted = new Map<Feed, Asked>();
    const had = this.#tabs.get(from);
    this.#tabs.set(from, wanted);
    this.some = true;
    this.#silent.delete(from);
    for (const [strategy, symbol, last] of feeds) {
      const known = this.#engine.find(strategy, symbol);
      const asked = known && had?.get(known);
      const feed = known && asked !== undefined ? known : this.#engine.subscribe(strategy, symbol);
      had?.delete(feed);
      wanted.set(feed, asked ?? NOTHING);
      if (asked !== undefined && !missed) continue;
      this.tellFeed(feed);
      wanted.set(feed, this.#catchUp(feed, last, from, asked));
    }
    for (const feed of had?.keys() ?? []) this.#engine.release(feed);
  }

  /** A feed changed. */
  tellFeed(feed: Feed): void {
    if (!this.some) return;
    const state: FeedState = [feed.strategy, feed.symbol, feed.status, feed.code, this.#dueAt(feed)];
    this.#say({ kind: 'feed', state });
  }

  /** A signal came: for everybody, or `to` one that missed it. */
  pass(feed: Feed, signal: SignalMessage, verdict: number, to = ''): void {
    this.#say({ kind: 'signal', signal, verdict, dueAt: this.#dueAt(feed), to });
  }

  /** Everybody is asked for a sign of life: whoever has given none since the last time is gone without a word. */
  roll(): void {
    for (const tab of this.#silent) this.forget(tab);
    this.#silent = new Set(this.#tabs.keys());
  }

  /** A follower left. */
  forget(tab: string): void {
    for (const feed of this.#tabs.get(tab)?.keys() ?? []) this.#engine.release(feed);
    this.#tabs.delete(tab);
    this.some = this.#tabs.size > 0;
  }

  /** This tab leads no longer. */
  abandon(): void {
    for (const tab of [...this.#tabs.keys()]) this.forget(tab);
  }

  /**
   * What a follower that holds a feed up to `last` has not seen; without any, the latest, as the gateway does. Returns
   * what the gateway was asked for.
   */
  #catchUp(feed: Feed, last: number, to: string, asked = NOTHING): Asked {
    const { recent } = feed;
    const now = this.#now();
    const next = recent.findIndex(({ prev }) => prev === last);
    if (last === 0) this.#replay(feed, recent.slice(-1), to);
    else if (feed.last === 0) feed.last = last;
    else if (next >= 0) this.#replay(feed, recent.slice(next), to);
    else if (asked.after === last) {
      if (now < asked.at + MISS_MS) return asked;
      // Neither we nor the gateway have it.
      const newer = recent.filter(({ seq }) => seq > last);
      this.#replay(feed, newer, to, Verdict.gap);
    }
    // What we have not seen ourselves comes anyway.
    if (last === 0 || next >= 0 || last > feed.last) return asked;
    this.#engine.held(feed, last);
    return { after: last, at: now };
  }

  #replay(feed: Feed, signals: SignalMessage[], to: string, first: number = Verdict.deliver): void {
    for (const [index, signal] of signals.entries()) this.pass(feed, signal, index ? Verdict.deliver : first, to);
  }
}
