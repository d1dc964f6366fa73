// Pages of two versions of the package in one browser, as after a deployment: those that were open stay what they were.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { TABS_VERSION } from '../src/tabs/message.js';
import { until } from './fake-gateway.js';
import { follow, live, role, takeover, whole } from './followed.js';
import { withFakeGateway } from './in-browser.js';

/** Builds the package as it was when tabs spoke the version before. */
async function bundleOfBefore(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: "import * as tidegate from './dist/index.js'; Object.assign(globalThis, { tidegate });",
      resolveDir: fileURLToPath(new URL('..', import.meta.url)),
    },
    plugins: [versionBefore],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  const text = outputFiles[0]?.text ?? '';
  expect(text, 'it is another version').toContain(`TABS_VERSION = ${TABS_VERSION - 1};`);
  return text;
}

const versionBefore: Plugin = {
  name: 'version before',
  setup({ onLoad }) {
    onLoad({ filter: /dist.tabs.message\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: text.replace(`TABS_VERSION = ${TABS_VERSION};`, `TABS_VERSION = ${TABS_VERSION - 1};`) };
    });
  },
};

withFakeGateway('pages of two versions', (world) => {
  beforeAll(async () => {
    world.site.instead.set('/before.js', await bundleOfBefore());
    world.site.instead.set(
      '/before',
      '<!doctype html><title>before</title><script type="module" src="/before.js"></script>',
    );
  });

  /** A tab of alice's that follows a feed, of the present version or of the one before. */
  async function tab(path: '' | 'before'): Promise<Page> {
    const page = await world.open(path);
    await page.evaluate(follow(world.gateway.url));
    await live(page);
    return page;
  }

  /** Publishes something, and everybody has all of it. */
  async function publishTo(...pages: Page[]): Promise<void> {
    world.gateway.next();
    world.gateway.next();
    await whole(pages, world.gateway);
  }

  test('have one connection a version, hear everything, and lose nothing while the old ones go', async () => {
    const { gateway } = world;
    const [old, young, oldToo, youngToo] = [await tab('before'), await tab(''), await tab('before'), await tab('')];
    const roles = () => Promise.all([old, young, oldToo, youngToo].map(role));
    expect(await roles()).toEqual(['leader', 'leader', 'follower', 'follower']);
    await publishTo(old, young, oldToo, youngToo);
    expect([gateway.connections, gateway.open]).toEqual([2, 2]);

    // The old leader goes: the other old tab takes over, and no new one notices.
    await takeover(gateway, () => old.close());
    await publishTo(oldToo, young, youngToo);
    await until(() => gateway.open === 2);
    expect(await Promise.all([oldToo, young, youngToo].map(role))).toEqual(['leader', 'leader', 'follower']);

    // The last old page goes.
    await oldToo.close();
    await until(() => gateway.open === 1);
    await publishTo(young, youngToo);
    expect([gateway.connections, gateway.open]).toEqual([3, 1]);
    expect(world.site.problems).toEqual([]);
  });

  test('are one again when the old one is loaded anew', async () => {
    const { gateway } = world;
    const [old, young] = [await tab('before'), await tab('')];
    await publishTo(old, young);
    await old.goto(world.site.url);
    await old.waitForFunction('globalThis.tidegate');
    await old.evaluate(follow(gateway.url));
    await live(old);
    await until(() => gateway.open === 1);
    // A page that is new begins with the latest signal.
    await expect.poll(() => old.evaluate('seen')).toEqual(gateway.published.slice(-1));
    gateway.next();
    await whole([young], gateway);
    await expect.poll(() => old.evaluate('seen')).toEqual(gateway.published.slice(-2));
    expect(await Promise.all([old, young].map(role))).toEqual(['follower', 'leader']);
    expect(gateway.connections).toBe(2);
  });
});
