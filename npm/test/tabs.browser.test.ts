// Tabs that share a connection, in a real browser. What they decide is tested on virtual time: `tabs.test.ts`.

import type { Page } from 'playwright-core';
import { beforeEach, expect, test } from 'vitest';
import type { ClientOptions } from '../src/index.js';
import { RawPage } from './browser.js';
import { until } from './fake-gateway.js';
import { follow, live, role, takeover, whole } from './followed.js';
import { withFakeGateway } from './in-browser.js';

withFakeGateway('tabs', (world) => {
  async function tab(options?: Partial<ClientOptions>): Promise<Page> {
    const page = await world.open();
    await page.evaluate(follow(world.gateway.url, options));
    await live(page);
    return page;
  }

  /** Tabs of one user, the first of which leads. */
  async function tabs(count: number): Promise<[Page, ...Page[]]> {
    const pages: Page[] = [];
    for (let index = 0; index < count; index += 1) pages.push(await tab());
    return pages as [Page, ...Page[]];
  }

  test('eight tabs of one user use one connection, one subscription and one token', async () => {
    const pages = await tabs(8);
    const spy = `tidegate.tabs.1 ${world.gateway.url} alice`;
    await pages[7]?.evaluate(`{
      globalThis.heard = [];
      new BroadcastChannel('${spy}').onmessage = ({ data }) => heard.push(JSON.stringify(data));
      0;
    }`);
    world.gateway.next();
    world.gateway.next();
    await whole(pages, world.gateway);
    await expect.poll(() => pages[7]?.evaluate('heard.length')).toBeGreaterThan(1);
    const heard = (await pages[7]?.evaluate('heard')) as string[];
    expect(heard.join(), 'no secret crosses the channel').not.toMatch(/token-|session-/);
    expect([world.gateway.connections, world.gateway.open]).toEqual([1, 1]);
    expect(world.gateway.asked).toEqual(['scalp/BTCUSDT']);
    const tokens = await Promise.all(pages.map((page) => page.evaluate('tokens()')));
    expect(tokens).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
    expect(await Promise.all(pages.map(role))).toEqual(['leader', ...Array(7).fill('follower')]);
    expect(world.site.problems).toEqual([]);
  });

  test.each<[string, number, (page: Page) => Promise<unknown>]>([
    ['closed', 1_000, (page) => page.close()],
    ['killed', 4_000, (page) => page.goto('chrome://crash').catch(() => {})],
  ])('go on without a gap when the leader is %s', (how, gateMs, end) =>
    world.within(gateMs, `leader ${how}: another tab was connected`, async () => {
      const [leader, ...others] = await tabs(3);
      world.gateway.next();
      await whole(others, world.gateway);
      const ms = await takeover(world.gateway, () => end(leader));
      await whole(others, world.gateway);
      await until(() => world.gateway.open === 1);
      return ms;
    }));

  test('go on at once when the leader is frozen, and it follows when it is back', () =>
    world.within(1_000, 'leader frozen: another tab was connected', async () => {
      const raw = await RawPage.context(world.browser);
      const pages: RawPage[] = [];
      for (let index = 0; index < 3; index += 1) {
        const page = await RawPage.open(raw, world.site);
        pages.push(page);
        await page.evaluate(follow(world.gateway.url));
        await live(page);
      }
      const [leader, ...others] = pages;
      world.gateway.next();
      await whole(pages, world.gateway);
      const ms = await takeover(world.gateway, () => leader?.freeze());
      await whole(others, world.gateway);
      await until(() => world.gateway.open === 1);
      await leader?.thaw();
      world.gateway.next();
      await whole(pages, world.gateway);
      expect(world.gateway.connections).toBe(2);
      await Promise.all(pages.map((page) => page.close()));
      return ms;
    }));

  test('go on within four seconds when the leader hangs, and it follows when it is back', () =>
    world.within(4_000, 'leader hung: another tab was connected', async () => {
      const [leader, ...others] = await tabs(3);
      world.gateway.next();
      await whole(others, world.gateway);
      const ms = await takeover(world.gateway, () => {
        void leader.evaluate('const until = Date.now() + 6000; while (Date.now() < until);').catch(() => {});
      });
      await whole(others, world.gateway);
      await expect.poll(() => role(leader)).toBe('follower');
      await until(() => world.gateway.open === 1);
      world.gateway.next();
      await whole([leader, ...others], world.gateway);
      return ms;
    }));

  test('share a token that is renewed in the stream: no reconnect, and nobody else asks for one', async () => {
    world.gateway.expiresInMs = 4_000;
    const pages = await tabs(3);
    await until(() => world.gateway.count('authenticate') >= 2);
    world.gateway.next();
    await whole(pages, world.gateway);
    expect(world.gateway.connections).toBe(1);
    const tokens = (await Promise.all(pages.map((page) => page.evaluate('tokens()')))) as number[];
    expect(tokens[0]).toBeGreaterThan(1);
    expect(tokens.slice(1)).toEqual([0, 0]);
  });

  test('are known by what their tokens say where nobody says who the user is', async () => {
    const open = async (sub: string) => {
      const page = await world.site.open(world.context);
      const token = `e30.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.x`;
      const options = `{ url: '${world.gateway.url}', getToken: () => '${token}' }`;
      await page.evaluate(`globalThis.client = tidegate.createClient(${options}); client.whenLive()`);
      return page;
    };
    const pages = [await open('alice'), await open('alice'), await open('bob')];
    expect(await Promise.all(pages.map(role))).toEqual(['leader', 'follower', 'leader']);
    expect(world.gateway.open).toBe(2);
  });

  test('of different users, of other versions, or that must not share have connections of their own', async () => {
    const pages = [await tab({ identity: 'alice' }), await tab({ identity: 'bob' })];
    pages.push(await tab({ identity: 'alice', shareTabs: false }));
    const message = await (await fetch(`${world.site.url}dist/tabs/message.js`)).text();
    world.site.instead.set('/dist/tabs/message.js', message.replace(/TABS_VERSION = \d+/, 'TABS_VERSION = 999'));
    pages.push(await tab({ identity: 'alice' }));
    world.site.instead.clear();
    pages.push(await tab({ identity: 'alice' }));
    expect(await Promise.all(pages.map(role))).toEqual(['leader', 'leader', 'alone', 'leader', 'follower']);
    expect(world.gateway.open).toBe(4);
    world.gateway.next();
    await whole(pages, world.gateway);
  });

  test('have connections of their own where there are no locks', async () => {
    await world.context.addInitScript('Object.defineProperty(Navigator.prototype, "locks", { value: undefined })');
    const pages = await tabs(2);
    expect(await Promise.all(pages.map(role))).toEqual(['alone', 'alone']);
    expect(world.gateway.open).toBe(2);
  });

  test('sign in with a wallet once, and use each refresh token once, although all ask at the same time', async () => {
    // A busy machine may be so late that a tab reads what another has just used; the gateway forgives that.
    await world.below(1, 'refresh tokens that were used twice', async () => {
      const gateway = new SignIns();
      const answer = (path: string, body: string) => gateway.answer(path, JSON.parse(body));
      await world.context.exposeFunction('post', answer);
      await world.context.exposeFunction('sign', () => gateway.sign());
      const pages = await Promise.all([1, 2, 3, 4].map(() => world.open()));
      for (const page of pages) await page.evaluate(signIn);
      await Promise.all(pages.map((page) => page.evaluate('all(3)')));
      expect(gateway).toMatchObject({ signed: 1, refreshed: 11, stolen: 0 });
      return gateway.repeated;
    });
  });

  test('are given a feed only as long as one of them wants it', async () => {
    const [, second] = await tabs(2);
    await second?.evaluate('globalThis.stop = client.subscribe("momentum", "ETHUSDT", () => {}); 0');
    await until(() => world.gateway.asked.includes('momentum/ETHUSDT'));
    await second?.evaluate('stop()');
    await until(() => world.gateway.count('unsubscribe') === 1);
    expect(world.gateway.connections).toBe(1);
  });

  test('begin with the latest signal of a feed that another wanted first, whoever leads', async () => {
    const [leader, next, third] = await tabs(3);
    const want = 'globalThis.eth = []; client.subscribe("scalp", "ETHUSDT", ({ seq }) => eth.push(seq)); 0';
    await third?.evaluate(want);
    await until(() => world.gateway.asked.includes('scalp/ETHUSDT'));
    world.gateway.signal(5, 0, 'ETHUSDT');
    await expect.poll(() => third?.evaluate('eth')).toEqual([5]);
    await leader.evaluate(want);
    await expect.poll(() => leader.evaluate('eth')).toEqual([5]);
    await leader.close();
    await expect.poll(() => next && role(next)).toBe('leader');
    await expect.poll(() => next?.evaluate('client.status')).toBe('live');
    await next?.evaluate(want);
    await expect.poll(() => next?.evaluate('eth')).toEqual([5]);
    world.gateway.signal(6, 5, 'ETHUSDT');
    for (const page of [next, third]) await expect.poll(() => page?.evaluate('eth')).toEqual([5, 6]);
  });

  test('are offline together, and online again together', async () => {
    const pages = await tabs(2);
    await world.context.setOffline(true);
    world.gateway.drop(1012, 'Server restarting');
    for (const page of pages) await expect.poll(() => page.evaluate('client.status')).not.toBe('live');
    world.gateway.next();
    await world.context.setOffline(false);
    await whole(pages, world.gateway);
    expect(world.gateway.open).toBe(1);
  });
});

withFakeGateway('a page', (world) => {
  let page: Page;

  beforeEach(async () => {
    page = await world.open();
  });

  async function connect(): Promise<void> {
    await page.evaluate(follow(world.gateway.url));
    await live(page);
    world.gateway.next();
    await whole([page], world.gateway);
  }

  test('pagehide/pageshow persisted: gives its connection back, and goes on without a gap', async () => {
    await connect();
    await page.evaluate('addEventListener("pageshow", (event) => { globalThis.persisted = event.persisted; })');
    await page.goto(`${world.site.url}dist/index.js`);
    await until(() => world.gateway.open === 0);
    world.gateway.next();
    // The load event does not come again.
    await page.goBack({ waitUntil: 'commit' });
    await expect.poll(() => page.evaluate('persisted'), { message: 'it came from the cache' }).toBe(true);
    await whole([page], world.gateway);
    expect(world.gateway.connections).toBe(2);
  });

  test('that slept while the lid was closed goes on without a gap', async () => {
    const raw = await RawPage.open(await RawPage.context(world.browser), world.site);
    await raw.evaluate(follow(world.gateway.url));
    await live(raw);
    world.gateway.next();
    await whole([raw], world.gateway);
    await raw.freeze();
    await until(() => world.gateway.open === 0);
    world.gateway.next();
    world.gateway.next();
    await raw.thaw();
    await whole([raw], world.gateway);
    expect(world.gateway.open).toBe(1);
    await raw.close();
  });

  test('an open but dead socket is replaced within 3.5 seconds of becoming visible', () =>
    world.within(3_900, 'a dead socket was replaced', async () => {
      page = await world.open();
      await connect();
      world.gateway.deaf = true;
      // A gateway that was heard within the last second is not asked.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      const began = performance.now();
      await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
      await until(() => world.gateway.connections === 2);
      return performance.now() - began;
    }));

  test('whose user has disconnected stays closed when it becomes visible', async () => {
    await connect();
    await page.evaluate('client.close()');
    await until(() => world.gateway.open === 0);
    await page.evaluate(`
      document.dispatchEvent(new Event('visibilitychange'));
      for (const event of ['pagehide', 'pageshow', 'offline', 'online']) dispatchEvent(new Event(event));
    `);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(world.gateway.connections).toBe(1);
    expect(await page.evaluate('client.status')).toBe('idle');
  });
});

/** What a wallet and a gateway see of those who sign in. As the real one, it forgives a repetition for ten seconds. */
class SignIns {
  signed = 0;
  refreshed = 0;
  repeated = 0;
  stolen = 0;
  #good = '';
  #before = { token: '', until: 0 };

  async sign(): Promise<string> {
    this.signed += 1;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return '0xsigned';
  }

  answer(path: string, { refresh_token = '' }: { refresh_token?: string }): unknown {
    if (path === 'challenge') return { message: 'Sign in', nonce: '' };
    if (path === 'refresh') {
      this.refreshed += 1;
      const repeated = refresh_token === this.#before.token && performance.now() < this.#before.until;
      this.repeated += Number(repeated);
      if (repeated) return this.#pair();
      if (refresh_token !== this.#good) this.stolen += 1;
    }
    this.#before = { token: this.#good, until: performance.now() + 10_000 };
    this.#good = `refresh-${Math.random()}`;
    return this.#pair();
  }

  #pair(): unknown {
    return { token: 'token', expires_at: '', refresh_token: this.#good };
  }
}

/** A page that signs in with it. */
const signIn = `{
  const fetch = async (url, { body }) => Response.json(await post(url.split('/').at(-1), body));
  const request = async ({ method }) => (method === 'personal_sign' ? sign() : ['0xAbC']);
  const auth = tidegate.walletAuth({ provider: { request }, url: 'ws://127.0.0.1:1/ws', storage: localStorage, fetch });
  globalThis.all = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) await auth({ signal: new AbortController().signal });
  };
  0;
}`;
