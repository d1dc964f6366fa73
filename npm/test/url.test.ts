import { expect, test } from 'vitest';
import { httpOrigin, socketUrl } from '../src/url.js';

const secure = { protocol: 'https:', href: 'https://app.example/charts/btc' };
const plain = { protocol: 'http:', href: 'http://localhost:5173/' };

test('a path means the host of the page, and wss: from a secure page', () => {
  expect(socketUrl('/ws', secure)).toBe('wss://app.example/ws');
  expect(socketUrl('/ws', plain)).toBe('ws://localhost:5173/ws');
  expect(socketUrl('//gateway.example/ws', secure)).toBe('wss://gateway.example/ws');
});

test('an HTTP address is taken for the WebSocket of the same host', () => {
  expect(socketUrl('https://gateway.example/ws', undefined)).toBe('wss://gateway.example/ws');
  expect(httpOrigin('wss://gateway.example/ws', undefined)).toBe('https://gateway.example');
  expect(httpOrigin('http://127.0.0.1:8080', undefined)).toBe('http://127.0.0.1:8080');
});

test('a secure page may use ws: with this very computer and nothing else', () => {
  for (const host of ['localhost:8080', '127.0.0.1:8080', '127.9.9.9', '[::1]:8080', 'app.localhost']) {
    expect(socketUrl(`ws://${host}/ws`, secure)).toBe(`ws://${host}/ws`);
  }
  for (const host of ['gateway.example', '128.0.0.1', '127.0.0.1.example', 'localhost.example', '[::2]']) {
    expect(() => socketUrl(`ws://${host}/ws`, secure)).toThrow(
      expect.objectContaining({ code: 'insecure_url', message: expect.stringContaining(`ws://${host}`) }),
    );
    expect(socketUrl(`ws://${host}/ws`, plain)).toBe(`ws://${host}/ws`);
  }
});

test('what is no address is told as such', () => {
  for (const url of ['/ws', 'gateway', 'ftp://gateway.example']) {
    expect(() => socketUrl(url, undefined)).toThrow(expect.objectContaining({ code: 'invalid_url' }));
  }
});
