// What the documents show has to compile, what is generated has to be fresh, and every link has to lead somewhere.

import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { reference } from '../scripts/api.mjs';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const root = join(packageFolder, '..');

/** Documents with code of the package in them. */
const WITH_CODE = ['README.md', 'npm/README.md', 'docs/react.md'];

test.each(WITH_CODE)('the code in %s compiles against the package', async (document) => {
  const snippets = snippetsOf(await readFile(join(root, document), 'utf8'));
  expect(snippets.length).toBeGreaterThan(1);
  // Inside of node_modules, where the compiler finds the packages and nobody else looks.
  const folder = await mkdtemp(join(packageFolder, 'node_modules/.docs-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(packageFolder, join(folder, 'node_modules/tidegate'), 'junction');
    const files = { 'readers.d.ts': READERS_HAVE, ...Object.fromEntries(snippets) };
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
    const compiler = join(packageFolder, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)('node', [compiler, '-p', folder]).catch((error) => {
      throw new Error(error.stdout);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the API reference says what the types say', async () => {
  const written = await readFile(join(root, 'docs/api.md'), 'utf8');
  expect(reference(), 'docs/api.md is old: npm run api').toBe(written);
});

test('every link between documents leads to a file, and to a heading of it', async () => {
  const documents = await documentsBelow('');
  expect(documents).toContain('docs/react.md');
  const broken: string[] = [];
  for (const document of documents) {
    for (const link of linksOf(await readFile(join(root, document), 'utf8'))) {
      if (!(await leadsSomewhere(document, link))) broken.push(`${document}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});

/** As a new project of Vite has it. */
const compilerOptions = {
  target: 'ES2022',
  lib: ['ES2023', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'],
  module: 'ESNext',
  moduleResolution: 'Bundler',
  moduleDetection: 'force',
  jsx: 'react-jsx',
  types: ['node'],
  strict: true,
  noUnusedLocals: true,
  skipLibCheck: true,
  preserveSymlinks: true,
  noEmit: true,
};

/** A package that a reader's project has, and this one has not. */
const READERS_HAVE = "declare module '@vitejs/plugin-react' { export default function react(): never; }";

/** Blocks of TypeScript with their names; a first line `// path/name.tsx` gives one. */
function snippetsOf(text: string): [name: string, code: string][] {
  return [...text.matchAll(/^```tsx?\n([\s\S]*?)^```$/gm)].map(([, code = ''], index) => {
    const [, name] = /^\/\/ (\S+\.tsx?)\n/.exec(code) ?? [];
    return [name ?? `snippet-${index}.tsx`, code];
  });
}

/** Every document of the project, without what commands write. */
async function documentsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isFile()) return entry.name.endsWith('.md') ? [path] : [];
    const written = entry.name.startsWith('.') || WRITTEN.includes(entry.name);
    return entry.isDirectory() && !written ? documentsBelow(path) : [];
  });
  return (await Promise.all(found)).flat().sort();
}

const WRITTEN = ['node_modules', 'target', 'dist', 'artifacts'];

/** Links to other places than the web, without those in code. */
function linksOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => !/^[a-z]+:/.test(link));
}

async function leadsSomewhere(document: string, link: string): Promise<boolean> {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? join(root, document) : join(root, dirname(document), path);
  if (heading === undefined) return exists(target);
  const text = await readFile(target, 'utf8').catch(() => '');
  return [...text.matchAll(/^#+ (.*)$/gm)].some(([, title = '']) => anchorOf(title) === heading);
}

function anchorOf(title: string): string {
  const plain = title.replace(/[`*]/g, '').toLowerCase();
  return plain.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
