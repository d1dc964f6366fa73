// The feeds that were asked for at least once, by name and by what the core calls them.

import { Feed, NO_FEED } from './feed.js';
import type { Strategy } from './protocol.js';

/** All of them. */
export class Feeds {
  /** A few for each symbol: to compare their strategies is quicker than a second look-up. */
  readonly #bySymbol = new Map<string, Feed[]>();
  readonly #byHandle = new Map<number, Feed>();
  /** The one that was found last: after a connection was lost, and with a single feed, many in a row are its. */
  #found: Feed | undefined;
  readonly #kept: number;

  /** Of each at least `kept` signals are remembered. */
  constructor(kept: number) {
    this.#kept = kept;
  }

  /** The feed of this name, if it was asked for. */
  find(strategy: Strategy, symbol: string): Feed | undefined {
    const found = this.#found;
    if (found && found.symbol === symbol && found.strategy === strategy) return found;
    return this.#look(strategy, symbol);
  }

  #look(strategy: Strategy, symbol: string): Feed | undefined {
    const found = this.#bySymbol.get(symbol)?.find((feed) => feed.strategy === strategy);
    if (found) this.#found = found;
    return found;
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
    const feed = new Feed(strategy, symbol, this.#kept);
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
