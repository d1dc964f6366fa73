// The table in README.md of how often clients dial: it is what `npm run storms -- --write` in `bench/` recorded.

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { FAULTS, MAX_PER_MINUTE, PLACE, type Result, tableOf } from '../../bench/storms/table.js';

const recorded = await readFile(new URL('../../bench/storms/recorded.json', import.meta.url), 'utf8');
const clients: Record<string, Record<string, Result>> = JSON.parse(recorded);
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');

test('the table of storms is the one that was recorded, with every fault and every client', () => {
  expect(Object.keys(clients)).toEqual(['tidegate', 'centrifuge', 'socket.io-client', 'phoenix', 'partysocket']);
  for (const result of Object.values(clients)) expect(Object.keys(result)).toEqual(Object.keys(FAULTS));
  expect(PLACE.exec(readme)?.[2]).toBe(`${tableOf(clients)}\n`);
});

test('in the table of storms ours dials at least once and no more often than the README says', () => {
  expect(readme).toContain(`dials at most ${MAX_PER_MINUTE} times a minute`);
  for (const [fault, { perMinute }] of Object.entries(clients['tidegate'] ?? {})) {
    expect(perMinute, fault).toBeGreaterThan(0);
    expect(perMinute, fault).toBeLessThanOrEqual(MAX_PER_MINUTE);
  }
});

test('a client gives up a bad token in the table of storms, and says so', () => {
  expect(clients['tidegate']?.['token']).toMatchObject({ gaveUp: true });
  expect(tableOf({ ours: { ...clients['tidegate'] } })).toMatch(/^\| bad token \| \d+ ■ \|$/m);
});
