// The two ways to a client.

import { TidegateClient } from './client.js';
import { asError, TidegateError } from './errors.js';
import type { Client, ClientOptions, ConnectOptions } from './types.js';

/**
 * A client that connects by itself and stays connected. Returns at once; `whenLive` waits.
 *
 * @throws {@link TidegateError} when the options cannot work: `invalid_url`, `insecure_url`, `no_websocket`.
 */
export function createClient(options: ClientOptions): Client {
  return new TidegateClient(options);
}

/**
 * A client that is connected. Rejects with a {@link TidegateError} when it is blocked, or not connected in time.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const client = createClient(options);
  const timeout = new AbortController();
  const timeoutMs = options.timeoutMs ?? 30_000;
  const late = () => timeout.abort(client.connection.error ?? new TidegateError('connect_timeout'));
  const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(late, timeoutMs);
  const aborted = () => timeout.abort(asError(options.signal?.reason, 'aborted'));
  if (options.signal?.aborted) aborted();
  options.signal?.addEventListener('abort', aborted, { once: true });
  try {
    await client.whenLive(timeout.signal);
    return client;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', aborted);
  }
}
