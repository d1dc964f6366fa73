// The feeds that were asked for at least once, by name and by what the core calls them.

import type { Feed } from './events.js';
import type { Strategy } from './protocol.js';

/** No feed's handle. With it the core hears of a signal that nobody asked for, as a sign of life. */
export const NO_FEED = 0xffff_ffff;

/** All of them. */
export class Feeds {
  /** A few for each symbol: to compare their strategies is quicker than a second look-up. */
  readonly #bySymbol = new Map<string, Feed[]>();
  readonly #byHandle = new Map<number, Feed>();

  /** The feed of this name, if it was asked for. */
  find(strategy: Strategy, symbol: string): Feed | undefined {
    const feeds = this.#bySymbol.get(symbol);
    if (feeds) for (const feed of feeds) if (feed.strategy === strategy) return feed;
    return undefined;
  }

  /** The feed that the core calls so. */
  byHandle(handle: number): Feed | undefined {
    return this.#byHandle.get(handle);
  }

  /** Every feed. */
  *all(): Iterable<Feed> {
    for (const feeds of this.#bySymbol.values()) yield* feeds;
  }

  /** The feed of this name, made if need be. */
  get(strategy: Strategy, symbol: string): Feed {
    const known = this.find(strategy, symbol);
    if (known) return known;
    const feed: Feed = {
      strategy,
      symbol,
      wanted: 0,
      here: -1,
      handle: NO_FEED,
      status: 'pending',
      code: '',
      core: ['pending', ''],
      dueAt: null,
      last: 0,
      recent: [],
      view: undefined,
    };
    this.#bySymbol.set(symbol, [...(this.#bySymbol.get(symbol) ?? []), feed]);
    return feed;
  }

  /** From now on the core calls it so. */
  bind(feed: Feed, handle: number): void {
    this.#byHandle.delete(feed.handle);
    feed.handle = handle;
    if (handle !== NO_FEED) this.#byHandle.set(handle, feed);
  }

  /** The core is gone, and its handles with it. */
  unbind(): void {
    this.#byHandle.clear();
    for (const feed of this.all()) feed.handle = NO_FEED;
  }
}
