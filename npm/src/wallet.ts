// Signing in with a wallet: a message from the gateway, a signature from the wallet, tokens in return.

import { asError, TidegateError } from './errors.js';
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
  /** Revokes the session at the gateway, which closes its connections, and forgets the refresh token. */
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
  return Object.defineProperties(getToken, {
    identity: { value: identityOf(options.provider, options.address) },
    user: { value: () => session.user() },
    address: { get: () => session.address },
    logout: { value: () => session.logout() },
  }) as unknown as WalletAuth;
}

/** What a tab writes to `localStorage` others see a moment later: the next in turn must not read the used token. */
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
  #refreshToken: string | undefined;
  #signingIn: Promise<Tokens> | undefined;

  constructor(options: WalletAuthOptions) {
    this.#options = options;
  }

  async token(): Promise<string> {
    // Two refreshes with one token would look like theft to the gateway.
    this.#signingIn ??= this.#renew().finally(() => {
      this.#signingIn = undefined;
    });
    return (await this.#signingIn).token;
  }

  async logout(): Promise<void> {
    const address = await this.user();
    await this.#inTurn(address, async () => {
      const refresh_token = this.#kept(address);
      this.#keep(address, undefined);
      if (refresh_token) await this.#post('logout', { refresh_token });
    });
  }

  /** Whose wallet it is, without asking the person: `undefined` before the page may know. */
  async user(): Promise<string | undefined> {
    const known = this.#options.address ?? this.address;
    return known ?? firstOf(await this.#ask('eth_accounts').catch(() => undefined));
  }

  async #renew(): Promise<Tokens> {
    const known = this.#options.storage ? await this.user() : (this.#options.address ?? this.address);
    const address = known ?? (await this.#account());
    return this.#inTurn(address, async () => {
      const tokens = (await this.#refresh(address)) ?? (await this.#signIn(address));
      this.#keep(address, tokens.refresh_token);
      this.address = address;
      return tokens;
    });
  }

  /** One tab after the other; where there are no locks, this page alone. */
  #inTurn<T>(address: string | undefined, action: () => Promise<T>): Promise<T> {
    const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
    if (!locks) return action();
    return new Promise((resolve, reject) => {
      const turn = async () => {
        await action().then(resolve, reject);
        if (this.#options.storage) await new Promise((done) => setTimeout(done, SETTLE_MS));
      };
      locks.request(this.#place(address), turn).catch(reject);
    });
  }

  #place(address = ''): string {
    return `tidegate.wallet ${this.#origin()} ${address.toLowerCase()}`;
  }

  #kept(address: string | undefined): string | undefined {
    const { storage } = this.#options;
    return storage ? (storage.getItem(this.#place(address)) ?? undefined) : this.#refreshToken;
  }

  #keep(address: string | undefined, token: string | undefined): void {
    const { storage } = this.#options;
    if (!storage) this.#refreshToken = token;
    else if (token) storage.setItem(this.#place(address), token);
    else storage.removeItem(this.#place(address));
  }

  #origin(): string {
    return httpOrigin(this.#options.url, pageLocation());
  }

  /** `undefined` where only another signature helps: no refresh token, a gateway without refresh, a dead session. */
  async #refresh(address: string): Promise<Tokens | undefined> {
    const refresh_token = this.#kept(address);
    if (!refresh_token) return undefined;
    const answer = await this.#post('refresh', { refresh_token });
    // A refresh token is good for one use, whatever the answer was.
    if (!answer.ok && answer.status < 500 && answer.status !== 429) {
      this.#keep(address, undefined);
      return undefined;
    }
    return this.#read<Tokens>(answer);
  }

  async #signIn(wallet_address: string): Promise<Tokens> {
    const { message } = await this.#read<{ message: string }>(await this.#post('challenge', { wallet_address }));
    const signature = await this.#ask('personal_sign', [hex(message), wallet_address]);
    return this.#read<Tokens>(await this.#post('verify', { wallet_address, message, signature }));
  }

  async #account(): Promise<string> {
    const first = firstOf(await this.#ask('eth_requestAccounts'));
    if (first === undefined) throw new TidegateError('wallet_unavailable');
    return first;
  }

  async #ask(method: string, params?: readonly unknown[]): Promise<unknown> {
    try {
      return await this.#options.provider.request(params ? { method, params } : { method });
    } catch (cause) {
      // EIP-1193: 4001 is the person's own no.
      const rejected = (cause as { code?: unknown } | null)?.code === 4001;
      throw rejected ? new TidegateError('wallet_rejected', { cause }) : walletFailed(cause);
    }
  }

  async #post(path: string, body: unknown): Promise<Response> {
    const url = `${this.#origin()}/api/auth/${path}`;
    try {
      return await (this.#options.fetch ?? fetch)(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        // The tokens are in the bodies: cookies have no part in this.
        credentials: 'omit',
      });
    } catch (cause) {
      throw new TidegateError('sign_in_failed', { message: `${url} cannot be reached`, cause });
    }
  }

  async #read<T>(answer: Response): Promise<T> {
    const body: unknown = await answer.json().catch(() => undefined);
    if (answer.ok && body) return body as T;
    const said = (body as { error?: unknown } | undefined)?.error;
    const message = typeof said === 'string' ? said : `The gateway answered ${answer.status}`;
    // Too many requests, or the gateway's own trouble: later it may work.
    const later = answer.status === 429 || answer.status >= 500;
    throw new TidegateError(later ? 'sign_in_failed' : 'sign_in_refused', { message });
  }
}

function firstOf(accounts: unknown): string | undefined {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : undefined;
  return typeof first === 'string' ? first : undefined;
}

function walletFailed(cause: unknown): TidegateError {
  const error = asError(cause, 'wallet_failed');
  return new TidegateError('wallet_failed', { message: error.message || 'The wallet failed', cause });
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
