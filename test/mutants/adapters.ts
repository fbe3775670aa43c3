/**
 * Bugs planted by hand in what carries, where the simulation's twins cannot see them: each a replacement in the
 * sources, and the tests that must fail. `main.ts` plants them one after the other.
 */
import { BUS_MUTANTS } from './bus.ts'
import { EXECUTOR_MUTANTS } from './executor.ts'
import { INSTANCE_MUTANTS } from './instance.ts'
import type { Mutant } from './mutant.ts'

export const MUTANTS: readonly Mutant[] = [...INSTANCE_MUTANTS, ...BUS_MUTANTS, ...EXECUTOR_MUTANTS]
