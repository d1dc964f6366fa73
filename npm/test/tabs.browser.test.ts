// Tabs that share a connection, in a real browser. What they decide is tested on virtual time: `tabs.test.ts`.

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ClientOptions } from '../src/index.js';
import { executablePath, launch, RawPage, Site, TIMED } from './browser.js';
import { FakeGateway, until } from './fake-gateway.js';

describe.skipIf(!executablePath)('tabs', () => {
  let gateway: FakeGateway;
  let site: Site;
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    site = await Site.start();
    browser = await launch();
  });

  beforeEach(async () => {
    gateway = await FakeGateway.start();
    gateway.keeps = true;
    site.gateway = gateway.url;
    site.problems.length = 0;
    context = await browser.newContext();
    return async () => {
      await context.close();
      await gateway.stop();
    };
  });

  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  async function tab(options?: Partial<ClientOptions>): Promise<Page> {
    const page = await site.open(context);
    await page.evaluate(follow(gateway.url, options));
    return page;
  }

  /** Tabs of one user, the first of which leads. */
  async function tabs(count: number): Promise<[Page, ...Page[]]> {
    const pages: Page[] = [];
    for (let index = 0; index < count; index += 1) pages.push(await tab());
    for (const page of pages) await live(page);
    return pages as [Page, ...Page[]];
  }

  test('eight tabs of one user use one connection, one subscription and one token', async () => {
    const pages = await tabs(8);
    const spy = `tidegate.tabs.1 ${gateway.url} alice`;
    await pages[7]?.evaluate(`{
      globalThis.heard = [];
      new BroadcastChannel('${spy}').onmessage = ({ data }) => heard.push(JSON.stringify(data));
      0;
    }`);
    gateway.next();
    gateway.next();
    await whole(pages, gateway);
    const heard = (await pages[7]?.evaluate('heard')) as string[];
    expect(heard.length).toBeGreaterThan(1);
    expect(heard.join(), 'no secret crosses the channel').not.toMatch(/token-|session-/);
    expect([gateway.connections, gateway.open]).toEqual([1, 1]);
    expect(gateway.asked).toEqual(['scalp/BTCUSDT']);
    const tokens = await Promise.all(pages.map((page) => page.evaluate('tokens()')));
    expect(tokens).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
    expect(await Promise.all(pages.map(role))).toEqual(['leader', ...Array(7).fill('follower')]);
    expect(site.problems).toEqual([]);
  });

  test.each<[string, number, (page: Page) => Promise<unknown>]>([
    ['closed', 1_000, (page) => page.close()],
    ['killed', 4_000, (page) => page.goto('chrome://crash').catch(() => {})],
  ])('go on without a gap when the leader is %s', TIMED, async (how, gateMs, end) => {
    const [leader, ...others] = await tabs(3);
    gateway.next();
    await whole(others, gateway);
    const ms = await takeover(gateway, () => end(leader));
    console.log(`leader ${how}: another tab was connected after ${ms} ms (gate ${gateMs})`);
    expect(ms).toBeLessThan(gateMs);
    await whole(others, gateway);
    await until(() => gateway.open === 1);
  });

  test('go on at once when the leader is frozen, and it follows when it is back', TIMED, async () => {
    const raw = await RawPage.context(browser);
    const pages: RawPage[] = [];
    for (let index = 0; index < 3; index += 1) {
      const page = await RawPage.open(raw, site);
      pages.push(page);
      await page.evaluate(follow(gateway.url));
      await live(page);
    }
    const [leader, ...others] = pages;
    gateway.next();
    await whole(pages, gateway);
    const ms = await takeover(gateway, () => leader?.freeze());
    console.log(`leader frozen: another tab was connected after ${ms} ms (gate 1000)`);
    expect(ms).toBeLessThan(1_000);
    await whole(others, gateway);
    await until(() => gateway.open === 1);
    await leader?.thaw();
    gateway.next();
    await whole(pages, gateway);
    expect(gateway.connections).toBe(2);
    await Promise.all(pages.map((page) => page.close()));
  });

  test('go on within four seconds when the leader hangs, and it follows when it is back', TIMED, async () => {
    const [leader, ...others] = await tabs(3);
    gateway.next();
    await whole(others, gateway);
    const ms = await takeover(gateway, () => {
      void leader.evaluate('const until = Date.now() + 6000; while (Date.now() < until);').catch(() => {});
    });
    console.log(`leader hung: another tab was connected after ${ms} ms (gate 4000)`);
    expect(ms).toBeLessThan(4_000);
    await whole(others, gateway);
    await expect.poll(() => role(leader)).toBe('follower');
    await until(() => gateway.open === 1);
    gateway.next();
    await whole([leader, ...others], gateway);
  });

  test('share a token that is renewed in the stream: no reconnect, and nobody else asks for one', async () => {
    gateway.expiresInMs = 4_000;
    const pages = await tabs(3);
    await until(() => gateway.count('authenticate') >= 2);
    gateway.next();
    await whole(pages, gateway);
    expect(gateway.connections).toBe(1);
    const tokens = (await Promise.all(pages.map((page) => page.evaluate('tokens()')))) as number[];
    expect(tokens[0]).toBeGreaterThan(1);
    expect(tokens.slice(1)).toEqual([0, 0]);
  });

  test('are known by what their tokens say where nobody says who the user is', async () => {
    const open = async (sub: string) => {
      const page = await site.open(context);
      const token = `e30.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.x`;
      const options = `{ url: '${gateway.url}', getToken: () => '${token}' }`;
      await page.evaluate(`globalThis.client = tidegate.createClient(${options}); client.whenLive()`);
      return page;
    };
    const pages = [await open('alice'), await open('alice'), await open('bob')];
    expect(await Promise.all(pages.map(role))).toEqual(['leader', 'follower', 'leader']);
    expect(gateway.open).toBe(2);
  });

  test('of different users, of other versions, or that must not share have connections of their own', async () => {
    const pages = [await tab({ identity: 'alice' }), await tab({ identity: 'bob' })];
    pages.push(await tab({ identity: 'alice', shareTabs: false }));
    const message = await (await fetch(`${site.url}dist/tabs/message.js`)).text();
    site.instead.set('/dist/tabs/message.js', message.replace(/TABS_VERSION = \d+/, 'TABS_VERSION = 999'));
    pages.push(await tab({ identity: 'alice' }));
    site.instead.clear();
    pages.push(await tab({ identity: 'alice' }));
    for (const page of pages) await live(page);
    expect(await Promise.all(pages.map(role))).toEqual(['leader', 'leader', 'alone', 'leader', 'follower']);
    expect(gateway.open).toBe(4);
    gateway.next();
    await whole(pages, gateway);
  });

  test('have connections of their own where there are no locks', async () => {
    await context.addInitScript('Object.defineProperty(Navigator.prototype, "locks", { value: undefined })');
    const pages = await tabs(2);
    expect(await Promise.all(pages.map(role))).toEqual(['alone', 'alone']);
    expect(gateway.open).toBe(2);
  });

  test('sign in with a wallet once, and use each refresh token once, although all ask at the same time', async () => {
    const pages = await Promise.all([1, 2, 3, 4].map(() => site.open(context)));
    for (const page of pages) await page.evaluate(signIn);
    await Promise.all(pages.map((page) => page.evaluate('all(3)')));
    const [counts] = await Promise.all(pages.slice(0, 1).map((page) => page.evaluate('counts()')));
    expect(counts).toEqual({ signed: 1, refreshed: 11, reused: 0 });
  });

  test('are given a feed only as long as one of them wants it', async () => {
    const [, second] = await tabs(2);
    await second?.evaluate('globalThis.stop = client.subscribe("momentum", "ETHUSDT", () => {}); 0');
    await until(() => gateway.asked.includes('momentum/ETHUSDT'));
    await second?.evaluate('stop()');
    await until(() => gateway.count('unsubscribe') === 1);
    expect(gateway.connections).toBe(1);
  });

  test('begin with the latest signal of a feed that another wanted first, whoever leads', async () => {
    const [leader, next, third] = await tabs(3);
    const want = 'globalThis.eth = []; client.subscribe("scalp", "ETHUSDT", ({ seq }) => eth.push(seq)); 0';
    await third?.evaluate(want);
    await until(() => gateway.asked.includes('scalp/ETHUSDT'));
    gateway.signal(5, 0, 'ETHUSDT');
    await expect.poll(() => third?.evaluate('eth')).toEqual([5]);
    await leader.evaluate(want);
    await expect.poll(() => leader.evaluate('eth')).toEqual([5]);
    await leader.close();
    await expect.poll(() => next && role(next)).toBe('leader');
    await expect.poll(() => next?.evaluate('client.status')).toBe('live');
    await next?.evaluate(want);
    await expect.poll(() => next?.evaluate('eth')).toEqual([5]);
    gateway.signal(6, 5, 'ETHUSDT');
    for (const page of [next, third]) await expect.poll(() => page?.evaluate('eth')).toEqual([5, 6]);
  });

  test('are offline together, and online again together', async () => {
    const pages = await tabs(2);
    await context.setOffline(true);
    gateway.drop(1012, 'Server restarting');
    for (const page of pages) await expect.poll(() => page.evaluate('client.status')).not.toBe('live');
    gateway.next();
    await context.setOffline(false);
    await whole(pages, gateway);
    expect(gateway.open).toBe(1);
  });
});

describe.skipIf(!executablePath)('a page', () => {
  let gateway: FakeGateway;
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await Site.start();
    browser = await launch();
  });

  beforeEach(async () => {
    gateway = await FakeGateway.start();
    gateway.keeps = true;
    site.gateway = gateway.url;
    page = await site.open(browser);
    return async () => {
      await page.close();
      await gateway.stop();
    };
  });

  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  async function connect(): Promise<void> {
    await page.evaluate(follow(gateway.url));
    await live(page);
    gateway.next();
    await whole([page], gateway);
  }

  test('pagehide/pageshow persisted: gives its connection back, and goes on without a gap', async () => {
    await connect();
    await page.evaluate('addEventListener("pageshow", (event) => { globalThis.persisted = event.persisted; })');
    await page.goto(`${site.url}dist/index.js`);
    await until(() => gateway.open === 0);
    gateway.next();
    // The load event does not come again.
    await page.goBack({ waitUntil: 'commit' });
    await expect.poll(() => page.evaluate('persisted'), { message: 'it came from the cache' }).toBe(true);
    await whole([page], gateway);
    expect(gateway.connections).toBe(2);
  });

  test('that slept while the lid was closed goes on without a gap', async () => {
    const raw = await RawPage.open(await RawPage.context(browser), site);
    await raw.evaluate(follow(gateway.url));
    await live(raw);
    gateway.next();
    await whole([raw], gateway);
    await raw.freeze();
    await until(() => gateway.open === 0);
    gateway.next();
    gateway.next();
    await raw.thaw();
    await whole([raw], gateway);
    expect(gateway.open).toBe(1);
    await raw.close();
  });

  test('an open but dead socket is replaced within 3.5 seconds of becoming visible', TIMED, async () => {
    await connect();
    gateway.deaf = true;
    // A gateway that was heard within the last second is not asked.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const began = performance.now();
    await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
    await until(() => gateway.connections === 2);
    expect(performance.now() - began).toBeLessThan(3_900);
  });

  test('whose user has disconnected stays closed when it becomes visible', async () => {
    await connect();
    await page.evaluate('client.close()');
    await until(() => gateway.open === 0);
    await page.evaluate(`
      document.dispatchEvent(new Event('visibilitychange'));
      for (const event of ['pagehide', 'pageshow', 'offline', 'online']) dispatchEvent(new Event(event));
    `);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(gateway.connections).toBe(1);
    expect(await page.evaluate('client.status')).toBe('idle');
  });
});

/** What tells how it went: in a page of Playwright's, or in one that is not. */
interface Scripted {
  evaluate(expression: string): Promise<unknown>;
}

/** A script that follows a feed, and notes what comes. */
function follow(url: string, options: Partial<ClientOptions> = { identity: 'alice' }): string {
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

/** A wallet, and a gateway that knows which refresh tokens were used; both count in what the tabs share. */
const signIn = `{
  const count = (what) => localStorage.setItem(what, Number(localStorage.getItem(what)) + 1);
  const issue = () => {
    const refresh_token = 'refresh-' + Math.random();
    localStorage.setItem('good', refresh_token);
    return { token: 'token', expires_at: '', refresh_token };
  };
  const answers = {
    challenge: () => ({ message: 'Sign in', nonce: '' }),
    verify: issue,
    refresh: ({ refresh_token }) => {
      count(refresh_token === localStorage.getItem('good') ? 'refreshed' : 'reused');
      return issue();
    },
  };
  const fetch = async (url, { body }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return Response.json(answers[url.split('/').at(-1)](JSON.parse(body)));
  };
  const request = async ({ method }) => {
    if (method !== 'personal_sign') return ['0xAbC'];
    count('signed');
    await new Promise((resolve) => setTimeout(resolve, 100));
    return '0xsigned';
  };
  const auth = tidegate.walletAuth({ provider: { request }, url: 'ws://127.0.0.1:1/ws', storage: localStorage, fetch });
  globalThis.all = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) await auth({ signal: new AbortController().signal });
  };
  globalThis.counts = () =>
    Object.fromEntries(['signed', 'refreshed', 'reused'].map((what) => [what, Number(localStorage.getItem(what))]));
  0;
}`;

const role = (page: Scripted) => page.evaluate('client.connection.tab');
const live = (page: Scripted) =>
  expect.poll(() => page.evaluate('client.feed("scalp", "BTCUSDT").status')).toBe('live');

/** Everything that was published since the pages were opened is there, once and in order. */
async function whole(pages: Scripted[], gateway: FakeGateway): Promise<void> {
  for (const page of pages) {
    await expect.poll(() => page.evaluate('seen')).toEqual(gateway.published);
    expect(await page.evaluate('gaps')).toEqual([]);
  }
}

/** Publishes while the leader goes away, and returns how long it took until another tab was connected. */
async function takeover(gateway: FakeGateway, end: () => unknown): Promise<number> {
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
