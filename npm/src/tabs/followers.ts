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

/** The followers of this tab. */
export class Followers {
  readonly #engine: FollowedEngine;
  readonly #say: (said: Said) => void;
  readonly #dueAt: (feed: Feed) => number | null;
  readonly #tabs = new Map<string, Set<Feed>>();
  /** Those that were asked for a sign of life and have given none. */
  #silent = new Set<string>();

  constructor(engine: FollowedEngine, say: (said: Said) => void, dueAt: (feed: Feed) => number | null) {
    this.#engine = engine;
    this.#say = say;
    this.#dueAt = dueAt;
  }

  /** A follower's wishes: a reference of its own for each feed, and what it has not seen. */
  want({ from, feeds, missed }: TabMessage & { kind: 'want' }): void {
    const wanted = new Set<Feed>();
    const had = this.#tabs.get(from) ?? new Set<Feed>();
    const fresh: [Feed, number][] = [];
    for (const [strategy, symbol, last] of feeds) {
      const known = this.#engine.find(strategy, symbol);
      const held = known !== undefined && had.delete(known);
      const feed = held ? known : this.#engine.subscribe(strategy, symbol);
      wanted.add(feed);
      if (!held || missed) fresh.push([feed, last]);
    }
    for (const feed of had) this.#engine.release(feed);
    this.#tabs.set(from, wanted);
    this.#silent.delete(from);
    for (const [feed, last] of fresh) {
      this.tellFeed(feed);
      this.#catchUp(feed, last, from, missed);
    }
  }

  /** A feed changed. */
  tellFeed(feed: Feed): void {
    if (this.#tabs.size === 0) return;
    const state: FeedState = [feed.strategy, feed.symbol, feed.status, feed.code, this.#dueAt(feed)];
    this.#say({ kind: 'feed', state });
  }

  /** A signal came: for everybody, or `to` one that missed it. */
  pass(feed: Feed, signal: SignalMessage, verdict: number, to = ''): void {
    if (this.#tabs.size > 0) this.#say({ kind: 'signal', signal, verdict, dueAt: this.#dueAt(feed), to });
  }

  /** Everybody is asked for a sign of life: whoever has given none since the last time is gone without a word. */
  roll(): void {
    for (const tab of this.#silent) this.forget(tab);
    this.#silent = new Set(this.#tabs.keys());
  }

  /** A follower left. */
  forget(tab: string): void {
    for (const feed of this.#tabs.get(tab) ?? []) this.#engine.release(feed);
    this.#tabs.delete(tab);
  }

  /** This tab leads no longer. */
  abandon(): void {
    for (const tab of [...this.#tabs.keys()]) this.forget(tab);
  }

  /** What a follower that holds a feed up to `last` has not seen; without any, the latest, as the gateway does. */
  #catchUp(feed: Feed, last: number, to: string, missed: boolean): void {
    const { recent } = feed;
    const next = recent.findIndex(({ prev }) => prev === last);
    if (last === 0) this.#replay(feed, recent.slice(-1), to);
    else if (feed.last === 0) feed.last = last;
    else if (next >= 0) this.#replay(feed, recent.slice(next), to);
    else if (missed && last < feed.last) {
      const newer = recent.filter(({ seq }) => seq > last);
      this.#replay(feed, newer, to, Verdict.gap);
    }
    // Before what we remember: the gateway may still have it. What we have not seen ourselves comes anyway.
    if (next < 0 && last <= feed.last) this.#engine.held(feed, last);
  }

  #replay(feed: Feed, signals: SignalMessage[], to: string, first: number = Verdict.deliver): void {
    for (const [index, signal] of signals.entries()) this.pass(feed, signal, index ? Verdict.deliver : first, to);
  }
}
