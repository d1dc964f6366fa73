// Tabs that share a connection to the real gateway. What goes wrong in between is shown with a gateway that does as it is
// told: `tabs.browser.test.ts`.

import type { Page } from 'playwright-core';
import { beforeEach, expect, test } from 'vitest';
import type { Site } from './browser.js';
import { binary, Gateway } from './gateway.js';
import { inBrowser } from './in-browser.js';

/** The user of all tabs. */
const USER = '0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF';
interface Signal {
  seq: number;
  prev: number;
}

const start = (site: Site) => Gateway.start({ CORS_ORIGIN: site.url.slice(0, -1) });

inBrowser('tabs of one user at the real gateway', { start, skip: !binary }, (world) => {
  let ttl: string;

  beforeEach(() => {
    ttl = '15m';
  });

  /** So many tabs; the first leads. */
  async function tabs(count: number): Promise<Page[]> {
    const { gateway, context } = world;
    await context.exposeFunction('mint', () => gateway.mint('--sub', USER, '--ttl', ttl));
    const pages: Page[] = [];
    for (let index = 0; index < count; index += 1) {
      const page = await world.open();
      await page.evaluate(follow(gateway.url));
      await expect.poll(() => page.evaluate('client.status')).toBe('live');
      pages.push(page);
    }
    return pages;
  }

  test('eight of them have one connection, and when the leader is killed nobody misses a signal', () =>
    world.within(4_000, 'leader killed: another tab was live', async () => {
      const [leader, ...others] = (await tabs(8)) as [Page, ...Page[]];
      await hear([leader, ...others], 2);
      expect(await world.gateway.connections()).toBe(1);
      expect(await Promise.all([leader, ...others].map(asked))).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);

      const began = performance.now();
      await leader.goto('chrome://crash').catch(() => {});
      await expect.poll(() => leads(others)).toBe(1);
      const ms = performance.now() - began;

      await hear(others, 2);
      await expect.poll(() => world.gateway.connections()).toBe(1);
      expect(world.site.problems).toEqual([]);
      return ms;
    }));

  test('a token that ends while signals come is replaced without a reconnect', async () => {
    ttl = '20s';
    const pages = (await tabs(2)) as [Page, Page];
    await expect.poll(() => asked(pages[0])).toBeGreaterThan(2);
    await hear(pages, 2);
    expect(await Promise.all(pages.map((page) => page.evaluate('closes')))).toEqual([[], []]);
    expect(await asked(pages[1])).toBe(0);
    expect(await world.gateway.connections()).toBe(1);
  });
});

/** Waits for so many more signals in every tab; each tab has an unbroken chain of them. */
async function hear(pages: Page[], more: number): Promise<void> {
  const wait = async (page: Page) => {
    const before = (await heard(page)).length;
    await expect.poll(async () => (await heard(page)).length).toBeGreaterThanOrEqual(before + more);
    const signals = await heard(page);
    expect(signals.slice(1).map(({ prev }) => prev)).toEqual(signals.slice(0, -1).map(({ seq }) => seq));
    expect(await page.evaluate('gaps')).toEqual([]);
  };
  await Promise.all(pages.map(wait));
}

const heard = (page: Page) => page.evaluate('heard') as Promise<Signal[]>;
const asked = (page: Page) => page.evaluate('tokens()') as Promise<number>;

/** How many of the tabs lead a connection that is live. */
async function leads(pages: Page[]): Promise<number> {
  const roles = await Promise.all(
    pages.map((page) => page.evaluate("client.connection.tab === 'leader' && client.status === 'live'")),
  );
  return roles.filter(Boolean).length;
}

/** A script that follows a feed, and notes what comes. */
function follow(url: string): string {
  return `{
    const [heard, gaps, closes] = [[], [], []];
    let tokens = 0;
    const getToken = () => {
      tokens += 1;
      return mint();
    };
    const client = tidegate.createClient({ url: '${url}', getToken, identity: '${USER}' });
    client.subscribe('scalp', 'BTCUSDT', ({ seq, prev }) => heard.push({ seq, prev }));
    client.on('gap', (gap) => gaps.push(gap));
    client.on('close', (close) => closes.push(close));
    Object.assign(globalThis, { client, heard, gaps, closes, tokens: () => tokens });
    0;
  }`;
}
