// One client per gateway and user, however many components ask, and across hot reloads.

import { createClient } from '../connect.js';
import type { Client, ClientOptions, GetToken } from '../types.js';

/** Strict Mode, hot reload and route changes take a client away and bring it back: so long it is kept. */
const GRACE_MS = 1_000;

interface Entry {
  client: Client;
  references: number;
  getToken: GetToken;
  closing?: ReturnType<typeof setTimeout> | undefined;
}

/** In a global place, so that a module that is loaded again, or twice, finds it. */
const PLACE = Symbol.for('tidegate.clients.v1');

function entries(): Map<string, Entry> {
  const global = globalThis as { [PLACE]?: Map<string, Entry> };
  global[PLACE] ??= new Map();
  return global[PLACE];
}

/** The client of these options, made if there is none. Every call wants one {@link release}. */
export function acquire(options: ClientOptions, identity: string): { client: Client; release: () => void } {
  const key = JSON.stringify([String(options.url), identity]);
  const entry = entries().get(key) ?? create(key, options);
  clearTimeout(entry.closing);
  entry.closing = undefined;
  entry.references += 1;
  entry.getToken = options.getToken;
  return { client: entry.client, release: () => release(key, entry) };
}

/** Whoever rendered last knows the application's present state best. */
export function updateGetToken(options: ClientOptions, identity: string): void {
  const entry = entries().get(JSON.stringify([String(options.url), identity]));
  if (entry) entry.getToken = options.getToken;
}

function create(key: string, options: ClientOptions): Entry {
  const getToken: GetToken = (request) => entry.getToken(request);
  getToken.user = async () => entry.getToken.user?.();
  getToken.again = () => entry.getToken.again?.();
  const entry = { references: 0, getToken: options.getToken } as Entry;
  entry.client = createClient({ ...options, getToken });
  entries().set(key, entry);
  return entry;
}

function release(key: string, entry: Entry): void {
  entry.references -= 1;
  if (entry.references > 0) return;
  entry.closing = setTimeout(() => {
    entries().delete(key);
    entry.client.close();
  }, GRACE_MS);
}
