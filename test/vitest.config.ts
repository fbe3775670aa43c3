import { defineConfig } from 'vitest/config'
import { MissingPrograms } from './reporter.ts'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    reporters: ['default', new MissingPrograms()],
    // Real processes and servers start in some tests; the bound is for a loaded two-core machine, not a wait.
    // Most of what takes long waits for processes and servers, so two at a time keep two cores busy.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
