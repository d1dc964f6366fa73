// A wallet made in the page, so that the dashboard works without an extension.
//
// It holds one random key for as long as the tab lives. It must never hold funds: whoever can run a script in
// this page can read it. It only proves to the gateway that today's visitor is the visitor of a minute ago.

import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { WalletProvider } from 'tidegate';

const STORAGE_KEY = 'tidegate-throw-away-key';

/** A throw-away wallet: a provider, and the address that it signs for. */
export interface ThrowAwayWallet extends WalletProvider {
  readonly address: string;
}

/** The wallet of this tab; made at the first call, the same after a reload. */
export function throwAwayWallet(storage: Storage | undefined = sessionStorageIfAllowed()): ThrowAwayWallet {
  const kept = storage?.getItem(STORAGE_KEY);
  if (kept && /^[0-9a-f]{64}$/.test(kept)) return walletOf(hexToBytes(kept));
  return freshThrowAwayWallet(storage);
}

/** A new wallet, which takes the place of the old one. */
export function freshThrowAwayWallet(
  storage: Storage | undefined = sessionStorageIfAllowed(),
): ThrowAwayWallet {
  const key = secp256k1.utils.randomSecretKey();
  storage?.setItem(STORAGE_KEY, bytesToHex(key));
  return walletOf(key);
}

/** The wallet of one private key. */
export function walletOf(key: Uint8Array): ThrowAwayWallet {
  const address = addressOf(key);
  return {
    address,
    async request({ method, params }) {
      switch (method) {
        case 'eth_requestAccounts':
        case 'eth_accounts':
          return [address];
        case 'eth_chainId':
          return '0x1';
        case 'personal_sign':
          return personalSign(key, String(params?.[0]));
        default:
          throw Object.assign(new Error(`The throw-away wallet cannot ${method}`), { code: 4200 });
      }
    },
  };
}

/** EIP-191: 65 bytes r, s, v, with v 27 or 28. */
function personalSign(key: Uint8Array, message: string): string {
  const bytes = /^0x([0-9a-f]{2})*$/i.test(message) ? hexToBytes(message.slice(2)) : utf8ToBytes(message);
  const prefix = utf8ToBytes(`\x19Ethereum Signed Message:\n${bytes.length}`);
  const digest = keccak_256(concatBytes(prefix, bytes));
  const recovered = secp256k1.sign(digest, key, { prehash: false, format: 'recovered' });
  const v = 27 + (recovered[0] ?? 0);
  return `0x${bytesToHex(recovered.subarray(1))}${v.toString(16)}`;
}

/** The last 20 bytes of the public key's hash, with the capitals of EIP-55 as a checksum. */
function addressOf(key: Uint8Array): string {
  const publicKey = secp256k1.getPublicKey(key, false).subarray(1);
  const hex = bytesToHex(keccak_256(publicKey).subarray(12));
  const check = bytesToHex(keccak_256(utf8ToBytes(hex)));
  const cased = [...hex].map((digit, at) =>
    Number.parseInt(check[at] ?? '0', 16) > 7 ? digit.toUpperCase() : digit,
  );
  return `0x${cased.join('')}`;
}

/** Reading `sessionStorage` throws where the browser blocks storage; the wallet then lives in memory only. */
function sessionStorageIfAllowed(): Storage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}
