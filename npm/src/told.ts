// What the engine tells, in the words of applications.

import type { Block, Feed } from './engine.js';
import { TidegateError, type TidegateErrorCode } from './errors.js';
import type { ServerMessage } from './protocol.js';
import type { ConnectionSnapshot, ConnectionState } from './types.js';

/** Errors stay until the connection is live again, so that a page can show why it is not. */
export function errorOf(state: ConnectionState, block: Block, was: ConnectionSnapshot): TidegateError | null {
  if (state === 'live' && was.state !== 'live') return null;
  return was.error ?? (block ? new TidegateError(block) : null);
}

/** Why a feed was refused. */
export function rejection(feed: Feed, code = feed.code): TidegateError {
  const what = new TidegateError(code as TidegateErrorCode);
  return new TidegateError(what.code, { message: `${feed.strategy}/${feed.symbol}: ${what.message}` });
}

/** A warning of the core's. */
export function warning(name: string, code: string, number: number): TidegateError {
  if (name === 'token_refused') return new TidegateError(code as TidegateErrorCode);
  if (name === 'rate_limited') return new TidegateError(name, { retryAfterMs: number });
  if (name === 'stopped' && number === 4003) return new TidegateError('forbidden');
  const { message } = new TidegateError(name as TidegateErrorCode);
  const detail = code || number;
  return new TidegateError(name as TidegateErrorCode, detail ? { message: `${message} (${detail})` } : {});
}

/** When the gateway sent a message, if the message says so. */
export function serverTimeOf(message: ServerMessage): string | undefined {
  if (message.type === 'pong') return message.server_time;
  return message.type === 'connected' || message.type === 'heartbeat' ? message.payload.server_time : undefined;
}
