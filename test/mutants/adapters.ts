/**
 * Bugs planted by hand in what carries, where the simulation's twins cannot see them: each a replacement in the sources, and the tests
 * that must fail. `main.ts` plants them one after the other.
 */
export interface Mutant {
  readonly name: string
  /** From the root of the project. */
  readonly file: string
  readonly edits: readonly (readonly [from: string, to: string])[]
  /** Test files, the quick ones first. */
  readonly tests: readonly string[]
}

export const MUTANTS: readonly Mutant[] = []
