// What a shared engine is made of, and whom it is shared with.

import type { CoreInput, EngineListener, Feed } from '../engine.js';
import type { Glue } from '../module.js';
import type { GetToken } from '../types.js';
import type { FollowedEngine } from './followers.js';
import type { Mirror } from './message.js';
import type { Rim } from './rim.js';

/** What of the engine is used here. */
export interface SharedEngine extends FollowedEngine {
  readonly started: boolean;
  start(glue: Glue): void;
  input(input: CoreInput): void;
  feeds(): Iterable<Feed>;
  dueInMs(feed: Feed): number | undefined;
  dropConnection(): void;
  close(): void;
}

/** What the client hears; signals are told by the feeds themselves. */
export interface SharedListener extends Omit<EngineListener, 'onSignal'> {
  /** What the followers are to show. */
  mirror(): Mirror;
  /** What the leader shows. */
  onMirror(mirror: Mirror): void;
}

/** How tabs are shared. */
export interface SharedOptions {
  /** The page; `undefined`: nothing is shared. */
  rim: Rim | undefined;
  /** The gateway. */
  url: string;
  /** Who the user is; `undefined`: the first token says it. */
  identity: string | undefined;
  getToken: GetToken;
}

/** What the tabs of one user have in common. Addresses of wallets are written in more than one way. */
export function groupOf(url: string, user: string): string {
  return `${url} ${/^0x[0-9a-f]{40}$/i.test(user) ? user.toLowerCase() : user}`;
}

/** A wallet that does not answer in this time may never do. */
const USER_MS = 2_000;

/** Who the user is, if it can be known without asking them, and soon. */
export function userOf(getToken: GetToken): Promise<string | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, USER_MS));
  const user = Promise.resolve().then(() => getToken.user?.());
  return Promise.race([user.catch(() => undefined), late]);
}

/** Whom a token is about, if it says so. Only to know whom to share with: the gateway checks what it says. */
export function subjectOf(token: Awaited<ReturnType<GetToken>>): string | undefined {
  try {
    const [, payload = ''] = (typeof token === 'string' ? token : token.token).split('.');
    const { sub } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/')));
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}
