import { defineConfig } from 'vitest/config'

// Stryker itself ends a mutant that never comes to an end; how long a test takes on a loaded machine says nothing.
export default defineConfig({ test: { include: ['test/mutation/machines.ts'], testTimeout: 60_000 } })
