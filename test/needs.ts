import { test, type TestAPI } from 'vitest'
import { isThere } from './isThere.ts'
import type { ProgramName } from './outside.ts'

/**
 * `needs`: tests of a file that want a program from outside. Where it is missing they are skipped, and the
 * reporter says which program, how many tests, and how to get it. One such line a file, so that the reporter knows what
 * its skips mean.
 */
export function needs(program: ProgramName): TestAPI {
  return test.skipIf(!isThere(program)) as TestAPI
}

/** For what is no single test; the reporter knows a file by this line as well. */
export function lacks(program: ProgramName): boolean {
  return !isThere(program)
}
