'use client';

import {
  createContext,
  createElement,
  type FunctionComponent,
  type ReactNode,
  useContext,
  useEffect,
  useState,
} from 'react';
import { asError } from '../errors.js';
import { IDLE_CONNECTION } from '../store.js';
import type { Client, ClientOptions, ConnectionSnapshot } from '../types.js';
import { acquire, updateGetToken } from './registry.js';

/** Properties of {@link TidegateProvider}. */
export interface TidegateProviderProps extends Omit<ClientOptions, 'url'> {
  /** The gateway: `wss://host/ws`; `/ws` means the page's own host. */
  url: string;
  /**
   * Names the user. Give it when users can change without the page being loaded again: another user must not find the
   * connection of the one before. Default: that of `walletAuth`, which knows its wallet; else all are one user. Tabs
   * of one user share a connection.
   */
  identity?: string;
  /** Those who may use the hooks. */
  children?: ReactNode;
}

/** What the hooks see: the client once there is one, or why there is none. */
export interface Link {
  client: Client | null;
  failed: ConnectionSnapshot | null;
}

const NO_LINK: Link = { client: null, failed: null };

const TidegateContext = /* @__PURE__ */ createContext<Link | null>(null);

/**
 * Connects everything inside to a gateway: one connection per address and user, whatever Strict Mode, hot reload or a
 * second provider do. Nothing happens on a server. Of the options only `url`, `identity` and `getToken` may change.
 */
export const TidegateProvider: FunctionComponent<TidegateProviderProps> = ({ children, ...options }) => {
  const [link, setLink] = useState<Link>(NO_LINK);
  const user = options.identity ?? options.getToken.identity ?? '';
  useEffect(() => updateGetToken(options, user));
  // biome-ignore lint/correctness/useExhaustiveDependencies: the other options are read when a client is made
  useEffect(() => {
    try {
      const { client, release } = acquire(options, user);
      setLink({ client, failed: null });
      return () => {
        // Hidden by <Activity>, the components stay: shown again, they must not find the client that was closed.
        setLink(NO_LINK);
        release();
      };
    } catch (cause) {
      const error = asError(cause, 'invalid_url');
      setLink({ client: null, failed: Object.freeze({ ...IDLE_CONNECTION, state: 'blocked', error }) });
      return undefined;
    }
  }, [options.url, user]);
  return createElement(TidegateContext.Provider, { value: link }, children);
};

/** The provider's link. */
export function useLink(): Link {
  const link = useContext(TidegateContext);
  if (!link) throw new Error('This hook needs a <TidegateProvider> above the component that uses it.');
  return link;
}
