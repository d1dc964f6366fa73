// A program of an application that serves its pages: a development server, or one that renders.

import { type ChildProcess, spawn } from 'node:child_process';
import { sleep } from '../gateway.js';

/** Starts a script, and waits until it answers at `url`; call what it returns to end it. */
export async function serveProgram(
  script: string,
  args: string[],
  cwd: string,
  url: string,
): Promise<() => Promise<void>> {
  const child = spawn('node', [script, ...args], {
    cwd,
    env: { ...process.env, NODE_ENV: undefined, NEXT_TELEMETRY_DISABLED: '1' } as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    await answering(child, url);
  } catch (error) {
    await end(child);
    throw error;
  }
  return () => end(child);
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      log += chunk;
    });
  }
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    if (child.exitCode !== null) throw new Error(`the application's server ended with ${child.exitCode}:\n${log}`);
    const answered = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await sleep(100);
  }
  throw new Error(`the application's server does not answer:\n${log}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(timer);
}
