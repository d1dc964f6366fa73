// Applications in a real browser: served under a strict policy, and watched until a live signal is drawn.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { extname, join, normalize } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect } from 'vitest';
import { executablePath, launch } from '../browser.js';
import { freePort, Gateway } from '../gateway.js';
import { serveProgram } from './program.js';

const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

/** A gateway, a browser, and an origin that the gateway lets in: applications are shown there one after another. */
export class Stage {
  private constructor(
    readonly gateway: Gateway,
    readonly browser: Browser | undefined,
    readonly port: number,
  ) {}

  static async set(): Promise<Stage> {
    const port = await freePort();
    const gateway = await Gateway.start({ TIDEGATE_SERVER__ALLOWED_ORIGINS: `http://127.0.0.1:${port}` });
    const browser = executablePath ? await launch() : undefined;
    return new Stage(gateway, browser, port);
  }

  async strike(): Promise<void> {
    await this.browser?.close();
    await this.gateway.kill();
  }

  /** Shows files under a policy that allows the application's own scripts, WebAssembly, and the gateway. */
  async showFiles(folder: string): Promise<void> {
    const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src ${this.gateway.url}`;
    const server = await serve(folder, this.port, policy);
    try {
      await this.expectLiveSignals();
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Shows what a program of the application serves: the last argument is the port. `look` sees it before that. */
  async showServer(script: string, args: string[], cwd: string, look = async (_url: string) => {}): Promise<void> {
    const stop = await serveProgram(script, [...args, String(this.port)], cwd, this.#url);
    try {
      await look(this.#url);
      await this.expectLiveSignals();
    } finally {
      await stop();
    }
  }

  /** The page draws a second signal, which was pushed to it when it was made; and nothing is wrong on the way. */
  async expectLiveSignals(): Promise<void> {
    if (!this.browser) throw new Error('CHROMIUM is not set');
    const page = await this.browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      const { url } = message.location();
      // The browser's own idea; no application here has an icon.
      if (url.endsWith('/favicon.ico')) return;
      if (['error', 'warning'].includes(message.type())) problems.push(`${message.text()} ${url}`);
    });
    const shared = { url: this.gateway.url, token: await this.gateway.token() };
    await page.addInitScript((gateway) => Object.assign(globalThis, { gateway }), shared);
    try {
      await page.goto(this.#url);
      const drawn = () => page.locator('output').textContent();
      await expect.poll(drawn).toMatch(/^live ([2-9]|\d\d+)$/);
      expect(problems).toEqual([]);
    } catch (error) {
      throw new Error(`no live signal: ${problems.join('\n')}`, { cause: error });
    } finally {
      await page.close();
    }
  }

  get #url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }
}

async function serve(folder: string, port: number, policy: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const file = path === '/' ? '/index.html' : path;
    const body = await readFile(join(folder, normalize(file))).catch(() => undefined);
    response.writeHead(body ? 200 : 404, {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': policy,
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}
