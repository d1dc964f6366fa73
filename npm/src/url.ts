// Which address is dialled: `wss:` from a secure page, and no `ws:` from there except to this very computer.

import { TidegateError } from './errors.js';

/** The page's address as far as it matters here. */
export interface PageLocation {
  protocol: string;
  href: string;
}

/** The WebSocket address of a gateway. `page` is `undefined` outside of browsers. */
export function socketUrl(url: string | URL, page: PageLocation | undefined): string {
  const resolved = parse(url, page);
  // Relative addresses and those that were written for HTTP have the page's or the obvious scheme.
  if (resolved.protocol === 'https:') resolved.protocol = 'wss:';
  if (resolved.protocol === 'http:') resolved.protocol = 'ws:';
  if (resolved.protocol !== 'ws:' && resolved.protocol !== 'wss:') {
    throw new TidegateError('invalid_url', { message: `${resolved.protocol} is not a scheme for a WebSocket` });
  }
  // A browser refuses an address with a fragment.
  resolved.hash = '';
  if (resolved.protocol === 'ws:' && page?.protocol === 'https:' && !isLoopback(resolved.hostname)) {
    throw new TidegateError('insecure_url', { message: `A secure page may not connect to ws://${resolved.host}` });
  }
  return resolved.href;
}

/** The HTTP origin of a gateway. */
export function httpOrigin(url: string | URL, page: PageLocation | undefined): string {
  const socket = new URL(socketUrl(url, page));
  return `${socket.protocol === 'wss:' ? 'https:' : 'http:'}//${socket.host}`;
}

/** The page, if there is one. */
export function pageLocation(): PageLocation | undefined {
  return typeof document === 'undefined' || typeof location === 'undefined' ? undefined : location;
}

function parse(url: string | URL, page: PageLocation | undefined): URL {
  try {
    return new URL(url, page?.href);
  } catch (cause) {
    throw new TidegateError('invalid_url', { message: `${String(url)} is not an address`, cause });
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}
