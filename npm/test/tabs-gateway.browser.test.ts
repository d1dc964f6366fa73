// Tabs that share a connection to the real gateway. What goes wrong in between is shown with a gateway that does as it is
// told: `tabs.browser.test.ts`.

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { executablePath, launch, Site, TIMED } from './browser.js';
import { binary, Gateway } from './gateway.js';

/** The user of all tabs. */
const USER = '0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF';
interface Signal {
  seq: number;
  prev: number;
}

describe.skipIf(!executablePath || !binary)('tabs of one user at the real gateway', () => {
  let gateway: Gateway;
  let site: Site;
  let browser: Browser;
  let context: BrowserContext;
  let ttl: string;

  beforeAll(async () => {
    site = await Site.start();
    gateway = await Gateway.start({ CORS_ORIGIN: site.url.slice(0, -1) });
    site.gateway = gateway.url;
    browser = await launch();
  });

  beforeEach(async () => {
    ttl = '15m';
    context = await browser.newContext();
    await context.exposeFunction('mint', () => gateway.mint('--sub', USER, '--ttl', ttl));
    return async () => {
      await context.close();
      await expect.poll(() => gateway.connections()).toBe(0);
    };
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.kill();
    await site?.stop();
  });

  /** So many tabs; the first leads. */
  async function tabs(count: number): Promise<Page[]> {
    const pages: Page[] = [];
    for (let index = 0; index < count; index += 1) {
      const page = await site.open(context);
      await page.evaluate(follow(gateway.url));
      await expect.poll(() => page.evaluate('client.status')).toBe('live');
      pages.push(page);
    }
    return pages;
  }

  test('eight of them have one connection, and when the leader is killed nobody misses a signal', {
    ...TIMED,
    timeout: 180_000,
  }, async () => {
    const [leader, ...others] = (await tabs(8)) as [Page, ...Page[]];
    await hear([leader, ...others], 2);
    expect(await gateway.connections()).toBe(1);
    expect(await Promise.all([leader, ...others].map(asked))).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);

    const began = performance.now();
    await leader.goto('chrome://crash').catch(() => {});
    await expect.poll(() => leads(others), { interval: 20 }).toBe(1);
    const ms = Math.round(performance.now() - began);
    console.log(`leader killed: another tab was live after ${ms} ms (gate 4000)`);
    expect(ms).toBeLessThan(4_000);

    await hear(others, 2);
    expect(await gateway.connections()).toBe(1);
    expect(site.problems).toEqual([]);
  });

  test('a token that ends while signals come is replaced without a reconnect', async () => {
    ttl = '20s';
    const pages = (await tabs(2)) as [Page, Page];
    await expect.poll(() => asked(pages[0])).toBeGreaterThan(2);
    await hear(pages, 2);
    expect(await Promise.all(pages.map((page) => page.evaluate('closes')))).toEqual([[], []]);
    expect(await asked(pages[1])).toBe(0);
    expect(await gateway.connections()).toBe(1);
  }, 180_000);
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
