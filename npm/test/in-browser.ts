// What every test in a browser begins with: the package's files on a site of their own, a gateway, and a profile
// with nothing in it.

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, beforeEach, describe, expect } from 'vitest';
import { executablePath, launch, Site } from './browser.js';
import { FakeGateway } from './fake-gateway.js';

/** As far as it matters here. */
interface AnyGateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** What a test has. */
export class World<G extends AnyGateway> {
  site!: Site;
  browser!: Browser;
  /** New with every test, as the two below are. */
  gateway!: G;
  /** Pages of one context are tabs of one profile. */
  context!: BrowserContext;
  readonly #start: (site: Site) => Promise<G>;

  constructor(start: (site: Site) => Promise<G>) {
    this.#start = start;
  }

  /** A page in which the package is loaded. */
  open(path = ''): Promise<Page> {
    return this.site.open(this.context, path);
  }

  /** A new gateway and a new profile. */
  async begin(): Promise<void> {
    this.gateway = await this.#start(this.site);
    this.site.gateway = this.gateway.url;
    this.site.problems.length = 0;
    this.context = await this.browser.newContext();
  }

  async end(): Promise<void> {
    await this.context.close();
    await this.gateway.stop();
  }

  /** Something has to be done within `gateMs`: `attempt` does it and answers how long it took. */
  within(gateMs: number, what: string, attempt: () => Promise<number>): Promise<void> {
    return this.below(gateMs, `${what}, in milliseconds`, attempt);
  }

  /**
   * `attempt` answers a figure that has to be below `limit`. A machine that does something else beside it may spoil it
   * once or twice, not three times. Every attempt has a world of its own.
   */
  async below(limit: number, what: string, attempt: () => Promise<number>): Promise<void> {
    const figures = [await attempt()];
    while (figures.length < 3 && Math.min(...figures) >= limit) {
      await this.end();
      await this.begin();
      figures.push(await attempt());
    }
    console.log(`${what}: ${figures.map(Math.round).join(', ')} (below ${limit})`);
    expect(Math.min(...figures)).toBeLessThan(limit);
  }
}

/** How a world is made that is not the usual one. */
interface Making<G extends AnyGateway> {
  /** Starts the gateway. */
  start: (site: Site) => Promise<G>;
  /** A part of it is missing: the tests are skipped. */
  skip: boolean;
}

/** The usual one: it does as it is told, and remembers what it published, as the real one does. */
const FAKE: Making<FakeGateway> = {
  skip: false,
  async start() {
    const gateway = await FakeGateway.start();
    gateway.keeps = true;
    return gateway;
  },
};

/** Tests in a browser, each with a gateway and a profile of its own. Skipped where no browser is named. */
export function inBrowser<G extends AnyGateway>(name: string, how: Making<G>, tests: (world: World<G>) => void): void {
  describe.skipIf(!executablePath || how.skip)(name, () => {
    const world = new World(how.start);
    beforeAll(async () => {
      world.site = await Site.start();
      world.browser = await launch();
      return async () => {
        await world.browser.close();
        await world.site.stop();
      };
    });
    beforeEach(async () => {
      await world.begin();
      return () => world.end();
    });
    tests(world);
  });
}

/** The same with a gateway that does as it is told. */
export const withFakeGateway = (name: string, tests: (world: World<FakeGateway>) => void): void =>
  inBrowser(name, FAKE, tests);
