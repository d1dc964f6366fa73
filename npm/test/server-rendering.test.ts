import { createElement, type FunctionComponent } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, test, vi } from 'vitest';

/** What a careless module would touch. */
const watched = ['setTimeout', 'setInterval', 'fetch', 'WebSocket', 'addEventListener', 'requestAnimationFrame'];

test('importing the package and rendering on a server touches nothing and connects to nothing', async () => {
  const touched: string[] = [];
  for (const name of watched) vi.stubGlobal(name, () => touched.push(name));
  const instantiated = vi.spyOn(WebAssembly, 'instantiate');
  const before = Reflect.ownKeys(globalThis);
  const { TidegateProvider, useConnection, useSignal } = await import('../src/react/index.js');
  await import('../src/index.js');
  expect(Reflect.ownKeys(globalThis)).toEqual(before);

  const Page: FunctionComponent = () => {
    const { state } = useConnection();
    const { status, data } = useSignal('scalp', 'BTCUSDT');
    return createElement('p', null, `${state} ${status} ${data === null}`);
  };
  const props = { url: 'wss://gateway.example/ws', getToken: () => 'token', children: createElement(Page) };
  expect(renderToString(createElement(TidegateProvider, props))).toBe('<p>idle idle true</p>');

  expect(touched).toEqual([]);
  expect(instantiated).not.toHaveBeenCalled();
  expect(Reflect.ownKeys(globalThis)).toEqual(before);
  vi.unstubAllGlobals();
});
