// What frames say, as the names and numbers that the core reads.
//
// The other side of it is `client-wasm/src/convert.rs`.

import type { ServerMessage, Strategy } from './protocol.js';

/** What one frame says, or one entry of it. */
export interface Fact {
  kind: string;
  id: number;
  numbers: Float64Array;
  /** A session or an error code. */
  text: string;
}

export type FeedName = { strategy: Strategy; symbol: string };
type Granted = FeedName & { interval_ms: number; recovered: boolean };
type Rejected = FeedName & { code: string };

/** Any control frame. Nothing of it is certain but that it is an object. */
interface Frame {
  type: string;
  id?: number;
  payload?: Record<string, unknown> & { limits?: Record<string, unknown> };
}

/** The order in which the core reads them; the limits follow. */
const NUMBERS = ['expires_in_ms', 'retry_after_ms', 'reconnect_after_ms', 'heartbeat_seconds'];
const LIMITS = ['messages_per_minute', 'subscriptions_per_connection', 'connections_per_user', 'max_message_bytes'];

/** What a control frame says. A field that is missing is NaN or empty: the core knows what to think of it. */
export function factsOf(message: ServerMessage, handleOf: (feed: FeedName) => number): Fact[] {
  const { type, id, payload = {} } = message as unknown as Frame;
  const fact = (kind: string, numbers: unknown[], text?: unknown): Fact => {
    return { kind, id: Number(id), numbers: Float64Array.from(numbers as number[]), text: String(text ?? '') };
  };
  if (type !== 'subscribed') {
    const numbers = [...NUMBERS.map((name) => payload[name]), ...LIMITS.map((name) => payload.limits?.[name])];
    return [fact(type, numbers, payload['code'] ?? payload['session_id'])];
  }
  const granted = entries<Granted>(payload['subscriptions']);
  return [
    fact(
      type,
      granted.flatMap((feed) => [handleOf(feed), feed.interval_ms, Number(feed.recovered)]),
    ),
    ...entries<Rejected>(payload['rejected']).map((feed) => fact('rejected', [handleOf(feed)], feed.code)),
  ];
}

function entries<T>(list: unknown): T[] {
  return Array.isArray(list) ? list : [];
}
