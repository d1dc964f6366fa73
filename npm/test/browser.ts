// The package as it is published, served to a real browser: no bundler, and under a strict content security policy.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';

/** Where the test command says that the browser is. */
export const executablePath = process.env['CHROMIUM'];

if (!executablePath) console.warn('CHROMIUM is not set: tests in a browser are skipped');

/** Background requests off: the browser has nothing to do but the test. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch(): Promise<Browser> {
  // Playwright turns the back/forward cache off, and users do not.
  const ignoreDefaultArgs = ['--disable-back-forward-cache'];
  return chromium.launch({ executablePath: executablePath ?? '', args: flags, ignoreDefaultArgs, timeout: 120_000 });
}

const folder = fileURLToPath(new URL('..', import.meta.url));
const types: Record<string, string> = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

/** The script is in a file of its own: the policy allows no other. */
const html = '<!doctype html><title>test</title><script type="module" src="/page.js"></script>';
const script = `
  import * as tidegate from '/dist/index.js';
  import * as glue from '/wasm/tidegate.js';
  Object.assign(globalThis, { tidegate, memory: () => glue.initSync().memory.buffer.byteLength });
`;

/** Serves the package's files, and an empty page that has loaded it. */
export class Site {
  /** The gateway that pages may connect to. */
  gateway = '';
  /** What pages get in place of a file, by path. */
  readonly instead = new Map<string, string>();
  /** What went wrong in any page. */
  readonly problems: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src ${this.gateway}`;
      const made = path === '/' ? html : path === '/page.js' ? script : this.instead.get(path);
      const body = made ?? (await readFile(normalize(`${folder}${path}`)).catch(() => undefined));
      response.writeHead(body === undefined ? 404 : 200, {
        'content-type': types[extname(path)] ?? 'text/html',
        'content-security-policy': policy,
      });
      response.end(body);
    });
  }

  static async start(): Promise<Site> {
    const site = new Site();
    await new Promise<void>((resolve) => site.#server.listen(0, '127.0.0.1', resolve));
    return site;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** A page in which the package is loaded; at another path perhaps another one than the present. */
  async open(context: BrowserContext | Browser, path = ''): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', (error) => this.problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && this.problems.push(message.text()));
    await page.goto(this.url + path);
    await page.waitForFunction('globalThis.tidegate');
    return page;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/**
 * A page of which Playwright knows nothing. It keeps its own pages visible at any price, so that the browser does not
 * freeze them; here the DevTools protocol has its way.
 */
export class RawPage {
  readonly #browser: CDPSession;
  readonly #answers = new Map<number, (result: { result?: { value?: unknown } }) => void>();
  #session = '';
  #target = '';
  #messages = 0;

  private constructor(browser: CDPSession) {
    this.#browser = browser;
    browser.on('Target.receivedMessageFromTarget', ({ sessionId, message }) => {
      if (sessionId !== this.#session) return;
      const { id, result } = JSON.parse(message);
      this.#answers.get(id)?.(result);
      this.#answers.delete(id);
    });
  }

  /** Pages of one context are tabs of one profile. */
  static async context(browser: Browser): Promise<{ session: CDPSession; id: string }> {
    const session = await browser.newBrowserCDPSession();
    const { browserContextId } = await session.send('Target.createBrowserContext');
    return { session, id: browserContextId };
  }

  /** A page in which the package is loaded. */
  static async open(context: { session: CDPSession; id: string }, site: Site): Promise<RawPage> {
    const page = new RawPage(context.session);
    const where = { url: site.url, browserContextId: context.id, newWindow: true };
    const { targetId } = await context.session.send('Target.createTarget', where);
    const { sessionId } = await context.session.send('Target.attachToTarget', { targetId, flatten: false });
    page.#session = sessionId;
    page.#target = targetId;
    for (const end = performance.now() + 30_000; !(await page.evaluate('!!globalThis.tidegate')); ) {
      if (performance.now() > end) throw new Error('the page does not load');
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return page;
  }

  /** The value of an expression, also of a promise. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    return result?.value;
  }

  /** As a browser does with a page in the background, and a computer whose lid is closed with all of them. */
  async freeze(): Promise<void> {
    await this.#send('Page.setWebLifecycleState', { state: 'frozen' });
  }

  async thaw(): Promise<void> {
    await this.#send('Page.setWebLifecycleState', { state: 'active' });
    await this.#send('Page.bringToFront', {});
  }

  async close(): Promise<void> {
    await this.#browser.send('Target.closeTarget', { targetId: this.#target });
  }

  #send(method: string, params: object): Promise<{ result?: { value?: unknown } }> {
    this.#messages += 1;
    const message = JSON.stringify({ id: this.#messages, method, params });
    return new Promise((resolve, reject) => {
      this.#answers.set(this.#messages, resolve);
      this.#browser.send('Target.sendMessageToTarget', { sessionId: this.#session, message }).catch(reject);
    });
  }
}
