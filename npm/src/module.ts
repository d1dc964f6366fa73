// Loads the WebAssembly module, once for the page, and makes it anew after a trap.
//
// Nothing happens at import: the module and its glue come by `import()`, so that a page that never connects, and a
// server that renders it, load neither.

import { TidegateError } from './errors.js';
import type { WasmSource } from './types.js';

/** The generated glue. */
export type Glue = typeof import('./glue.js');

let loading: Promise<Glue> | undefined;
let loaded: Glue | undefined;

/**
 * Loads the WebAssembly module: by itself from inside the package, or from `source`. Clients call it; an application
 * calls it to load early, or from elsewhere. Loads once; after a failure the next call tries again.
 */
export async function init(source?: WasmSource | Promise<WasmSource>): Promise<void> {
  await load(source);
}

/** The same, with the glue. */
export function load(source?: WasmSource | Promise<WasmSource>): Promise<Glue> {
  loading ??= loadOnce(source).catch((cause: unknown) => {
    loading = undefined;
    throw new TidegateError('wasm_failed', { cause });
  });
  return loading;
}

async function loadOnce(source: WasmSource | Promise<WasmSource> | undefined): Promise<Glue> {
  const [glue, module] = await Promise.all([import('./glue.js'), compile((await source) ?? inline())]);
  glue.initSync({ module });
  loaded = glue;
  return glue;
}

async function compile(source: WasmSource | Promise<Response>): Promise<WebAssembly.Module> {
  const found = await (isAddress(source) ? fetch(source) : source);
  if (found instanceof Response) {
    if (!found.ok) throw new Error(`${found.url}: ${found.status}`);
    // Not while it streams: that would need the right content type, which many servers do not send.
    return WebAssembly.compile(await found.arrayBuffer());
  }
  return found instanceof WebAssembly.Module ? found : WebAssembly.compile(found as BufferSource);
}

function isAddress(source: WasmSource | Promise<Response>): source is string | URL | Request {
  return typeof source === 'string' || source instanceof URL || source instanceof Request;
}

/** The module in the package: text in a script, because every bundler and every policy for scripts passes it. */
async function inline(): Promise<Response> {
  const { default: text } = await import('../wasm/inline.js');
  const compressed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([compressed]).stream().pipeThrough(new DecompressionStream('deflate-raw')));
}

/** What has to be rebuilt after a trap. */
export interface Rebuildable {
  /** The module is new: what was made of the old one is gone. */
  rebuild(glue: Glue): void;
  /** The module trapped too often to go on. */
  fail(error: TidegateError): void;
}

const alive = new Set<Rebuildable>();
const resets: number[] = [];
let resetting = false;

/** More resets than this within a minute: the fault is not a passing one. */
const RESETS_PER_MINUTE = 5;

/** Takes part in rebuilding, until the function that it returns is called. */
export function onReset(client: Rebuildable): () => void {
  alive.add(client);
  return () => alive.delete(client);
}

/** Between a trap and the reset nothing may be called. */
export const isResetting = (): boolean => resetting;

/**
 * A trap happened: what the module holds cannot be trusted any more. It is instantiated anew once the stack, on which
 * frames of the old instance may still stand, has unwound.
 */
export function resetAfterTrap(cause: unknown): void {
  if (resetting) return;
  resetting = true;
  queueMicrotask(() => {
    const glue = loaded;
    if (!glue) return;
    glue.__wbg_reset_state();
    resetting = false;
    const hopeless = tooOften(Date.now());
    for (const client of [...alive]) {
      if (hopeless) client.fail(new TidegateError('wasm_trap', { cause }));
      else client.rebuild(glue);
    }
  });
}

function tooOften(now: number): boolean {
  resets.push(now);
  resets.splice(
    0,
    resets.findIndex((at) => at > now - 60_000),
  );
  return resets.length > RESETS_PER_MINUTE;
}
