// Locks, messages and the timer of a page. Decides nothing.

import { type Said, TABS_VERSION, type TabMessage } from './message.js';

/** What the rim tells. */
export interface RimListener {
  /** The lock is ours. */
  granted(): void;
  /** It was taken from us. */
  lost(): void;
  /** There are no locks after all. */
  failed(): void;
  message(message: TabMessage): void;
  wake(): void;
}

/** What the browser does for the tabs. */
export interface Rim {
  /** Names this tab. */
  readonly id: string;
  /** Whether somebody looks at the page. */
  visible(): boolean;
  now(): number;
  /** Meets the tabs of this group. */
  open(group: string, listener: RimListener): void;
  /** Leaves them; the lock too. */
  close(): void;
  request(steal: boolean): void;
  release(): void;
  post(said: Said): void;
  /** One timer; a time that never comes stops it. */
  wakeAt(at: number): void;
}

/** Whether there are pages, locks and channels here: no locks in pages that came by plain HTTP from elsewhere. */
export function canShare(): boolean {
  return typeof document !== 'undefined' && typeof BroadcastChannel !== 'undefined' && !!navigator.locks;
}

/** The page's; `undefined` where tabs cannot share: every client for itself. */
export function pageRim(): Rim | undefined {
  return canShare() ? new PageRim(navigator.locks) : undefined;
}

interface Request {
  waiting: AbortController;
  free(): void;
}

class PageRim implements Rim {
  readonly id = crypto.randomUUID();
  readonly #locks: LockManager;
  #name = '';
  #listener: RimListener | undefined;
  #channel: BroadcastChannel | undefined;
  #request: Request | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(locks: LockManager) {
    this.#locks = locks;
  }

  visible(): boolean {
    return document.visibilityState === 'visible';
  }

  now(): number {
    // Never goes back, and means the same in every tab.
    return performance.timeOrigin + performance.now();
  }

  open(group: string, listener: RimListener): void {
    this.close();
    this.#name = `tidegate.tabs.${TABS_VERSION} ${group}`;
    this.#listener = listener;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => listener.message(data);
  }

  close(): void {
    this.release();
    this.wakeAt(Number.POSITIVE_INFINITY);
    this.#channel?.close();
    this.#channel = undefined;
  }

  request(steal: boolean): void {
    this.release();
    const request: Request = { waiting: new AbortController(), free: () => {} };
    this.#request = request;
    const options = steal ? { steal } : { signal: request.waiting.signal };
    const hold = () =>
      new Promise<void>((free) => {
        request.free = free;
        if (request === this.#request) this.#listener?.granted();
        else free();
      });
    this.#locks.request(this.#name, options, hold).catch((error: unknown) => {
      if (request !== this.#request) return;
      this.#request = undefined;
      if ((error as { name?: unknown }).name === 'AbortError') this.#listener?.lost();
      else this.#listener?.failed();
    });
  }

  release(): void {
    const request = this.#request;
    this.#request = undefined;
    request?.free();
    request?.waiting.abort();
  }

  post(said: Said): void {
    this.#channel?.postMessage({ ...said, from: this.id });
  }

  wakeAt(at: number): void {
    clearTimeout(this.#timer);
    if (at !== Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => this.#listener?.wake(), Math.max(0, at - this.now()));
    }
  }
}
