// Tests wait for what they need, and as long as a slow machine takes; that something is fast is said by a benchmark, or
// by a test that may try again.

import { defineConfig } from 'vitest/config';

const PATIENCE_MS = 30_000;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 4 * PATIENCE_MS,
    hookTimeout: 4 * PATIENCE_MS,
    expect: { poll: { timeout: PATIENCE_MS, interval: 20 } },
  },
});
