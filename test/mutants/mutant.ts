export interface Mutant {
  readonly name: string
  /** From the root of the project. */
  readonly file: string
  readonly from: string
  readonly to: string
  /** Test files, the quick ones first. */
  readonly tests: readonly string[]
  /** What the titles of the tests that count have in common, where those of a file take long; '' for all of them. */
  readonly only: string
}

/** What is replaced, once in the file, by what; the name says what is wrong with it then. */
type Bugs = Readonly<Record<string, readonly [from: string, to: string]>>

export function bugsIn(file: string, tests: readonly string[], bugs: Bugs, only = ''): Mutant[] {
  return Object.entries(bugs).map(([name, [from, to]]) => ({ name, file, from, to, tests, only }))
}
