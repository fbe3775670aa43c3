/**
 * The night of an instance, folded from the journal as it is followed: what `ocps top` looks at. Never throws for what
 * is in the journal; it says what it could not fold, and goes on.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createNight, type Night } from '../night/night.ts'
import type { Tail } from '../night/tail.ts'
import type { Entry } from '../journal/entry.ts'

// Between two slices a key is heard; folding 500 entries takes some ten milliseconds.
const SLICE = 500
// A night of a large camera is told from its last quiet moment on: a screen shows minutes, and memory has an end.
const JOBS_MAX = 20_000

export interface Follower {
  readonly night: Night
  /** Why what is shown may be wrong, or ''. */
  readonly problem: string
  /** Folds what has come, a slice at a time; resolves when there is nothing more. */
  catchUp(signal: AbortSignal): Promise<void>
}

export function createFollower(instance: string, tail: Tail): Follower {
  let night = createNight(instance)
  let generation = tail.generation
  let problem = ''
  return {
    get night() {
      return night
    },
    get problem() {
      return problem
    },
    async catchUp(signal) {
      while (!signal.aborted) {
        if (generation !== tail.generation) {
          generation = tail.generation
          night = createNight(instance)
        }
        const slice = after(tail, night.n)
        if (slice.length === 0) return
        for (const { line, isQuiescent } of slice) {
          if (isQuiescent && night.jobs.size > JOBS_MAX) night = createNight(instance)
          fold(JSON.parse(line) as Entry)
        }
        await nextTurn()
      }
    },
  }

  function fold(entry: Entry): void {
    try {
      night.apply(entry)
    } catch (error) {
      problem = `entry ${entry.n} cannot be folded (${error instanceof Error ? error.message : String(error)}); this command and the journal are of different versions`
    }
  }
}

/** What follows entry n. */
function after({ lines }: Tail, n: number): Tail['lines'] {
  let from = lines.length
  // What is new is at the end, and mostly short.
  while (from > 0 && (lines[from - 1]?.n ?? 0) > n) from -= 1
  return lines.slice(from, from + SLICE)
}
