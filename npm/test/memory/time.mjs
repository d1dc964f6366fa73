// Time that passes when it is told to: the timers and clocks of this process, replaced.

export class VirtualTime {
  #now = 1_762_176_600_000;
  #next = 1;
  #timers = new Map();

  /** From here on nothing in this process waits for real. */
  install() {
    const start = this.#now;
    globalThis.setTimeout = (callback, ms = 0) => this.#add(callback, ms);
    globalThis.setInterval = (callback, ms) => this.#add(callback, ms, ms);
    globalThis.clearTimeout = (id) => this.#timers.delete(id);
    globalThis.clearInterval = globalThis.clearTimeout;
    Date.now = () => this.#now;
    performance.now = () => this.#now - start;
  }

  /** Lets milliseconds pass. */
  async pass(ms) {
    const end = this.#now + ms;
    await settled();
    for (let timer = this.#earliest(); timer && timer.at <= end; timer = this.#earliest()) await this.#fire(timer);
    this.#now = end;
  }

  /** Lets time pass until something holds. */
  async until(holds) {
    const end = this.#now + 3_600_000;
    await settled();
    while (!holds()) {
      const timer = this.#earliest();
      if (!timer || timer.at > end) throw new Error(`never came true: ${holds}`);
      await this.#fire(timer);
    }
  }

  async #fire(timer) {
    this.#now = Math.max(this.#now, timer.at);
    if (timer.every === undefined) this.#timers.delete(timer.id);
    else timer.at = this.#now + timer.every;
    timer.callback();
    await settled();
  }

  #add(callback, ms, every) {
    const id = this.#next;
    this.#next += 1;
    this.#timers.set(id, { id, callback, at: this.#now + Math.max(0, ms), every });
    return id;
  }

  #earliest() {
    let earliest;
    for (const timer of this.#timers.values()) if (!earliest || timer.at < earliest.at) earliest = timer;
    return earliest;
  }
}

/** After every microtask that waits, and those that they add. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
