// What a frame may hold. To parse it is the engine's.

import { report, TidegateError } from './errors.js';
import type { ServerMessage, SignalMessage } from './protocol.js';

/** Whether a message is a signal, whatever of. */
export function isSignal(message: ServerMessage): message is SignalMessage {
  const signal = message as Partial<SignalMessage> | null;
  return typeof signal?.seq === 'number' && typeof signal.prev === 'number';
}

/** The texts of a frame that is not one object. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** The form of a message is taken on trust from here on: the gateway is built from the same types. */
export function objectOf(value: unknown): ServerMessage {
  return typeof value === 'object' && value !== null ? (value as ServerMessage) : unreadable(value);
}

/** What cannot be read is told as a message of no known type. */
export function unreadable(what: unknown): ServerMessage {
  report(new TidegateError('internal', { message: 'The gateway sent a frame that is not JSON', cause: what }));
  return { type: 'unreadable' } as unknown as ServerMessage;
}
