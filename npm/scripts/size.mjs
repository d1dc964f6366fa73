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

/** What a file is called that the bundler names by a hash: by the largest part of it. */
function nameOf(path) {
  const output = Object.entries(metafile.outputs).find(([name]) => path.endsWith(name));
  const parts = Object.entries(output[1].inputs).sort(([, a], [, b]) => b.bytesInOutput - a.bytesInOutput);
  const others = parts.length > 1 ? ` and ${parts.length - 1} more` : '';
  return parts.length === 0 ? path : `${parts[0][0]}${others}`;
}

const { outputFiles, metafile } = await build({
  // One entry, as an application is one.
  stdin: { contents: "export * from './dist/index.js'; export * from './dist/react/index.js';", resolveDir: '.' },
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  external: ['react', 'react-dom'],
  write: false,
  outdir: 'out',
  metafile: true,
});

console.log(
  JSON.stringify({
    wasm: measure([readFileSync('wasm/tidegate.wasm')]),
    sdk: measure(outputFiles.map((file) => file.contents)),
    parts: outputFiles.map(({ path, contents }) => ({ name: nameOf(path), ...measure([contents]) })),
  }),
);
