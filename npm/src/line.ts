// The socket of the moment.

import type { WebSocketFactory, WebSocketLike } from './types.js';

/** A code that the core takes for a network failure. */
const DROPPED = 4200;

/** What is heard of a socket. */
export interface LineHandlers {
  onopen(): void;
  onmessage(event: { data: unknown }): void;
  onclose(event: { code: number; reason: unknown }): void;
}

/** One socket at a time. Of one that was closed here nothing is heard any more. */
export class Line {
  readonly #make: () => WebSocketLike;
  #socket: WebSocketLike | undefined;

  constructor(factory: WebSocketFactory, url: string) {
    this.#make = () => factory(url, ['tidegate.v1']);
  }

  /** Throws what the factory throws. */
  open(handlers: LineHandlers): void {
    const socket = this.#make();
    // What it is about is not said; the close event follows. It stays attached for good: in Node the error of a
    // socket that is closed while it connects would otherwise end the process.
    this.#socket = Object.assign(socket, handlers, { onerror: () => {} });
  }

  /** Whether there was a socket to send on. */
  send(text: string): boolean {
    this.#socket?.send(text);
    return this.#socket !== undefined;
  }

  /** Closes without turning away, as a network failure would. */
  drop(): void {
    this.#socket?.close(DROPPED);
  }

  /** Turns away from the socket, and closes it. */
  close(code: number): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(code);
    } catch {
      // A code that this WebSocket refuses.
      socket.close();
    }
  }
}
