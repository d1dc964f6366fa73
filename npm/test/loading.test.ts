// The module that does not load, and what the error says to do.

import { expect, test } from 'vitest';
import { createClient, init } from '../src/index.js';
import { FakeGateway } from './fake-gateway.js';

test('a module that cannot be loaded names both fixes, and the next attempt may succeed', async () => {
  const gateway = await FakeGateway.start();
  const broken = init(new Uint8Array([1, 2, 3]));
  await expect(broken).rejects.toMatchObject({
    code: 'wasm_failed',
    retry: true,
    hint: expect.stringMatching(/'wasm-unsafe-eval'.*tidegate\/tidegate\.wasm/),
    cause: expect.any(WebAssembly.CompileError),
  });
  const wasm = Promise.reject(new Error('the bundler lost it'));
  const client = createClient({ url: gateway.url, getToken: () => 'token', wasm, webSocket: () => ({}) as never });
  await expect(client.whenLive()).rejects.toMatchObject({ code: 'wasm_failed' });
  expect(client.connection).toMatchObject({ state: 'blocked', error: { code: 'wasm_failed' } });
  client.close();
  await init();
  await gateway.stop();
});
