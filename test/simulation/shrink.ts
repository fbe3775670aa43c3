import type { Action } from './actions.ts'
import { play, type Played } from './play.ts'

/**
 * Makes a failing night small: leaves actions out, in halves, quarters and single ones, as long as the same promise
 * stays broken (delta debugging, Zeller 2002). Actions mean the same whatever is left out before them, so what remains
 * is what it takes.
 */
export async function shrink(failing: Played, limits = LIMITS): Promise<Played> {
  const promise = failing.violation?.promise
  let best = failing
  const until = performance.now() + limits.ms
  let played = 0
  const mayGoOn = () => played < limits.nights && performance.now() < until

  const stillFails = async (actions: readonly Action[]): Promise<boolean> => {
    played += 1
    const shorter = await play({ ...failing.plan, steps: Number.MAX_SAFE_INTEGER, actions })
    if (shorter.violation?.promise !== promise) return false
    best = shorter
    return true
  }

  for (let pieces = 2; mayGoOn(); ) {
    const size = Math.ceil(best.actions.length / pieces)
    let isSmaller = false
    for (let at = 0; at < best.actions.length && mayGoOn(); at += size) {
      const rest = best.actions.toSpliced(at, size)
      if (await stillFails(rest)) {
        isSmaller = true
        break
      }
    }
    if (isSmaller) pieces = Math.max(2, pieces - 1)
    else if (size <= 1) break
    else pieces = Math.min(best.actions.length, pieces * 2)
  }
  return best
}

// A night of a few hundred actions is down to its handful after some two hundred replays, each shorter than the one
// before.
const LIMITS = { nights: 600, ms: 60_000 }
