// The clock that a core runs on.

/** How far the date must run ahead to count as sleep, in milliseconds. */
const SLEEP_MS = 1_000;
/** So many signals within so many milliseconds are a flood. */
const FLOOD = 16;
const FLOOD_MS = 4;

/** A clock in milliseconds that never goes back, and that goes on while the computer sleeps. */
export class Stopwatch {
  /** `Date.now()` at the last reading. */
  date = Date.now();
  /** Every signal is to be timed by itself: in a page that is hidden, timers come late. */
  exact = false;
  readonly #start = performance.now();
  /** What `performance.now` missed, and the two clocks at the last reading of both. */
  #asleep = 0;
  #last = this.#start;
  #lastDate = this.date;
  #time = 0;
  /** How many signals may still share the last reading. */
  #shared = 0;
  /** When the signals that are counted began, and how many there are. */
  #since = 0;
  #count = 0;
  #waits = false;

  /**
   * `performance.now` stands still during sleep in some browsers; the date does not. Of the date only a jump ahead
   * counts: smaller differences are rounding, and would add up.
   */
  now(): number {
    const now = performance.now();
    const date = Date.now();
    const missed = date - this.#lastDate - (now - this.#last);
    if (missed > SLEEP_MS) this.#asleep += missed;
    this.#last = now;
    this.#lastDate = date;
    this.date = date;
    this.#shared = 0;
    this.#time = now - this.#start + this.#asleep;
    return this.#time;
  }

  /**
   * The time of a signal. To read a clock costs a third of all that is done with one, so that in a flood, as after a
   * connection was lost, {@link FLOOD} of them share a reading. Those that come one by one have their own.
   */
  signal(): number {
    if (this.#shared === 0) return this.#read();
    this.#shared -= 1;
    return this.#time;
  }

  /** Shortly after a reading of both clocks the date alone tells. */
  #read(): number {
    const date = Date.now();
    const passed = date - this.#lastDate;
    if (passed < 0 || passed >= SLEEP_MS) return this.now();
    this.date = date;
    this.#time = this.#last + passed - this.#start + this.#asleep;
    this.#count += 1;
    if (date - this.#since >= FLOOD_MS) {
      this.#since = date;
      this.#count = 0;
    }
    if (this.#count >= FLOOD && !this.exact) this.#share();
    return this.#time;
  }

  /** Until what waits to be read has been read. */
  #share(): void {
    this.#shared = FLOOD - 1;
    if (this.#waits) return;
    this.#waits = true;
    setTimeout(() => {
      this.#waits = false;
      this.#shared = 0;
    });
  }
}
