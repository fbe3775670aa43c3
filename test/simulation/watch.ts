import type { PromiseName } from './violation.ts'

/**
 * A stop watch of its own, beside the clock that OCPS reads: it measures in virtual time, which nobody steps, from the
 * moment one entry was stamped to that of another. Between what is due and what is done OCPS may be dead, or its
 * journal slow; and a process that begins after a step of the wall clock takes the step for time that passed.
 */
export interface Watch {
  /** An entry gets this time now; it is written down and heard later. */
  stamped(at: number): void
  /** An entry of this time is heard. */
  heard(at: number): void
  /** When the entry that is heard was stamped. */
  now(): number
  /** What began then was to take so long, and ends now. */
  took(what: string, since: number, ms: number, broken: Broken): void
  /** It may end sooner. */
  tookAtMost(what: string, since: number, ms: number, broken: Broken): void
  /** A process begins and counts on from the wall clock. */
  jumped(): void
}

type Broken = (promise: PromiseName, evidence: string) => void

// An append takes 15 s at most, a process comes back within 10 s; both can come twice in a row.
const LATE_MS_MAX = 40_000
// Times in the journal are whole milliseconds.
const EARLY_MS_MAX = 2

export function createWatch(clock: () => number): Watch {
  const stamps = new Map<number, number>()
  let jumpedAt = -Infinity
  let heardAt = 0
  const now = () => heardAt

  const tookAtMost = (what: string, since: number, ms: number, broken: Broken): void => {
    const took = now() - since
    if (took > ms + LATE_MS_MAX) broken('durations', `${what} after ${took} ms instead of ${ms}`)
  }

  return {
    stamped: at => void stamps.set(at, clock()),
    heard(at) {
      heardAt = stamps.get(at) ?? heardAt
    },
    now,
    tookAtMost,
    took(what, since, ms, broken) {
      tookAtMost(what, since, ms, broken)
      const took = now() - since
      if (took < ms - EARLY_MS_MAX && jumpedAt < since) broken('durations', `${what} after ${took} ms instead of ${ms}`)
    },
    jumped() {
      jumpedAt = clock()
    },
  }
}
