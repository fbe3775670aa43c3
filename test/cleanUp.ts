import { afterAll, afterEach } from 'vitest'
import { endAll } from './endAll.ts'

/**
 * What a test makes is registered here the moment it is made, and ended last first, each whatever the others do: a
 * set-up that fails half-way or an end that throws leaves no server, process or folder behind. The first error fails
 * the test.
 */
export type CleanUp = (end: () => unknown) => void

/** For what a file or a `describe` makes in `beforeAll`. */
export function cleanUpAfterAll(): CleanUp {
  const ends: (() => unknown)[] = []
  let isOver = false
  afterAll(async () => {
    isOver = true
    await endAll(ends)
  })
  // A set-up that ran into its time limit goes on in the background; what it still makes is ended at once.
  return end => (isOver ? void endAll([end]).catch(() => {}) : void ends.push(end))
}

/** For what each test makes, in `beforeEach` or by helpers. */
export function cleanUpAfterEach(): CleanUp {
  const ends: (() => unknown)[] = []
  afterEach(() => endAll(ends))
  return end => void ends.push(end)
}
