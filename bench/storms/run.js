// Dials a minute of five clients against five faults. Usage: node storms/run.js [--seconds 60] [--check] [--write]
//
// --check fails when ours dials more than 15 times a minute; --write records the result, and puts it as a table into the
// package's README.

import { fork } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CLIENTS } from './clients.js';
import { startServer } from './faults.js';
import { FAULTS, MAX_PER_MINUTE, PLACE, tableOf } from './table.js';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    check: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

if (process.send) await measureOne(process.env['STORM_CLIENT']);
else await measureAll();

/** In a process of its own: a client that dials thousands of times must not hold up the others. */
async function measureOne(name) {
  const cells = {};
  for (const fault of Object.keys(FAULTS)) {
    const { port, dials } = await startServer(name, fault);
    cells[fault] = { dials, gaveUp: CLIENTS[name](port) };
  }
  await new Promise((resolve) => setTimeout(resolve, Number(flags.seconds) * 1_000));
  const result = Object.entries(cells).map(([fault, { dials, gaveUp }]) => [
    fault,
    { perMinute: Math.round((dials.count * 60) / Number(flags.seconds)), gaveUp: gaveUp() },
  ]);
  process.send(Object.fromEntries(result), () => process.exit(0));
}

async function measureAll() {
  const clients = Object.fromEntries(
    await Promise.all(Object.keys(CLIENTS).map(async (name) => [name, await measure(name)])),
  );
  const table = tableOf(clients);
  console.log(table);
  if (flags.write) await write(clients, table);
  if (flags.check) check(clients.tidegate);
}

function measure(name) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
      env: { ...process.env, STORM_CLIENT: name },
    });
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
}

async function write(clients, table) {
  await writeFile(new URL('recorded.json', import.meta.url), `${JSON.stringify(clients, null, 2)}\n`);
  const readme = new URL('../../npm/README.md', import.meta.url);
  const text = await readFile(readme, 'utf8');
  if (!PLACE.test(text)) throw new Error('npm/README.md has no place for the table');
  await writeFile(readme, text.replace(PLACE, `$1${table}\n$3`));
}

/** `ours`: per minute, by fault. */
function check(ours) {
  for (const [fault, { perMinute }] of Object.entries(ours)) {
    if (perMinute <= MAX_PER_MINUTE) continue;
    console.error(`${FAULTS[fault]}: ${perMinute} dials a minute, at most ${MAX_PER_MINUTE}`);
    process.exitCode = 1;
  }
}
