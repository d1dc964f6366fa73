// The package as it is published: what is in it, and that applications of every kind get live signals with it.
//
// The bundlers that take long are in `packed-long.test.ts`.

import { cp, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { executablePath } from './browser.js';
import { binary } from './gateway.js';
import { packageFolder, run, Tarball } from './packed/package.js';
import { Stage } from './packed/page.js';

let tarball: Tarball;

beforeAll(async () => {
  tarball = await Tarball.pack();
});

afterAll(() => tarball?.remove());

describe('the tarball', () => {
  test('holds a script and its types for every source, the module, and what a reader needs; nothing else', async () => {
    const sources = (await readdir(join(packageFolder, 'src'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => relative(join(packageFolder, 'src'), join(parentPath, name)));
    const compiled = sources
      .map((name) => name.replace(/\.tsx?$/, ''))
      .flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
    const module = ['inline.d.ts', 'inline.js', 'tidegate.d.ts', 'tidegate.js', 'tidegate.wasm'];
    const rest = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'package.json'];
    expect(tarball.files).toEqual([...compiled, ...module.map((name) => `wasm/${name}`), ...rest].sort());
  });

  test('runs nothing when it is installed, and brings nothing with it', async () => {
    const { scripts, dependencies } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
    const onInstall = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare', 'prepublish'];
    expect(Object.keys(scripts).filter((name) => onInstall.includes(name))).toEqual([]);
    expect(dependencies).toBeUndefined();
  });

  test('has the licences of the project', async () => {
    for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) {
      const [own, project] = [join(packageFolder, name), join(packageFolder, '..', name)];
      expect(await readFile(own, 'utf8')).toBe(await readFile(project, 'utf8'));
    }
  });

  test('is what publint expects of a package', async () => {
    const { messages, pkg } = await publint({ pkgDir: packageFolder, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test('has types that every resolution finds', async () => {
    const attw = join(packageFolder, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    // The module is a file to be fetched, not one to be imported.
    const options = ['--profile', 'esm-only', '--exclude-entrypoints', './tidegate.wasm', '--format', 'ascii'];
    const said = await run('node', [attw, tarball.path, ...options], packageFolder);
    expect(said.match(/^node16 \(from ESM\): 🟢 \(ESM\)$/gm)).toHaveLength(3);
  });
});

describe.skipIf(!binary)('an application gets live signals', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.set();
  });

  afterAll(() => stage?.strike());

  test('in Node 20, from an ES module and by require', async () => {
    // What the fixtures run on. A newer one has more, so that less is shown.
    const version = (await run('node', ['--version'], packageFolder)).trim();
    expect(Number.parseInt(version.slice(1), 10)).toBeGreaterThanOrEqual(20);
    if (!version.startsWith('v20.')) console.warn(`node is ${version}: that the package works in Node 20 is not shown`);
    const folder = await tarball.installInto('node');
    const env = { GATEWAY: stage.gateway.url, TOKEN: await stage.gateway.token() };
    for (const program of ['module.mjs', 'common.cjs']) {
      expect(await run('node', [program], folder, env)).toBe('scalp BTCUSDT\nscalp BTCUSDT\n');
    }
  }, 600_000);

  describe.skipIf(!executablePath)('in a browser', () => {
    test('without a bundler, under a strict policy', async () => {
      await stage.showFiles(await tarball.installInto('plain'));
    }, 600_000);

    test('built by esbuild, with and without splitting', async () => {
      const folder = await tarball.installApp('esbuild');
      for (const form of [['--format=esm', '--splitting'], ['--format=esm'], ['--format=iife']]) {
        const out = await mkdtemp(join(folder, 'out-'));
        const args = ['app.js', '--bundle', '--minify', `--outdir=${out}`, ...form];
        await run('node_modules/.bin/esbuild', args, folder);
        await cp(join(folder, 'index.html'), join(out, 'index.html'));
        await stage.showFiles(out);
      }
    }, 600_000);

    test('built by Vite 8, and from its development server', async () => {
      const folder = await tarball.installApp('vite-8');
      await run('node', ['node_modules/vite/bin/vite.js', 'build'], folder);
      await stage.showFiles(join(folder, 'dist'));
      await stage.showServer(
        'node_modules/vite/bin/vite.js',
        ['--strictPort', '--host', '127.0.0.1', '--port'],
        folder,
      );
    }, 600_000);
  });
});
