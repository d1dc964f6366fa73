// The real server on a free port, with the simulator at ten times real time: a scalp signal every 3 seconds.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The time between two scalp signals at `--speed 10`. */
export const SIGNAL_EVERY_MS = 3_000;

/** The same after a restart, as in production: tokens stay valid. For tests only. */
const SECRET = 'a secret that only this test knows, long enough for HS256';

/** A server that can be killed and started again at the same address. */
export class Gateway {
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(
    readonly binary: string,
    readonly port: number,
    readonly folder: string,
  ) {}

  /** Starts `binary` on a free port, in an empty folder so that no configuration file is found. */
  static async start(binary: string, attempts = 3): Promise<Gateway> {
    const gateway = new Gateway(binary, await freePort(), await mkdtemp(join(tmpdir(), 'tidegate-')));
    try {
      await gateway.start();
    } catch (error) {
      // Somebody else took the port in between.
      if (attempts === 1) throw error;
      return Gateway.start(binary, attempts - 1);
    }
    return gateway;
  }

  /** Where the dashboard is. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Resolves when the server answers. */
  async start(): Promise<void> {
    const flags = ['serve', '--demo', '--speed', '10', '--listen', `127.0.0.1:${this.port}`];
    const child = spawn(this.binary, flags, {
      cwd: this.folder,
      env: { ...process.env, TIDEGATE_AUTH__JWT_SECRET: SECRET },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#log += chunk;
      });
    }
    await until('the server answers', async () => {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${this.#log}`);
      return (await fetch(`${this.url}health`)).ok;
    });
  }

  /** Ends it the hard way, as a crash or a power cut would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}

/** Asks until the answer is true; an error counts as "not yet" unless the time is up. */
export async function until(what: string, ask: () => Promise<boolean>, forMs = 60_000): Promise<void> {
  const end = Date.now() + forMs;
  for (;;) {
    try {
      if (await ask()) return;
    } catch (error) {
      if (Date.now() > end || String(error).includes('the server ended')) throw error;
    }
    if (Date.now() > end) throw new Error(`not within ${forMs} ms: ${what}`);
    await sleep(25);
  }
}

/** Waits; only for time that the test is about. */
export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
