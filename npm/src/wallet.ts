// Signing in with a wallet: a message from the gateway, a signature from the wallet, tokens in return.

import { asError, TidegateError } from './errors.js';
import { watchPage } from './page.js';
import { canShare } from './tabs/rim.js';
import type { GetToken } from './types.js';
import { httpOrigin, pageLocation } from './url.js';

/** Any wallet that speaks EIP-1193: `window.ethereum`, WalletConnect, a test's own. */
export interface WalletProvider {
  request(request: { method: string; params?: readonly unknown[] }): Promise<unknown>;
}

/** Options of {@link walletAuth}. */
export interface WalletAuthOptions {
  /** The wallet. */
  provider: WalletProvider;
  /** The gateway: the same address as that of the connection, or its HTTP origin. */
  url: string | URL;
  /** Which account signs. Default: the one that the wallet names first. */
  address?: string;
  /**
   * Where the refresh token is kept, `localStorage` for example: then neither a further tab nor a reload costs a
   * signature. Whoever can run a script in the page can read it there. Default: in memory, for this page alone.
   */
  storage?: WalletStorage;
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** The part of `Storage` that is used. */
export type WalletStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** `getToken` by wallet, with what else can be done with a signed-in wallet. */
export interface WalletAuth extends GetToken {
  /** Distinct for each wallet object (and `address`): another wallet is another user. */
  readonly identity: string;
  /** The account that signed in last; `null` before. */
  readonly address: string | null;
  /**
   * Revokes the session at the gateway, which closes its connections, and forgets the refresh token, in whichever tab
   * it is. The wallet is not asked again before {@link Client.signedIn} or {@link Client.retryNow}. Rejects where the
   * gateway does not revoke it: the session goes on, and may be revoked later.
   */
  logout(): Promise<void>;
}

/**
 * Makes `getToken` of a wallet. The first token costs a signature; later ones are had with the refresh token, or by
 * another signature where the gateway offers no refresh. Calls at the same time share one sign-in, and tabs take
 * turns: a refresh token is good for one use, and two prompts confuse the person.
 */
export function walletAuth(options: WalletAuthOptions): WalletAuth {
  const session = new WalletSession(options);
  const getToken = async () => session.token();
  const identity = identityOf(options.provider, options.address);
  const user = () => session.user();
  const again = () => session.again();
  const logout = () => session.logout();
  const auth = Object.assign(getToken, { identity, user, again, logout });
  return Object.defineProperty(auth, 'address', { get: () => session.address }) as unknown as WalletAuth;
}

/** What a tab writes or says others see a moment later: the next in turn must not read the used token. */
const SETTLE_MS = 250;

/** What `verify` and `refresh` answer. */
interface Tokens {
  token: string;
  expires_at: string;
  refresh_token?: string;
}

class WalletSession {
  address: string | null = null;
  readonly #options: WalletAuthOptions;
  readonly #storage: WalletStorage;
  #signingIn: Promise<Tokens> | undefined;
  #channel: BroadcastChannel | undefined;
  /** Why another tab could not revoke its session. */
  #failed = '';
  #lastTurn = Promise.resolve();

  constructor(options: WalletAuthOptions) {
    this.#options = options;
    this.#storage = options.storage ?? memory();
    if (options.storage) return;
    watchPage((event) => {
      if (event === 'thaw') this.#listen();
      if (event !== 'freeze') return;
      // An open one may keep the page out of the back/forward cache.
      this.#channel?.close();
      this.#channel = undefined;
    });
  }

  async token(): Promise<string> {
    // Two refreshes with one token would look like theft to the gateway.
    this.#signingIn ??= this.#renew().finally(() => {
      this.#signingIn = undefined;
    });
    return (await this.#signingIn).token;
  }

  async logout(): Promise<void> {
    this.#listen();
    this.#failed = '';
    this.#channel?.postMessage('');
    // Until the others are in the queue: then this tab's turn comes after theirs.
    if (this.#channel) await settled();
    await this.#revoke();
    if (this.#failed) throw new TidegateError('sign_in_failed', { message: this.#failed });
  }

  /** Whose wallet it is, without asking the person: `undefined` before the page may know. */
  async user(): Promise<string | undefined> {
    this.#listen();
    const known = this.#options.address ?? this.address;
    return known ?? firstOf(await this.#ask('eth_accounts').catch(() => undefined));
  }

  /** Whoever logged out may be asked again. */
  again(): void {
    if (this.#storage.getItem(this.#lastPlace()) === '') this.#storage.removeItem(this.#lastPlace());
  }

  async #renew(): Promise<Tokens> {
    this.#admit();
    const address = (await this.user()) ?? (await this.#account());
    return this.#inTurn(async () => {
      // While this tab waited for its turn, another may have logged out.
      this.#admit();
      const tokens = (await this.#refresh(address)) ?? (await this.#signIn(address));
      this.#storage.setItem(this.#place(address), tokens.refresh_token ?? '');
      this.#storage.setItem(this.#lastPlace(), address);
      this.address = address;
      return tokens;
    });
  }

  async #revoke(): Promise<void> {
    // After a reload a locked wallet names no account.
    const place = this.#place((await this.user()) ?? this.#storage.getItem(this.#lastPlace()) ?? '');
    await this.#inTurn(async () => {
      const refresh_token = this.#storage.getItem(place);
      if (refresh_token) await this.#post('logout', { refresh_token });
      this.#storage.removeItem(place);
      this.#storage.setItem(this.#lastPlace(), '');
    });
  }

  /** The gateway closes what is revoked, and the client asks for a token: that must not ask the person. */
  #admit(): void {
    if (this.#storage.getItem(this.#lastPlace()) === '') throw new TidegateError('token_denied');
  }

  // Where tokens are in memory, the session is in one tab, and whoever logs out may be in another.

  #listen(): void {
    if (this.#options.storage || this.#channel || !canShare()) return;
    this.#channel = new BroadcastChannel(this.#lastPlace());
    this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  /** Another tab logs out, or could not. */
  #hear(failed: string): void {
    this.#failed = failed;
    if (!failed) this.#revoke().catch(({ message }) => this.#channel?.postMessage(message));
  }

  /** One tab after the other; where there are no locks, this page alone. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
    return new Promise((resolve, reject) => {
      const turn = async () => {
        await action().then(resolve, reject);
        if (this.#options.storage || this.#channel) await settled();
      };
      if (locks) locks.request(this.#lastPlace(), turn).catch(reject);
      else this.#lastTurn = this.#lastTurn.then(turn);
    });
  }

  #place(address = ''): string {
    return `tidegate.wallet ${this.#origin()} ${address.toLowerCase()}`;
  }

  /** Who signed in last; empty: logged out. */
  #lastPlace(): string {
    return `${this.#place(this.#options.address)} last`;
  }

  #origin(): string {
    return httpOrigin(this.#options.url, pageLocation());
  }

  /** `undefined` where only another signature helps: no refresh token, a gateway without refresh, a dead session. */
  async #refresh(address: string): Promise<Tokens | undefined> {
    const place = this.#place(address);
    const refresh_token = this.#storage.getItem(place);
    if (!refresh_token) return undefined;
    try {
      return await this.#post<Tokens>('refresh', { refresh_token });
    } catch (error) {
      if ((error as TidegateError).code !== 'sign_in_refused') throw error;
      // A refresh token is good for one use, whatever the answer was.
      this.#storage.removeItem(place);
      return undefined;
    }
  }

  async #signIn(wallet_address: string): Promise<Tokens> {
    const { message } = await this.#post<{ message: string }>('challenge', { wallet_address });
    const signature = await this.#ask('personal_sign', [hex(message), wallet_address]);
    return this.#post<Tokens>('verify', { wallet_address, message, signature });
  }

  async #account(): Promise<string> {
    const first = firstOf(await this.#ask('eth_requestAccounts'));
    if (first === undefined) throw new TidegateError('wallet_unavailable');
    return first;
  }

  async #ask(method: string, params: readonly unknown[] = []): Promise<unknown> {
    try {
      return await this.#options.provider.request({ method, params });
    } catch (cause) {
      // EIP-1193: 4001 is the person's own no.
      const rejected = (cause as { code?: unknown } | null)?.code === 4001;
      throw rejected ? new TidegateError('wallet_rejected', { cause }) : asError(cause, 'wallet_failed');
    }
  }

  async #post<T>(path: string, request: object): Promise<T> {
    const url = `${this.#origin()}/api/auth/${path}`;
    let answer: Response;
    try {
      answer = await (this.#options.fetch ?? fetch)(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
        // The tokens are in the bodies: cookies have no part in this.
        credentials: 'omit',
      });
    } catch (cause) {
      throw new TidegateError('sign_in_failed', { message: `${url} cannot be reached`, cause });
    }
    const { ok, status } = answer;
    const body = await answer.json().catch(() => undefined);
    if (ok && (body || status === 204)) return body;
    const message = typeof body?.error === 'string' ? body.error : `The gateway answered ${status}`;
    // Too many requests, or the gateway's own trouble: later it may work.
    throw new TidegateError(status === 429 || status >= 500 ? 'sign_in_failed' : 'sign_in_refused', { message });
  }
}

function settled(): Promise<void> {
  return new Promise((done) => setTimeout(done, SETTLE_MS));
}

function memory(): WalletStorage {
  const kept = new Map<string, string>();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  };
}

function firstOf(accounts: unknown): string | undefined {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : undefined;
  return typeof first === 'string' ? first : undefined;
}

/** Wallets take the message as bytes; as plain text some take a text that begins with 0x for hex. */
function hex(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** One number per wallet object: the wallet tells its address only when it is asked to sign in. */
const numbers = /* @__PURE__ */ new WeakMap<WalletProvider, number>();
let next = 1;

function identityOf(provider: WalletProvider, address: string | undefined): string {
  const number = numbers.get(provider) ?? next++;
  numbers.set(provider, number);
  return `wallet ${number}${address ? ` ${address.toLowerCase()}` : ''}`;
}
