// The bundlers that take long, with the package as it is published. Part of `cargo xtask test --long`.

import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { executablePath } from './browser.js';
import { binary } from './gateway.js';
import { run, Tarball } from './packed/package.js';
import { Stage } from './packed/page.js';

const long = process.env['TIDEGATE_LONG'] === '1';

if (!long) console.warn('TIDEGATE_LONG is not 1: webpack 5, Vite 6 and Next 16 are skipped');

describe.skipIf(!long || !binary || !executablePath)('an application gets live signals', () => {
  let tarball: Tarball;
  let stage: Stage;

  beforeAll(async () => {
    tarball = await Tarball.pack();
    stage = await Stage.set();
  });

  afterAll(async () => {
    await stage?.strike();
    await tarball?.remove();
  });

  test('built by Vite 6, and from its development server', async () => {
    const folder = await tarball.installApp('vite-6');
    const vite = 'node_modules/vite/bin/vite.js';
    await run('node', [vite, 'build'], folder);
    await stage.showFiles(join(folder, 'dist'));
    await stage.showServer(vite, ['--strictPort', '--host', '127.0.0.1', '--port'], folder);
  }, 600_000);

  test('built by webpack 5 without any configuration', async () => {
    const folder = await tarball.installApp('webpack-5');
    const args = ['--mode', 'production', '--entry', './app.js'];
    await run('node', ['node_modules/webpack/bin/webpack.js', ...args], folder);
    await cp(join(folder, 'index.html'), join(folder, 'dist/index.html'));
    await stage.showFiles(join(folder, 'dist'));
  }, 600_000);

  test.each(['--turbopack', '--webpack'])('rendered on a server by Next 16, built with %s', async (bundler) => {
    const folder = await tarball.installApp('next-16');
    const next = 'node_modules/next/dist/bin/next';
    await run('node', [next, 'build', bundler], folder);
    await stage.showServer(next, ['start', '--hostname', '127.0.0.1', '--port'], folder, async (url) => {
      const html = await (await fetch(url)).text();
      expect(html).toContain('<h1>Rendered on a server</h1>');
      expect(html).toMatch(/<output>idle (<!-- -->)?0<\/output>/);
    });
  }, 600_000);
});
