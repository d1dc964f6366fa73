// The package as it would be published: the tarball, and a folder where npm has installed it for an application.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The folder of the package. */
export const packageFolder = fileURLToPath(new URL('../..', import.meta.url));

const fixtures = join(packageFolder, 'fixtures');

/** The package, packed into a file. */
export class Tarball {
  private constructor(
    /** Its path. */
    readonly path: string,
    /** Every file in it, sorted. */
    readonly files: readonly string[],
    readonly folder: string,
  ) {}

  static async pack(): Promise<Tarball> {
    const folder = await mkdtemp(join(tmpdir(), 'tidegate-packed-'));
    const [packed] = Object.values(
      JSON.parse(await run('npm', ['pack', '--json', '--pack-destination', folder], packageFolder)),
    );
    const { filename, files } = packed as { filename: string; files: { path: string }[] };
    return new Tarball(join(folder, filename), files.map(({ path }) => path).sort(), folder);
  }

  /** A copy of a fixture, with what its lockfile names and the package itself, installed as anybody would. */
  async installInto(fixture: string): Promise<string> {
    const folder = join(this.folder, fixture);
    await cp(join(fixtures, fixture), folder, { recursive: true });
    // `node_modules` of a run by hand would hide what is missing.
    await rm(join(folder, 'node_modules'), { recursive: true, force: true });
    await run('npm', ['install', '--no-save', '--prefer-offline', this.path], folder);
    return folder;
  }

  /** The same for a bundler: with the application that all of them build. */
  async installApp(fixture: string): Promise<string> {
    const folder = await this.installInto(fixture);
    for (const file of ['app.js', 'signal.js']) await cp(join(fixtures, file), join(folder, file));
    return folder;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end and answers with what it printed; what it complained of is the error. */
export async function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { cwd, env: { ...process.env, ...QUIET, ...env }, maxBuffer: 1 << 26 };
  try {
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** Tools that would ask the internet about newer versions, or tell it about this run. */
const QUIET = {
  NODE_ENV: undefined,
  NEXT_TELEMETRY_DISABLED: '1',
  NO_UPDATE_NOTIFIER: '1',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_loglevel: 'error',
};
