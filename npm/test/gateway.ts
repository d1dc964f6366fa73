// The real gateway on a free port, ten times faster than real time, and a wallet to sign in with.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { WalletProvider } from '../src/index.js';

/** Where the test command says that the binary is. */
export const binary = process.env['TIDEGATE_BIN'];

if (!binary) console.warn('TIDEGATE_BIN is not set: tests against the real gateway are skipped');

/** The same in every run of one gateway, so that tokens outlive a restart. For tests only. */
const SECRET = 'a secret that only this test knows, long enough for HS256';

/** Whoever asks for the statistics. */
const ADMIN = '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf';

export class Gateway {
  #process: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly settings: Record<string, string>,
  ) {}

  /** Starts one, configured by its environment. */
  static async start(settings: Record<string, string> = {}, attempts = 3): Promise<Gateway> {
    const gateway = new Gateway(await freePort(), settings);
    try {
      await gateway.start();
    } catch (error) {
      // Somebody else took the port in between.
      if (attempts === 1) throw error;
      return Gateway.start(settings, attempts - 1);
    }
    return gateway;
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  async start(): Promise<void> {
    if (!binary) throw new Error('TIDEGATE_BIN is not set');
    const flags = ['serve', '--demo', '--speed', '10', '--listen', `127.0.0.1:${this.port}`];
    // An empty folder: no configuration file is found.
    const cwd = await mkdtemp(join(tmpdir(), 'tidegate-'));
    const child = spawn(binary, flags, {
      cwd,
      env: { TIDEGATE_AUTH__JWT_SECRET: SECRET, ...this.settings },
      stdio: 'ignore',
    });
    this.#process = child;
    for (const end = performance.now() + 60_000; performance.now() < end; ) {
      if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`);
      const answered = await fetch(`${this.http}/health`).then(
        (response) => response.ok,
        () => false,
      );
      if (answered) return;
      await sleep(50);
    }
    throw new Error('the gateway does not answer');
  }

  stop(): Promise<void> {
    return this.kill();
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** A token, got the way a page gets one. */
  async token(provider: WalletProvider = wallet()): Promise<string> {
    const [address] = (await provider.request({ method: 'eth_requestAccounts' })) as string[];
    const { message } = await this.#post('challenge', { wallet_address: address });
    const signature = await provider.request({ method: 'personal_sign', params: [message, address] });
    const { token } = await this.#post('verify', { wallet_address: address, message, signature });
    return token as string;
  }

  /** A token made by the operator: `--sub`, `--ttl` and `--role` as `tidegate token mint` takes them. */
  async mint(...flags: string[]): Promise<string> {
    if (!binary) throw new Error('TIDEGATE_BIN is not set');
    const env = { TIDEGATE_AUTH__JWT_SECRET: SECRET };
    const { stdout } = await promisify(execFile)(binary, ['token', 'mint', ...flags], { cwd: tmpdir(), env });
    return stdout.trim();
  }

  /** Connections that have signed in, as an administrator is told. */
  async connections(): Promise<number> {
    const token = await this.mint('--sub', ADMIN, '--role', 'admin');
    const response = await fetch(`${this.http}/ws/stats`, { headers: { authorization: `Bearer ${token}` } });
    const { stats } = (await response.json()) as { stats: { websocket_manager: { active_connections: number } } };
    return stats.websocket_manager.active_connections;
  }

  async #post(what: string, body: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.http}/api/auth/${what}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }
}

/** A wallet with a random key that signs whatever it is given. */
export function wallet(): WalletProvider {
  const key = secp256k1.utils.randomSecretKey();
  const address = `0x${bytesToHex(keccak_256(secp256k1.getPublicKey(key, false).subarray(1)).subarray(-20))}`;
  return {
    async request({ method, params }) {
      if (method === 'eth_accounts' || method === 'eth_requestAccounts') return [address];
      if (method === 'personal_sign') return sign(key, String(params?.[0]));
      throw Object.assign(new Error(`${method} is not supported`), { code: 4200 });
    },
  };
}

function sign(key: Uint8Array, given: string): string {
  const message = given.startsWith('0x') ? Buffer.from(given.slice(2), 'hex') : Buffer.from(given, 'utf8');
  const head = utf8ToBytes(`\x19Ethereum Signed Message:\n${message.length}`);
  const digest = keccak_256(Uint8Array.from([...head, ...message]));
  const signature = secp256k1.sign(digest, key, { prehash: false, format: 'recovered' });
  const recovery = signature[0] ?? 0;
  return `0x${bytesToHex(signature.subarray(1))}${(27 + recovery).toString(16)}`;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A port that nobody listened to a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
