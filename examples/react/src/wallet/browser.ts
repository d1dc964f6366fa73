// The wallet of a browser extension, if there is one.

import type { WalletProvider } from 'tidegate';

/** Which wallet the page signs in with. */
export type WalletKind = 'throw-away' | 'browser';

/** Where extensions put it (EIP-1193). */
export function browserWallet(): WalletProvider | undefined {
  return (globalThis as { ethereum?: WalletProvider }).ethereum;
}
