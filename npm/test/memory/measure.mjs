// What stays in memory after connections, messages and clients by the thousand. Prints JSON; wants --expose-gc.
//
// A process of its own, in which nothing else allocates, with time that passes as fast as the machine allows.

import { createClient, init } from '../../dist/index.js';
import { initSync } from '../../wasm/tidegate.js';
import { VirtualTime } from './time.mjs';
import { Wire } from './wire.mjs';

/** What is measured, after so many that fill what is bounded: histories, traces, compiled code. */
const RECONNECTS = { warmUp: 3_000, count: 1_500 };
const MESSAGES = { warmUp: 200_000, count: 1_000_000 };
const CLIENTS = { warmUp: 4_000, count: 20_000 };

await init();
const memory = initSync().memory;
const time = new VirtualTime();
time.install();

console.log(
  JSON.stringify({
    reconnects: await growth(RECONNECTS, reconnects),
    messages: await growth(MESSAGES, messages),
    clients: await growth(CLIENTS, clients),
  }),
);

/** Bytes that the measured rounds add. */
async function growth({ warmUp, count }, work) {
  const { run, end } = await work();
  await run(warmUp);
  const before = await used();
  await run(count);
  const after = await used();
  await end?.();
  return { heap: after.heap - before.heap, module: after.module - before.module };
}

/** One client that loses its connection again and again, with a signal in between. */
async function reconnects() {
  const { client, received } = await liveClient();
  const run = async (count) => {
    for (let round = 0; round < count; round += 1) {
      const wire = Wire.latest;
      const before = received.count;
      wire.signal();
      if (received.count !== before + 1) throw new Error('no signal came');
      wire.drop();
      await time.until(() => Wire.latest !== wire && client.connection.state === 'live');
    }
  };
  return { run, end: () => client.close() };
}

/** One client and a steady stream, with as many pictures drawn as in half an hour. */
async function messages() {
  const { client, received } = await liveClient();
  const run = async (count) => {
    const before = received.count;
    for (let message = 0; message < count; message += 1) {
      Wire.latest.signal();
      if (message % 1_000 === 0) await time.pass(20);
    }
    if (received.count !== before + count) throw new Error('not every signal came');
  };
  return { run, end: () => client.close() };
}

/** Clients that connect, follow a feed, hear a signal and are closed. */
async function clients() {
  const run = async (count) => {
    for (let round = 0; round < count; round += 1) {
      const { client, received } = await liveClient();
      Wire.latest.signal();
      if (received.count !== 1) throw new Error('no signal came');
      client.close();
      await time.pass(20);
    }
  };
  return { run };
}

async function liveClient() {
  let tokens = 0;
  const getToken = () => `token ${++tokens}`;
  const webSocket = () => new Wire();
  const client = createClient({ url: 'ws://127.0.0.1/ws', getToken, webSocket });
  const received = { count: 0 };
  client.subscribe('scalp', 'BTCUSDT', () => {
    received.count += 1;
  });
  await time.until(() => client.connection.state === 'live' && client.feed('scalp', 'BTCUSDT').status === 'live');
  return { client, received };
}

/** After everything that can be collected was. */
async function used() {
  let heap = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    // Finalizers and weak references are seen to in tasks of their own.
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
    heap = Math.min(heap, process.memoryUsage().heapUsed);
  }
  return { heap, module: memory.buffer.byteLength };
}
