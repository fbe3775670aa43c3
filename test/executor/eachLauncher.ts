import { describe } from 'vitest'
import type { LauncherKind } from '../../src/executor/launcher.ts'

/** A `describe` for each kind of launcher, `%s` in its name; of the one in C only where it can be compiled. */
export function eachLauncher(lacksCompiler: boolean): (name: string, tests: (kind: LauncherKind) => void) => void {
  return (name, tests) => {
    for (const kind of ['c', 'fallback'] as const)
      describe.skipIf(kind === 'c' && lacksCompiler)(name.replace('%s', kind), () => tests(kind))
  }
}
