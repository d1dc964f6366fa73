// Nothing stays behind: neither of connections, nor of messages, nor of clients.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';

interface Growth {
  /** Bytes of the JavaScript heap, after a collection. */
  heap: number;
  /** Bytes of the WebAssembly module's memory. */
  module: number;
}

let grown: { reconnects: Growth; messages: Growth; clients: Growth };

/** The engine's own bookkeeping of compiled code goes up and down by that much. */
const NOISE = 100_000;
/** The same for twenty thousand of everything: a word of eight bytes in each would be more. */
const NOISE_OF_MANY = 150_000;

beforeAll(async () => {
  const program = fileURLToPath(new URL('memory/measure.mjs', import.meta.url));
  // What grows by itself grows every time.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const { stdout } = await promisify(execFile)('node', ['--expose-gc', program]);
    grown = JSON.parse(stdout);
    console.log(`memory growth in bytes: ${stdout}`);
    if (grown.reconnects.heap < NOISE && grown.messages.heap < NOISE && grown.clients.heap < NOISE_OF_MANY) break;
  }
}, 900_000);

test('memory is flat over 1,500 reconnects', () => {
  expect(grown.reconnects.module).toBe(0);
  expect(grown.reconnects.heap).toBeLessThan(NOISE);
});

test('memory is flat over 1,000,000 messages', () => {
  expect(grown.messages.module).toBe(0);
  expect(grown.messages.heap).toBeLessThan(NOISE);
});

test('20,000 clients that were opened and closed leave nothing', () => {
  expect(grown.clients.module).toBe(0);
  expect(grown.clients.heap).toBeLessThan(NOISE_OF_MANY);
});
