// Measures what a page loads: the module by itself, and the whole SDK as a bundler ships it (wasm inline, glue,
// React layer; React itself is the page's). Prints JSON for `cargo xtask wasm`, which holds it against the budget.

import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const measure = (files) => ({
  raw: sum(files, (bytes) => bytes.length),
  gzip: sum(files, (bytes) => gzipSync(bytes, { level: 9 }).length),
  brotli: sum(files, (bytes) => brotliCompressSync(bytes).length),
});

const sum = (files, size) => files.reduce((total, bytes) => total + size(bytes), 0);

const { outputFiles } = await build({
  entryPoints: ['dist/index.js', 'dist/react/index.js'],
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  external: ['react', 'react-dom'],
  write: false,
  outdir: 'out',
});

console.log(
  JSON.stringify({
    wasm: measure([readFileSync('wasm/tidegate.wasm')]),
    sdk: measure(outputFiles.map((file) => file.contents)),
  }),
);
