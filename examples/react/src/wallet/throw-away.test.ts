import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { expect, test } from 'vitest';
import { freshThrowAwayWallet, throwAwayWallet, walletOf } from './throw-away';

// The first development key that every Ethereum test chain prints, and its address.
const key = hexToBytes('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');
const address = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

test('the address of a key is the one that other wallets show, capitals included', () => {
  expect(walletOf(key).address).toBe(address);
});

test('a signature recovers to the address, from text and from its hex form', async () => {
  const text = 'gateway wants you to sign in ✓';
  const hex = `0x${bytesToHex(utf8ToBytes(text))}`;
  const wallet = walletOf(key);
  const signature = (await wallet.request({ method: 'personal_sign', params: [text, address] })) as string;
  expect(await wallet.request({ method: 'personal_sign', params: [hex, address] })).toBe(signature);
  expect(signature).toMatch(/^0x[0-9a-f]{128}(1b|1c)$/);
  expect(recover(text, signature)).toBe(address.toLowerCase());
});

test('a reload keeps the wallet, asking for a new one replaces it', () => {
  const storage = memoryStorage();
  const first = throwAwayWallet(storage);
  expect(throwAwayWallet(storage).address).toBe(first.address);
  const second = freshThrowAwayWallet(storage);
  expect(second.address).not.toBe(first.address);
  expect(throwAwayWallet(storage).address).toBe(second.address);
});

test('without storage the wallet still works', () => {
  expect(throwAwayWallet(undefined).address).toMatch(/^0x[0-9a-fA-F]{40}$/);
});

test('what the wallet cannot do is refused with the code of EIP-1193', async () => {
  await expect(walletOf(key).request({ method: 'eth_sendTransaction' })).rejects.toMatchObject({
    code: 4200,
  });
});

function recover(text: string, signature: string): string {
  const bytes = utf8ToBytes(text);
  const prefix = utf8ToBytes(`\x19Ethereum Signed Message:\n${bytes.length}`);
  const raw = hexToBytes(signature.slice(2));
  const recovered = Uint8Array.from([(raw[64] ?? 0) - 27, ...raw.subarray(0, 64)]);
  const digest = keccak_256(Uint8Array.from([...prefix, ...bytes]));
  const publicKey = secp256k1.recoverPublicKey(recovered, digest, { prehash: false });
  const point = secp256k1.Point.fromBytes(publicKey).toBytes(false).subarray(1);
  return `0x${bytesToHex(keccak_256(point).subarray(12))}`;
}

function memoryStorage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
  } as Storage;
}
