// The bug report that a page writes, which `client-core/tests/replay.rs` plays back from a committed example.
//
// TIDEGATE_WRITE_REPORT=1 writes the example anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, connect, type WebSocketFactory } from '../src/index.js';
import { FakeGateway, until } from './fake-gateway.js';

const webSocket: WebSocketFactory = (url, protocols) => new WebSocket(url, protocols) as never;
const example = new URL('../../client-core/tests/browser-report.txt', import.meta.url);

let gateway: FakeGateway;
let client: Client;

beforeEach(async () => {
  gateway = await FakeGateway.start();
});

afterEach(async () => {
  client.close();
  await gateway.stop();
});

/** A session in which most things happen that a report can tell. */
async function session(): Promise<string> {
  let tokens = 0;
  const getToken = () => {
    tokens += 1;
    return { token: `secret-${tokens}`, ...(tokens > 1 && { expiresInMs: 900_000 }) };
  };
  client = await connect({ url: gateway.url, getToken, webSocket, lingerMs: 0 });
  const seen: number[] = [];
  const stop = client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
  client.subscribe('momentum', 'DOGEUSDT', () => {});
  await until(() => gateway.asked.length === 2);
  gateway.signal(1_000, 0);
  gateway.signal(1_000, 0);
  gateway.signal(3_000, 2_000);
  await until(() => seen.length === 2 && gateway.asked.length === 3);
  client.signedIn();
  await until(() => gateway.count('authenticate') === 2);
  gateway.send(JSON.stringify({ type: 'heartbeat', payload: { server_time: '' } }));
  gateway.send(
    JSON.stringify({ type: 'error', id: 0, payload: { error: '', code: 'rate_limited', retry_after_ms: 5 } }),
  );
  gateway.drop(1013, 'Too slow');
  await until(() => gateway.count('authenticate') === 3 && client.connection.state === 'live');
  stop();
  await until(() => / unsubscribed \d+$/m.test(client.debugReport()));
  return client.debugReport();
}

/** The kinds of lines in it, without what differs from run to run. */
function kinds(report: string): string[] {
  const kind = (line: string) => line.replace(/\b\d+\b/g, 'N').replace(/\{.*\}/, '{}');
  return [...new Set(report.split('\n').map(kind))].filter((line) => !line.endsWith('> tick')).sort();
}

test('a report tells what happened in the form that can be played back, and no secret', async () => {
  const report = await session();
  expect(report).not.toMatch(/secret-|session-/);
  if (process.env['TIDEGATE_WRITE_REPORT']) writeFileSync(example, report);
  expect(kinds(report)).toEqual(kinds(readFileSync(example, 'utf8')));
});
