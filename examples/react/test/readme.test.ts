// What the README shows has to compile.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const here = new URL('..', import.meta.url).pathname;

test('the React example of the README compiles against the package', async () => {
  const readme = await readFile(join(here, '../../README.md'), 'utf8');
  const [, snippet] = /```tsx\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(snippet).toBeDefined();
  // Inside of node_modules, where the compiler finds the packages and nobody else looks.
  const folder = await mkdtemp(join(here, 'node_modules/.readme-'));
  try {
    await writeFile(join(folder, 'readme.tsx'), snippet ?? '');
    const config = { extends: join(here, 'tsconfig.json'), include: ['*.tsx'], exclude: [] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await promisify(execFile)('node', [join(here, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(
      (error) => {
        throw new Error(error.stdout);
      },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
