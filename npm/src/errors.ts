// Everything that can go wrong, as objects: a code for programs, a sentence for people, and what to do about it.

import type { ErrorCode } from './generated/protocol.js';

/** Codes that only the client has. */
export type ClientErrorCode =
  | 'wasm_failed'
  | 'wasm_trap'
  | 'invalid_url'
  | 'insecure_url'
  | 'no_websocket'
  | 'invalid_feed'
  | 'connect_timeout'
  | 'aborted'
  | 'closed'
  | 'token_failed'
  | 'token_timeout'
  | 'token_denied'
  | 'token_not_fresh'
  | 'token_refused'
  | 'stopped'
  | 'replaced'
  | 'protocol_fault'
  | 'message_refused'
  | 'wallet_rejected'
  | 'wallet_unavailable'
  | 'wallet_failed'
  | 'sign_in_failed'
  | 'sign_in_refused';

/** What programs match on: a code of the protocol, or one of the client's own. */
export type TidegateErrorCode = ErrorCode | ClientErrorCode;

/** Something went wrong. Match on `code`; show `message` and `hint`. */
export class TidegateError extends Error {
  override readonly name = 'TidegateError';
  /** What programs match on. */
  readonly code: TidegateErrorCode;
  /** What to do about it, as a sentence; may be empty. */
  readonly hint: string;
  /** Whether trying the same again can help. */
  readonly retry: boolean;
  /** When trying again is allowed, in milliseconds from the moment of the error. */
  readonly retryAfterMs: number | null;

  constructor(code: TidegateErrorCode, details: ErrorDetails = {}) {
    const [message, hint, retry] = texts[code] ?? fallback;
    super(details.message || message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint ?? hint;
    this.retry = details.retry ?? retry;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  /** The plain object, for a log or a message to another window. */
  toJSON(): { code: TidegateErrorCode; message: string; hint: string; retry: boolean } {
    return { code: this.code, message: this.message, hint: this.hint, retry: this.retry };
  }
}

/** What is known of one error beyond its code. */
export interface ErrorDetails {
  /** In place of the usual sentence. */
  message?: string;
  /** In place of the usual advice. */
  hint?: string;
  /** In place of the usual answer. */
  retry?: boolean;
  /** When trying again is allowed. */
  retryAfterMs?: number;
  /** What led to it. */
  cause?: unknown;
}

/** Whatever was thrown, as a {@link TidegateError} with `code` unless it is one already. */
export function asError(cause: unknown, code: TidegateErrorCode): TidegateError {
  if (cause instanceof TidegateError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  // Another copy of this package, or an application with errors of the same form: `retry` is what matters.
  const retry = (cause as { retry?: unknown } | null | undefined)?.retry;
  return new TidegateError(code, { message, cause, ...(typeof retry === 'boolean' && { retry }) });
}

/** An error of another tab. */
export function fromJSON(error: object | null): TidegateError | null {
  const { code, ...details } = { ...(error as ErrorDetails & { code: TidegateErrorCode }) };
  return error && new TidegateError(code, details);
}

/** Hands an error to whoever listens for unhandled ones, without ending what is going on. */
export function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  else queueMicrotask(() => console.error(error));
}

/** What an application's callback throws is the application's: it must not end the client's work. */
export function guarded(listener: () => void): void;
export function guarded<T>(listener: (value: T) => void, value: T): void;
export function guarded<T>(listener: (value?: T) => void, value?: T): void {
  try {
    listener(value);
  } catch (error) {
    report(error);
  }
}

type Texts = readonly [message: string, hint: string, retry: boolean];

const fallback: Texts = ['Something went wrong', '', true];

const signIn = 'Sign in again.';
const again = 'The client tries again by itself.';
const operator = 'Ask the operator of the gateway.';
const bug = 'Please report it with the text of debugReport().';

const texts: Record<TidegateErrorCode, Texts> = {
  unauthenticated: ['The gateway asks for authentication', signIn, false],
  invalid_token: ['The gateway refused the token', signIn, false],
  token_expired: ['The token has expired', 'Return a fresh token from getToken.', true],
  auth_timeout: ['Authentication took too long', again, true],
  identity_mismatch: ['The fresh token belongs to another user', 'Set identity: one client per user.', false],
  forbidden: ['Access denied', operator, false],
  connection_limit: ['Too many connections of this user', `Close another program. ${again}`, true],
  rate_limited: ['Too many messages', again, true],
  subscription_limit: ['Too many feeds on this connection', 'It starts by itself when another is released.', true],
  unknown_symbol: ['The gateway does not track this symbol', 'GET /api/perps/symbols lists what it tracks.', false],
  unknown_strategy: ['The gateway does not know this strategy', 'Use scalp, momentum or range_trading.', false],
  not_subscribed: ['The feed was not followed', '', false],
  invalid_message: ['The gateway did not understand a message', bug, false],
  message_too_large: ['A message was too large', bug, false],
  internal: ['The gateway failed', `Its log says why. ${again}`, true],
  wasm_failed: [
    'The WebAssembly module could not be loaded',
    "Allow 'wasm-unsafe-eval' in script-src of the content security policy. If a bundler broke it: serve tidegate/tidegate.wasm and pass its address as wasm.",
    true,
  ],
  wasm_trap: ['The client failed and was restarted', bug, true],
  invalid_url: ['The address of the gateway is not valid', 'Use wss://host/ws, or /ws for the page’s host.', false],
  insecure_url: ['A secure page may not connect to ws:', 'Use wss:; only loopback addresses are exempt.', false],
  no_websocket: [
    'There is no WebSocket here',
    "Pass webSocket: (url, protocols) => new WebSocket(url, protocols), from the npm package 'ws'.",
    false,
  ],
  invalid_feed: [
    'There is no such feed',
    'A symbol is 2 to 20 of A-Z and 0-9; a strategy is scalp, momentum or range_trading.',
    false,
  ],
  connect_timeout: ['The gateway did not answer in time', 'Check the address, and that the gateway runs.', true],
  aborted: ['The attempt was given up', '', true],
  closed: ['The client is closed', 'Connect a new one.', false],
  token_failed: ['getToken failed', again, true],
  token_timeout: ['getToken did not answer within 10 seconds', again, true],
  token_denied: ['There is no token', signIn, false],
  token_not_fresh: ['getToken returned the token that was refused', 'Return a fresh token from getToken.', false],
  token_refused: ['The gateway refused a token, and then a fresh one', signIn, false],
  stopped: ['The gateway closed the connection for good', operator, false],
  replaced: ['Another connection took the place of this one', 'Connect again to take it back.', false],
  protocol_fault: ['The gateway found a fault of this client', bug, true],
  message_refused: ['The gateway refused a message of this client', bug, true],
  wallet_rejected: ['The request was rejected in the wallet', 'Sign the message to sign in.', false],
  wallet_unavailable: ['The wallet offers no account', 'Unlock the wallet and choose an account.', false],
  wallet_failed: ['The wallet failed', 'Open the wallet and try again.', true],
  sign_in_failed: ['Signing in failed', 'Check the address, and that the gateway runs.', true],
  sign_in_refused: ['The gateway refused to sign this wallet in', 'Check the clock of this device.', false],
};
