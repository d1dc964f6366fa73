// Dials a minute of five clients against five faults. Usage: node storms/run.js [--seconds 60] [--check] [--write]
//
// --check fails when ours dials more than 15 times a minute; --write puts the table into the package's README.

import { fork } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CLIENTS } from './clients.js';
import { FAULTS, startServer } from './faults.js';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    check: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

/** What ours may dial in a minute, whatever the server does. */
const MAX_PER_MINUTE = 15;

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
    { dials: dials.count, gaveUp: gaveUp() },
  ]);
  process.send(Object.fromEntries(result), () => process.exit(0));
}

async function measureAll() {
  const names = Object.keys(CLIENTS);
  const results = await Promise.all(names.map(measure));
  const table = tableOf(names, results);
  console.log(table);
  if (flags.write) await write(table);
  if (flags.check) check(results[names.indexOf('tidegate')]);
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

function tableOf(names, results) {
  const perMinute = ({ dials, gaveUp }) =>
    `${Math.round((dials * 60) / Number(flags.seconds)).toLocaleString('en')}${gaveUp ? ' ■' : ''}`;
  const rows = Object.entries(FAULTS).map(([fault, title]) => [
    title,
    ...results.map((result) => perMinute(result[fault])),
  ]);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(['', ...names]), line(['---', ...names.map(() => '--:')]), ...rows.map(line)].join('\n');
}

async function write(table) {
  const readme = new URL('../../npm/README.md', import.meta.url);
  const text = await readFile(readme, 'utf8');
  const place = /(<!-- storms -->\n)[\s\S]*?(<!-- \/storms -->)/;
  if (!place.test(text)) throw new Error('npm/README.md has no place for the table');
  await writeFile(readme, text.replace(place, `$1${table}\n$2`));
}

function check(ours) {
  const over = Object.entries(ours).filter(([, { dials }]) => (dials * 60) / Number(flags.seconds) > MAX_PER_MINUTE);
  for (const [fault, { dials }] of over)
    console.error(`${FAULTS[fault]}: ${dials} dials, at most ${MAX_PER_MINUTE} a minute`);
  if (over.length > 0) process.exitCode = 1;
}
