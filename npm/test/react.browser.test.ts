// The React layer in a real browser, with React's own development build: what a developer meets on the first save.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from './fake-gateway.js';
import { withFakeGateway } from './in-browser.js';

/** An application: eight cards on one feed, in Strict Mode, which can be drawn, taken away, and drawn in slices. */
const app = `
  import { StrictMode, startTransition, useLayoutEffect, useRef, useState } from 'react';
  import { createRoot } from 'react-dom/client';
  import { TidegateProvider, useConnection, useSignal } from 'tidegate/react';

  const torn = [];
  const busy = (ms) => { for (const until = performance.now() + ms; performance.now() < until; ); };

  function Card({ slow }) {
    const { status, signal } = useSignal('scalp', 'BTCUSDT', { countdown: false });
    if (slow) busy(4);
    return <p className="card">{status} {signal?.seq ?? '–'}</p>;
  }

  function Page() {
    const [slow, setSlow] = useState(0);
    const list = useRef(null);
    const { state } = useConnection();
    // In every picture that is shown, all cards say the same.
    useLayoutEffect(() => {
      const texts = new Set([...list.current.querySelectorAll('.card')].map((card) => card.textContent));
      if (texts.size > 1) torn.push([...texts]);
    });
    globalThis.drawSlowly = () => startTransition(() => setSlow((count) => count + 1));
    return <div ref={list} id={state}>{Array.from({ length: 8 }, (_, key) => <Card key={key + '-' + slow} slow={slow} />)}</div>;
  }

  const getToken = () => 'token-' + Math.random();
  let root;
  globalThis.show = (url) => {
    root = createRoot(document.body.appendChild(document.createElement('div')));
    root.render(<StrictMode><TidegateProvider url={url} identity="alice" getToken={getToken}><Page /></TidegateProvider></StrictMode>);
  };
  globalThis.hide = () => root.unmount();
  globalThis.torn = torn;
  globalThis.cards = () => [...document.querySelectorAll('.card')].map((card) => card.textContent);
`;

async function bundle(): Promise<string> {
  const packageFolder = fileURLToPath(new URL('..', import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: app, loader: 'jsx', resolveDir: packageFolder },
    alias: { 'tidegate/react': `${packageFolder}dist/react/index.js` },
    define: { 'process.env.NODE_ENV': '"development"' },
    jsx: 'automatic',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

withFakeGateway('React in a browser', (world) => {
  let page: Page;

  beforeAll(async () => {
    const text = await bundle();
    // Twice: what a hot reload leaves is a second copy of everything.
    for (const path of ['/app.js', '/app-again.js']) world.site.instead.set(path, text);
  });

  beforeEach(async () => {
    page = await world.open();
  });

  async function show(): Promise<void> {
    await page.evaluate(`import('/app.js').then(() => show('${world.gateway.url}'))`);
  }

  const cards = () => page.evaluate('cards()');
  const all = (text: string) => expect.poll(cards).toEqual(Array(8).fill(text));

  test('Strict Mode: one socket, one subscribe, no unsubscribe, for eight components on one feed', async () => {
    await show();
    await all('live –');
    world.gateway.next();
    await all('live 1');
    expect(world.gateway.connections).toBe(1);
    expect(world.gateway.asked).toEqual(['scalp/BTCUSDT']);
    expect(world.gateway.count('unsubscribe')).toBe(0);
    expect(world.site.problems).toEqual([]);
  });

  test('a hot reload keeps the connection and the subscription', async () => {
    await show();
    await all('live –');
    world.gateway.next();
    // Loaded first: a moment is soon over on a busy machine.
    await page.evaluate(`{
      const { hide } = globalThis;
      import('/app-again.js').then(() => {
        hide();
        show('${world.gateway.url}');
      });
    }`);
    await all('live 1');
    expect(world.gateway.connections).toBe(1);
    expect(world.gateway.asked).toEqual(['scalp/BTCUSDT']);
    expect(world.gateway.count('unsubscribe')).toBe(0);
  });

  test('concurrent rendering never shows two states of one feed at once', async () => {
    await show();
    await all('live –');
    for (let round = 0; round < 5; round += 1) {
      await page.evaluate('drawSlowly()');
      for (let signals = 0; signals < 5; signals += 1) {
        world.gateway.next();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    await all('live 25');
    expect(await page.evaluate('torn')).toEqual([]);
    expect(world.gateway.asked).toEqual(['scalp/BTCUSDT']);
  });

  test('a page that goes takes its connection with it', async () => {
    await show();
    await all('live –');
    await page.evaluate('hide()');
    await until(() => world.gateway.open === 0);
  });
});
