// Dispatch against a plain JavaScript client, in Node and, where CHROMIUM names one, in a browser.
// Usage: node dispatch/run.js [--check], which fails when a ratio is over its gate.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { chromium } from 'playwright-core';
import * as tidegate from 'tidegate';
import { measure } from './measure.js';

const { values: flags } = parseArgs({ options: { check: { type: 'boolean', default: false } } });

/** The folder that the browser is served from: everything that it loads is below. */
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A machine with other work to do may miss a gate; a slower client misses it every time. */
const ATTEMPTS = 10;

const places = { Node: inNode };
if (process.env['CHROMIUM']) places.Chromium = inChromium;

if (isMainThread) {
  if (!places.Chromium) console.warn('CHROMIUM is not set: measured in Node only');
  for (const [place, run] of Object.entries(places)) await report(place, run);
} else parentPort.postMessage(await measure(tidegate));

async function report(place, run) {
  /** By size: the best of all attempts. */
  const best = {};
  for (let attempt = 1; ; attempt += 1) {
    const rows = await run();
    for (const { bytes, ratio } of rows) best[bytes] = Math.min(ratio, best[bytes] ?? ratio);
    for (const { size, plainUs, sdkUs, ratio, gate, stretch } of rows) {
      const times = `${plainUs.toFixed(2)} µs plain, ${sdkUs.toFixed(2)} µs SDK`;
      console.log(
        `${place.padEnd(8)} ${String(size).padStart(5)} B   ratio ${ratio.toFixed(3)} (gate ${gate}, stretch ${stretch})   ${times}`,
      );
    }
    if (!flags.check || rows.every(({ bytes, gate }) => best[bytes] <= gate)) return;
    if (attempt === ATTEMPTS) {
      process.exitCode = 1;
      return;
    }
    console.log(`${place.padEnd(8)} over a gate: measured again`);
  }
}

/** In a thread of its own, as a page is: what the engine made of the code in one attempt is not the next one's. */
async function inNode() {
  const worker = new Worker(new URL(import.meta.url));
  try {
    const [rows] = await once(worker, 'message');
    return rows;
  } finally {
    await worker.terminate();
  }
}

async function inChromium() {
  const server = createServer(serveFile);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'],
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    return await page.evaluate(async () => {
      const [tidegate, { measure }] = await Promise.all([
        import('/npm/dist/index.js'),
        import('/bench/dispatch/measure.js'),
      ]);
      return measure(tidegate);
    });
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

async function serveFile(request, response) {
  const path = new URL(request.url, 'http://localhost').pathname;
  const body = path === '/' ? '<!doctype html>' : await readFile(join(root, normalize(path))).catch(() => undefined);
  response.writeHead(body === undefined ? 404 : 200, {
    'content-type': extname(path) === '.js' ? 'text/javascript' : 'text/html',
    // Only a page of its own gets a clock of microseconds.
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  response.end(body);
}
