// The package as it is published, in a real browser: no bundler, and under a strict content security policy.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FakeGateway, until } from './fake-gateway.js';

const executablePath = process.env['CHROMIUM'];

if (!executablePath) console.warn('CHROMIUM is not set: tests in a browser are skipped');

/** Background requests off: the browser has nothing to do but the test. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const folder = fileURLToPath(new URL('..', import.meta.url));
const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

/** The script is in a file of its own: the policy allows no other. */
const html = '<!doctype html><title>test</title><script type="module" src="/page.js"></script>';
const script = `
  import * as tidegate from '/dist/index.js';
  import * as glue from '/wasm/tidegate.js';
  Object.assign(globalThis, { tidegate, memory: () => glue.initSync().memory.buffer.byteLength });
`;

describe.skipIf(!executablePath)('in a browser', () => {
  let gateway: FakeGateway;
  let server: Server;
  let browser: Browser;
  let page: Page;
  let problems: string[];

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src ${gateway.url}`;
      const made = path === '/' ? html : path === '/page.js' ? script : undefined;
      const body = made ?? (await readFile(normalize(`${folder}${path}`)).catch(() => undefined));
      response.writeHead(body === undefined ? 404 : 200, {
        'content-type': types[extname(path)] ?? 'text/html',
        'content-security-policy': policy,
      });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
  }, 60_000);

  beforeEach(async () => {
    gateway = await FakeGateway.start();
    page = await browser.newPage();
    problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction('globalThis.tidegate');
    return async () => {
      await page.close();
      await gateway.stop();
    };
  });

  afterAll(async () => {
    await browser?.close();
    await new Promise((resolve) => server?.close(resolve));
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
    }, gateway.url);
    await until(() => gateway.asked.length === 1);
  }

  const seen = () => page.evaluate('seen') as Promise<number[]>;

  test('connects and receives under a policy that allows only its own scripts and the gateway', async () => {
    await connect();
    gateway.signal(1, 0);
    gateway.signal(2, 1);
    await expect.poll(seen).toEqual([1, 2]);
    expect(problems).toEqual([]);
  }, 30_000);

  test('gives its connection back when the page is left', async () => {
    await connect();
    expect(gateway.open).toBe(1);
    await page.goto('about:blank');
    await until(() => gateway.open === 0);
  }, 30_000);

  test('comes back at once when the network does', async () => {
    await connect();
    await page.context().setOffline(true);
    gateway.drop(1012, 'Server restarting');
    await expect.poll(() => page.evaluate('client.connection.state')).not.toBe('live');
    await page.context().setOffline(false);
    await until(() => gateway.count('authenticate') === 2);
    gateway.signal(5, 0);
    await expect.poll(seen).toEqual([5]);
  }, 30_000);

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
    }, gateway.url);
    expect(grown).toBe(0);
  }, 30_000);
});
