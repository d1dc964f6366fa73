// What is used of the limits, as it is shown: fresh while somebody looks.

import type { Store } from './store.js';
import type { ConnectionSnapshot } from './types.js';

type Limits = NonNullable<ConnectionSnapshot['limits']>;
/** What the core counts; `undefined` while it is not there. */
type Count = () => { subscriptions: number; messages: number } | undefined;

/** How often it is looked at while somebody shows it. */
const USAGE_MS = 1_000;

/** The used part of the limits. */
export class Usage {
  readonly #store: Store;
  readonly #count: Count;
  readonly #follows: () => boolean;
  #timer: ReturnType<typeof setInterval> | undefined;
  #watchers = 0;

  /** `follows`: another tab counts, and says so. */
  constructor(store: Store, count: Count, follows: () => boolean) {
    this.#store = store;
    this.#count = count;
    this.#follows = follows;
  }

  /** Somebody shows it, until the function that this returns is called. */
  watch(): () => void {
    this.#watchers += 1;
    // The count of messages sinks by itself as the minute passes.
    this.#timer ??= setInterval(() => this.refresh(), USAGE_MS);
    return once(() => {
      this.#watchers -= 1;
      if (this.#watchers === 0) this.stop();
    });
  }

  /** The limits, with what is used of them. */
  limits(connections = 0, subscriptions = 0, messages = 0): Limits {
    const used = this.#count();
    return {
      connections: { used: null, max: connections },
      subscriptions: { used: used?.subscriptions ?? null, max: subscriptions },
      messages: { used: used?.messages ?? null, max: messages },
    };
  }

  /** Shows what is used now. */
  refresh(): void {
    const was = this.#store.connection.limits;
    if (!was || this.#follows()) return;
    const { connections, subscriptions, messages } = was;
    const limits = this.limits(connections.max, subscriptions.max, messages.max);
    if (subscriptions.used === limits.subscriptions.used && messages.used === limits.messages.used) return;
    this.#store.setConnection({ limits });
  }

  /** The client was closed. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** A function that acts once, however often it is called. */
export function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
