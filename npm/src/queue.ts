// Between signals that come when they come and a loop that takes its time.

import type { TidegateError } from './errors.js';

/** A loop that is slower than this many signals loses the oldest. */
const QUEUE_MAX = 512;

type Waiting<T> = { resolve(result: IteratorResult<T>): void; reject(error: unknown): void };

/** A bounded queue that a `for await` loop empties. */
export class SignalQueue<T> implements AsyncIterableIterator<T> {
  /** Called once, when the loop is left or has failed. */
  onLeave: () => void = () => {};
  readonly #ready: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  #error: TidegateError | undefined;
  #ended = false;

  /** A signal came. */
  push(value: T): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting.resolve({ value, done: false });
      return;
    }
    this.#ready.push(value);
    if (this.#ready.length > QUEUE_MAX) this.#ready.shift();
  }

  /** Nothing will come any more, because of an error: thrown after what is still queued. */
  fail(error: TidegateError): void {
    if (this.#ended) return;
    this.#error = error;
    this.end();
  }

  /** Nothing will come any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting);
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      const value = this.#ready.shift();
      if (value !== undefined) resolve({ value, done: false });
      else if (this.#ended) this.#finish({ resolve, reject });
      else this.#waiting.push({ resolve, reject });
    });
  }

  async return(): Promise<IteratorResult<T>> {
    this.#ready.length = 0;
    this.end();
    this.onLeave();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this;
  }

  /** The error is thrown once; a loop that asks again is told that this is the end. */
  #finish({ resolve, reject }: Waiting<T>): void {
    const error = this.#error;
    this.#error = undefined;
    this.onLeave();
    if (error) reject(error);
    else resolve({ value: undefined, done: true });
  }
}
