import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    // Real processes and servers start in some tests; the bound is for a loaded two-core machine, not a wait.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
