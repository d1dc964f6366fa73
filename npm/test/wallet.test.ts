import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type WalletProvider, walletAuth } from '../src/index.js';

/** What the gateway was asked, in order. */
let asked: { path: string; body: Record<string, string> }[];
/** What it answers, by path. */
let answers: Record<string, (body: Record<string, string>) => [status: number, body: unknown]>;
let server: Server;
let url: string;

beforeEach(async () => {
  asked = [];
  let tokens = 0;
  const issue = () => {
    tokens += 1;
    return [200, { token: `token-${tokens}`, expires_at: '', refresh_token: `refresh-${tokens}` }] as [number, unknown];
  };
  answers = {
    challenge: ({ wallet_address }) => [200, { message: `Sign in as ${wallet_address} ✓`, nonce: 'n' }],
    verify: issue,
    refresh: issue,
    logout: () => [204, undefined],
  };
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const path = request.url?.replace('/api/auth/', '') ?? '';
      const body = JSON.parse(text) as Record<string, string>;
      asked.push({ path, body });
      const [status, answer] = answers[path]?.(body) ?? [404, { error: 'Not found', code: 'not_found' }];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(answer === undefined ? undefined : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await new Promise((resolve) => server.close(resolve));
});

/** A wallet that notes what it is asked. */
function fakeWallet(answer: () => unknown = () => '0xsigned'): WalletProvider & { calls: [string, unknown][] } {
  const calls: [string, unknown][] = [];
  return {
    calls,
    async request({ method, params }) {
      calls.push([method, params]);
      if (method === 'eth_accounts') return [];
      return method === 'eth_requestAccounts' ? ['0xAbC'] : answer();
    },
  };
}

const token = (auth: ReturnType<typeof walletAuth>) => auth({ signal: new AbortController().signal });
const paths = () => asked.map(({ path }) => path);

test('the first token costs a challenge and a signature', async () => {
  const provider = fakeWallet();
  const auth = walletAuth({ provider, url });
  expect(await token(auth)).toBe('token-1');
  expect(asked.map(({ body }) => body)).toEqual([
    { wallet_address: '0xAbC' },
    { wallet_address: '0xAbC', message: 'Sign in as 0xAbC ✓', signature: '0xsigned' },
  ]);
  const hex = `0x${Buffer.from('Sign in as 0xAbC ✓').toString('hex')}`;
  expect(provider.calls).toEqual([
    ['eth_accounts', []],
    ['eth_requestAccounts', []],
    ['personal_sign', [hex, '0xAbC']],
  ]);
  expect(auth.address).toBe('0xAbC');
});

test('later tokens are refreshed, each refresh token used once', async () => {
  const provider = fakeWallet();
  const auth = walletAuth({ provider, url });
  expect([await token(auth), await token(auth), await token(auth)]).toEqual(['token-1', 'token-2', 'token-3']);
  const used = asked.filter(({ path }) => path === 'refresh').map(({ body }) => body['refresh_token']);
  expect(used).toEqual(['refresh-1', 'refresh-2']);
  expect(provider.calls.filter(([method]) => method === 'personal_sign')).toHaveLength(1);
});

test('calls at the same time share one sign-in', async () => {
  const auth = walletAuth({ provider: fakeWallet(), url });
  expect(await Promise.all([token(auth), token(auth)])).toEqual(['token-1', 'token-1']);
  expect(paths()).toEqual(['challenge', 'verify']);
});

test.each([404, 401])('a gateway that answers a refresh with %i is signed in to again', async (status) => {
  answers['refresh'] = () => [status, { error: 'no', code: 'x' }];
  const auth = walletAuth({ provider: fakeWallet(), url });
  await token(auth);
  expect(await token(auth)).toBe('token-2');
  expect(paths()).toEqual(['challenge', 'verify', 'refresh', 'challenge', 'verify']);
});

test('a gateway in trouble keeps the refresh token for later', async () => {
  const auth = walletAuth({ provider: fakeWallet(), url });
  await token(auth);
  const healthy = answers['refresh'];
  answers['refresh'] = () => [503, { error: 'Busy', code: 'internal' }];
  await expect(token(auth)).rejects.toMatchObject({ code: 'sign_in_failed', message: 'Busy', retry: true });
  if (healthy) answers['refresh'] = healthy;
  expect(await token(auth)).toBe('token-2');
});

test('the person’s own no is final until asked again', async () => {
  const provider = fakeWallet(() => {
    throw Object.assign(new Error('User rejected the request.'), { code: 4001 });
  });
  await expect(token(walletAuth({ provider, url }))).rejects.toMatchObject({ code: 'wallet_rejected', retry: false });
});

test('a signature that the gateway does not accept is final', async () => {
  answers['verify'] = () => [401, { error: 'Invalid signature', code: 'invalid_token' }];
  await expect(token(walletAuth({ provider: fakeWallet(), url }))).rejects.toMatchObject({
    code: 'sign_in_refused',
    message: 'Invalid signature',
    retry: false,
  });
});

test('a wallet without accounts, and a gateway that is not there, are told apart', async () => {
  const empty: WalletProvider = { request: async () => [] };
  await expect(token(walletAuth({ provider: empty, url }))).rejects.toMatchObject({ code: 'wallet_unavailable' });
  const nowhere = walletAuth({ provider: fakeWallet(), url: 'ws://127.0.0.1:1/ws' });
  await expect(token(nowhere)).rejects.toMatchObject({ code: 'sign_in_failed', retry: true });
});

test('logging out revokes the session once', async () => {
  const auth = walletAuth({ provider: fakeWallet(), url });
  await token(auth);
  await auth.logout();
  await auth.logout();
  expect(asked.filter(({ path }) => path === 'logout')).toEqual([
    { path: 'logout', body: { refresh_token: 'refresh-1' } },
  ]);
});

test('whoever logged out is not asked for a signature before wanting to be signed in again', async () => {
  const provider = fakeWallet();
  const auth = walletAuth({ provider, url });
  await token(auth);
  // The gateway closes the connection before it answers: the client asks for a token meanwhile.
  const meanwhile: Promise<unknown>[] = [];
  answers['logout'] = () => {
    meanwhile.push(expect(token(auth)).rejects.toMatchObject({ code: 'token_denied', retry: false }));
    return [204, undefined];
  };
  await auth.logout();
  expect(meanwhile).toHaveLength(1);
  await Promise.all(meanwhile);
  await expect(token(auth)).rejects.toMatchObject({ code: 'token_denied', retry: false });
  expect(provider.calls.filter(([method]) => method === 'personal_sign')).toHaveLength(1);
  auth.again?.();
  expect(await token(auth)).toBe('token-2');
  expect(paths()).toEqual(['challenge', 'verify', 'logout', 'challenge', 'verify']);
});

test.each([
  503, 429, 403,
])('a session that the gateway does not revoke (%i) goes on, and can be revoked later', async (status) => {
  const { storage, kept } = browser();
  for (const where of [{}, { storage }]) {
    const auth = walletAuth({ provider: fakeWallet(), url, address: '0xAbC', ...where });
    await token(auth);
    answers['logout'] = () => [status, { error: 'Busy', code: 'internal' }];
    await expect(auth.logout()).rejects.toMatchObject({ message: 'Busy', retry: status !== 403 });
    expect(await token(auth)).toMatch('token-');
    answers['logout'] = () => [204, undefined];
    await auth.logout();
    const sent = asked.filter(({ path }) => path === 'logout').map(({ body }) => body['refresh_token']);
    expect(sent).toHaveLength(2);
    expect(new Set(sent).size, 'the present token, each time').toBe(2);
    asked.length = 0;
  }
  expect([...kept.values()].join(), 'no token is left').toBe('');
});

test('each wallet object is an identity of its own, and keeps it', () => {
  const [one, two] = [fakeWallet(), fakeWallet()];
  const identity = (provider: WalletProvider, address?: string) =>
    walletAuth({ provider, url, ...(address && { address }) }).identity;
  expect(identity(one)).toBe(identity(one));
  expect(identity(one)).not.toBe(identity(two));
  expect(identity(one, '0xA')).toBe(identity(one, '0xa'));
  expect(identity(one, '0xA')).not.toBe(identity(one));
});

/** Storage and locks as the tabs of a browser share them. */
function browser() {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
    removeItem: (name: string) => void kept.delete(name),
  };
  const last = new Map<string, Promise<unknown>>();
  const request = (name: string, action: () => Promise<unknown>) => {
    const turn = (last.get(name) ?? Promise.resolve()).then(action, action);
    last.set(name, turn);
    return turn;
  };
  vi.stubGlobal('navigator', { locks: { request } });
  return { storage, kept };
}

test('tabs that share a storage sign in once, take turns, and use each refresh token once', async () => {
  const { storage } = browser();
  const wallets = [fakeWallet(), fakeWallet(), fakeWallet()];
  const auths = wallets.map((provider) => walletAuth({ provider, url, storage, address: '0xAbC' }));
  const tokens = await Promise.all(auths.map(token));
  expect(tokens).toEqual(['token-1', 'token-2', 'token-3']);
  expect(paths()).toEqual(['challenge', 'verify', 'refresh', 'refresh']);
  const used = asked.filter(({ path }) => path === 'refresh').map(({ body }) => body['refresh_token']);
  expect(used).toEqual(['refresh-1', 'refresh-2']);
  const signed = wallets
    .flatMap(({ calls }) => calls.map(([method]) => method))
    .filter((method) => /sign/.test(method));
  expect(signed).toEqual(['personal_sign']);
});

test('tabs without a storage ask the person one after the other', async () => {
  browser();
  let open = 0;
  const provider = () =>
    fakeWallet(async () => {
      open += 1;
      expect(open).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      open -= 1;
      return '0xsigned';
    });
  const auths = [walletAuth({ provider: provider(), url }), walletAuth({ provider: provider(), url })];
  await Promise.all(auths.map(token));
  expect(paths().filter((path) => path === 'verify')).toHaveLength(2);
});

test('a reload finds the refresh token where the application wants it kept, of that account alone', async () => {
  const { storage } = browser();
  const wallet = (account: string): WalletProvider => ({
    request: async ({ method }) => (method === 'personal_sign' ? '0xsigned' : [account]),
  });
  await token(walletAuth({ provider: wallet('0xAbC'), url, storage }));
  const reloaded = walletAuth({ provider: wallet('0xabc'), url, storage });
  expect(await reloaded.user?.()).toBe('0xabc');
  await token(reloaded);
  expect(paths()).toEqual(['challenge', 'verify', 'refresh']);
  await token(walletAuth({ provider: wallet('0xDeF'), url, storage }));
  expect(paths().slice(3)).toEqual(['challenge', 'verify']);
});

test('logging out forgets what was kept, and holds in every tab and after a reload', async () => {
  const { storage, kept } = browser();
  const open = () => walletAuth({ provider: fakeWallet(), url, storage, address: '0xAbC' });
  const [auth, other] = [open(), open()];
  await token(auth);
  expect([...kept.values()]).toContain('refresh-1');
  await auth.logout();
  expect([...kept.values()].join()).toBe('');
  expect(paths().at(-1)).toBe('logout');
  for (const tab of [auth, other, open()]) await expect(token(tab)).rejects.toMatchObject({ code: 'token_denied' });
  other.again?.();
  expect(await token(auth), 'wanted in one tab, allowed in all').toBe('token-2');
});

test('a locked wallet can be logged out after a reload', async () => {
  const { storage, kept } = browser();
  await token(walletAuth({ provider: fakeWallet(), url, storage }));
  const locked: WalletProvider = { request: async () => [] };
  await walletAuth({ provider: locked, url, storage }).logout();
  expect(asked.at(-1)).toEqual({ path: 'logout', body: { refresh_token: 'refresh-1' } });
  expect([...kept.values()].join()).toBe('');
});

describe('tabs without a storage', () => {
  let page: EventTarget;

  /** A tab of a page: the wallet names its account without asking. */
  async function open() {
    const calls: string[] = [];
    const provider: WalletProvider = {
      async request({ method }) {
        calls.push(method);
        return method === 'personal_sign' ? '0xsigned' : ['0xAbC'];
      },
    };
    const auth = walletAuth({ provider, url });
    // As a client does when it starts.
    expect(await auth.user?.()).toBe('0xAbC');
    return { auth, signed: () => calls.filter((method) => method === 'personal_sign').length };
  }

  beforeEach(() => {
    browser();
    page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    vi.stubGlobal('document', page);
    vi.stubGlobal('window', page);
    // The pages go.
    return () => void page.dispatchEvent(new Event('pagehide'));
  });

  test('log out together, whichever has the session', async () => {
    const [leader, follower] = [await open(), await open()];
    await token(leader.auth);
    await follower.auth.logout();
    expect(asked.filter(({ path }) => path === 'logout')).toEqual([
      { path: 'logout', body: { refresh_token: 'refresh-1' } },
    ]);
    for (const { auth } of [leader, follower])
      await expect(token(auth)).rejects.toMatchObject({ code: 'token_denied' });
    expect([leader.signed(), follower.signed()]).toEqual([1, 0]);
    follower.auth.again?.();
    await token(follower.auth);
    expect([leader.signed(), follower.signed()]).toEqual([1, 1]);
  });

  test('say so when the one with the session cannot revoke it', async () => {
    const [leader, follower] = [await open(), await open()];
    await token(leader.auth);
    answers['logout'] = () => [503, { error: 'Busy', code: 'internal' }];
    await expect(follower.auth.logout()).rejects.toMatchObject({ code: 'sign_in_failed', message: 'Busy' });
    expect(await token(leader.auth), 'the session goes on').toBe('token-2');
  });
});
