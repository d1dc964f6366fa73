// The package as it is published, in a real browser: no bundler, and under a strict content security policy.

import type { Page } from 'playwright-core';
import { beforeEach, expect, test } from 'vitest';
import { until } from './fake-gateway.js';
import { withFakeGateway } from './in-browser.js';

withFakeGateway('in a browser', (world) => {
  let page: Page;

  beforeEach(async () => {
    page = await world.open();
  });

  /** Connects in the page, and collects what comes. */
  async function connect(): Promise<void> {
    await page.evaluate(async (url) => {
      const { tidegate } = globalThis as unknown as { tidegate: typeof import('../src/index.js') };
      let tokens = 0;
      const getToken = () => {
        tokens += 1;
        return `token-${tokens}`;
      };
      const client = await tidegate.connect({ url, getToken });
      const seen: number[] = [];
      client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
      Object.assign(globalThis, { client, seen });
    }, world.gateway.url);
    await until(() => world.gateway.asked.length === 1);
  }

  const seen = () => page.evaluate('seen') as Promise<number[]>;

  test('connects and receives under a policy that allows only its own scripts and the gateway', async () => {
    await connect();
    world.gateway.signal(1, 0);
    world.gateway.signal(2, 1);
    await expect.poll(seen).toEqual([1, 2]);
    expect(world.site.problems).toEqual([]);
  });

  test('works in a worker, under the same policy', async () => {
    world.site.instead.set(
      '/worker.js',
      `import { connect } from '/dist/index.js';
       onmessage = async ({ data: url }) => {
         const client = await connect({ url, getToken: () => 'token' });
         client.subscribe('scalp', 'BTCUSDT', ({ seq }) => postMessage(seq));
       };`,
    );
    await page.evaluate((url) => {
      const seen: number[] = [];
      const worker = new Worker('/worker.js', { type: 'module' });
      worker.onmessage = ({ data }) => seen.push(data);
      worker.postMessage(url);
      Object.assign(globalThis, { seen, worker });
    }, world.gateway.url);
    await until(() => world.gateway.asked.length === 1);
    world.gateway.signal(1, 0);
    world.gateway.signal(2, 1);
    await expect.poll(seen).toEqual([1, 2]);
    expect(world.site.problems).toEqual([]);
    await page.evaluate('worker.terminate()');
    await until(() => world.gateway.open === 0);
  });

  test('gives its connection back when the page is left', async () => {
    await connect();
    expect(world.gateway.open).toBe(1);
    await page.goto('about:blank');
    await until(() => world.gateway.open === 0);
  });

  test('comes back at once when the network does', async () => {
    await connect();
    await page.context().setOffline(true);
    world.gateway.drop(1012, 'Server restarting');
    await expect.poll(() => page.evaluate('client.connection.state')).not.toBe('live');
    await page.context().setOffline(false);
    await until(() => world.gateway.count('authenticate') === 2);
    world.gateway.signal(5, 0);
    await expect.poll(seen).toEqual([5]);
  });

  test('leaves nothing behind after a thousand clients', async () => {
    const grown = await page.evaluate(async (url) => {
      const { tidegate, memory } = globalThis as unknown as {
        tidegate: typeof import('../src/index.js');
        memory: () => number;
      };
      const round = async () => {
        for (let index = 0; index < 500; index += 1) {
          const client = tidegate.createClient({ url, getToken: () => new Promise(() => {}) });
          const stop = client.subscribe('scalp', 'BTCUSDT', () => {});
          await Promise.resolve();
          stop();
          client.close();
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      };
      await tidegate.init();
      await round();
      const before = memory();
      await round();
      return memory() - before;
    }, world.gateway.url);
    expect(grown).toBe(0);
  });
});
