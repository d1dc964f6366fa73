// Pages that follow a feed and note what comes, and what has to be true of them.

import { expect } from 'vitest';
import type { ClientOptions } from '../src/index.js';
import type { FakeGateway } from './fake-gateway.js';

/** What tells how it went: in a page of Playwright's, or in one that is not. */
export interface Scripted {
  evaluate(expression: string): Promise<unknown>;
}

/** A script that follows a feed, and notes what comes. */
export function follow(url: string, options: Partial<ClientOptions> = { identity: 'alice' }): string {
  return `{
    const [seen, gaps] = [[], []];
    let tokens = 0;
    const getToken = () => {
      tokens += 1;
      return 'token-' + Math.random();
    };
    const client = tidegate.createClient({ url: '${url}', getToken, ...${JSON.stringify(options)} });
    client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
    client.on('gap', (gap) => gaps.push(gap));
    Object.assign(globalThis, { client, seen, gaps, tokens: () => tokens });
    0;
  }`;
}

export const role = (page: Scripted) => page.evaluate('client.connection.tab');
export const live = (page: Scripted) =>
  expect.poll(() => page.evaluate('client.feed("scalp", "BTCUSDT").status')).toBe('live');

/** Everything that was published since the pages were opened is there, once and in order. */
export async function whole(pages: Scripted[], gateway: FakeGateway): Promise<void> {
  for (const page of pages) {
    await expect.poll(() => page.evaluate('seen')).toEqual(gateway.published);
    expect(await page.evaluate('gaps')).toEqual([]);
  }
}

/** Publishes while the leader goes away, and returns how long it took until another tab was connected. */
export async function takeover(gateway: FakeGateway, end: () => unknown): Promise<number> {
  const before = gateway.connections;
  const began = performance.now();
  const ended = end();
  while (gateway.connections === before && performance.now() < began + 10_000) {
    gateway.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const ms = Math.round(performance.now() - began);
  await ended;
  gateway.next();
  return ms;
}
