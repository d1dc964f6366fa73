// One feed: how it stands, and the signals that are kept of it.

import type { CoreFeedStatus } from './events.js';
import type { SignalMessage, Strategy } from './protocol.js';
import type { View } from './view.js';

/** No feed's handle. With it the core hears of a signal that nobody asked for, as a sign of life. */
export const NO_FEED = 0xffff_ffff;

/** Signals in a block of those that are kept. */
const BLOCK = 64;

/** A feed that was asked for at least once. */
export class Feed {
  readonly strategy: Strategy;
  readonly symbol: string;
  /** How many want it. */
  wanted = 0;
  /** How many of them are this tab's; -1: it never was wanted here. */
  here = -1;
  /** What the core calls it; changes when it is wanted again after a while. */
  handle = NO_FEED;
  /** How it stands. */
  status: CoreFeedStatus = 'pending';
  /** Why it was refused; empty if it was not. */
  code = '';
  /** The two as this tab's own core sees them. */
  core: [status: CoreFeedStatus, code: string] = ['pending', ''];
  /** Where another tab holds the connection: when it expects the next signal, as of `Date.now()`. */
  dueAt: number | null = null;
  /** The `seq` of the signal that was delivered last; 0 before the first. */
  last = 0;
  /** What this tab shows of it; none as long as it was not wanted here. */
  view: View | undefined;
  /**
   * Delivered since it was begun with, oldest first. In blocks, the last of which is being filled: a block that was made
   * a moment ago is cheaper to write to than a list that the garbage collector has moved among the old, and nothing has
   * to move up when the oldest are forgotten.
   */
  #blocks: SignalMessage[][] = [];
  #block: SignalMessage[] = new Array(BLOCK);
  #used = 0;
  /** For the page alone: those of before, and what was missed for too long. */
  #older: SignalMessage[] = [];
  readonly #kept: number;

  /** At least `kept` signals are remembered. */
  constructor(strategy: Strategy, symbol: string, kept: number) {
    this.strategy = strategy;
    this.symbol = symbol;
    this.#kept = kept;
  }

  /** Delivered, at this date: the latest. The hot path. */
  push(signal: SignalMessage, receivedAt: number): void {
    const { seq } = signal;
    // The gateway's history began anew: what was before belongs to another.
    if (seq < this.last) {
      this.#older = [];
      this.#replace([]);
    }
    this.last = seq;
    this.#block[this.#used] = signal;
    this.#used += 1;
    if (this.#used === BLOCK) this.#turn();
    this.view?.deliver(signal, receivedAt);
  }

  /** One of the missing: where it belongs by its `seq`. */
  fill(signal: SignalMessage): void {
    const { recent } = this;
    if ([...this.#older, ...recent].some(({ seq }) => seq === signal.seq)) return;
    const place = recent.findLastIndex(({ seq }) => seq < signal.seq) + 1;
    if (place === 0) this.#older.unshift(signal);
    else {
      recent.splice(place, 0, signal);
      this.#replace(recent);
    }
    this.view?.filled();
  }

  /** For the page, and for other tabs that missed some: delivered since it was begun with, oldest first. */
  get recent(): SignalMessage[] {
    return [...this.#blocks.flat(), ...this.#block.slice(0, this.#used)];
  }

  /** Whoever wants it next begins with the latest, which the gateway sends. */
  restart(): void {
    this.rest(0);
    this.last = 0;
  }

  /** Nobody wants it any more: whoever does next goes on from the latest. */
  rest(latest = 1): void {
    const { recent } = this;
    this.#older = this.history(this.#kept);
    this.#replace(recent.slice(recent.length - latest));
  }

  /** The latest of all, if there was one. */
  get latest(): SignalMessage | undefined {
    return this.#block[this.#used - 1] ?? this.#blocks.at(-1)?.at(-1) ?? this.#older.at(-1);
  }

  /** The latest, as many as asked for, each once and in the order of their `seq`. */
  history(size: number): SignalMessage[] {
    const { recent } = this;
    const bySeq = new Map([...this.#older, ...recent].map((signal) => [signal.seq, signal]));
    const all = this.#older.length ? [...bySeq.values()].sort((one, other) => one.seq - other.seq) : recent;
    return all.slice(Math.max(0, all.length - size));
  }

  /** The block is full. */
  #turn(): void {
    this.#blocks.push(this.#block);
    this.#block = new Array(BLOCK);
    this.#used = 0;
    if (this.#blocks.length * BLOCK < this.#kept + BLOCK) return;
    this.#blocks.shift();
    this.#older = [];
  }

  #replace(recent: SignalMessage[]): void {
    this.#blocks = [recent.slice(-this.#kept)];
    this.#block = [];
    this.#used = 0;
  }
}
