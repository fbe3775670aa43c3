import { defineConfig } from 'vitest/config'

// Each file on its own: a mutant that breaks a machine as it is loaded then fails the tests of the files that only use
// it. Stryker itself ends a mutant that never comes to an end; how long a test takes on a loaded machine says nothing.
export default defineConfig({ test: { include: ['test/machines/**/*.test.ts'], testTimeout: 60_000 } })
