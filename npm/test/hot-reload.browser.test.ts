// What a developer meets who saves a file while the page is open: Vite's development server, React Fast Refresh, and the
// package as it is published.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from './fake-gateway.js';
import { freePort } from './gateway.js';
import { withFakeGateway } from './in-browser.js';
import { Tarball } from './packed/package.js';
import { serveProgram } from './packed/program.js';

withFakeGateway('a file that is saved while the page is open', (world) => {
  let tarball: Tarball | undefined;
  let folder: string;
  let url: string;
  let stop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    tarball = await Tarball.pack();
    folder = await tarball.installInto('hot');
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    const args = ['--strictPort', '--host', '127.0.0.1', '--port', String(port)];
    stop = await serveProgram('node_modules/vite/bin/vite.js', args, folder, url);
  }, 600_000);

  afterAll(async () => {
    await stop?.();
    await tarball?.remove();
  });

  /** Saves a file of the application, with another text. */
  async function edit(name: string, from: string, to: string): Promise<void> {
    const path = join(folder, name);
    const text = await readFile(path, 'utf8');
    expect(text).toContain(from);
    await writeFile(path, text.replace(from, to));
  }

  /** A page in which the application is live. */
  async function open(): Promise<Page> {
    const page = await world.context.newPage();
    await page.addInitScript((gateway) => Object.assign(globalThis, { gateway }), { url: world.gateway.url });
    await page.goto(url);
    await expect.poll(() => card(page)).toBe('Card one: live –');
    return page;
  }

  const card = (page: Page) => page.locator('output').textContent();
  const id = (page: Page) => page.locator('output').getAttribute('data-id');

  test('replaces the component, and keeps its state, the connection and the subscription', async () => {
    const { gateway } = world;
    // Once before: a server that has just met the packages may load the page anew.
    await (await open()).close();
    await until(() => gateway.open === 0);
    gateway.connections = 0;
    gateway.received.length = 0;

    const page = await open();
    gateway.next();
    await expect.poll(() => card(page)).toBe('Card one: live 1');
    const before = await id(page);
    await page.evaluate('globalThis.sameDocument = true');

    await edit('card.jsx', 'Card one', 'Card two');
    await expect.poll(() => card(page)).toBe('Card two: live 1');
    gateway.next();
    await expect.poll(() => card(page)).toBe('Card two: live 2');

    // The component with the provider in it.
    await edit('app.jsx', 'Page one', 'Page two');
    await expect.poll(() => page.locator('h1').textContent()).toBe('Page two');
    gateway.next();
    await expect.poll(() => card(page)).toBe('Card two: live 3');

    expect(await page.evaluate('sameDocument'), 'the page was not loaded again').toBe(true);
    expect(await id(page)).toBe(before);
    expect(gateway.connections).toBe(1);
    expect(gateway.asked).toEqual(['scalp/BTCUSDT']);
    expect(gateway.count('unsubscribe')).toBe(0);
  });
});
