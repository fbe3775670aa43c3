import type { Entry } from '../journal/entry.ts'
import type { Clock } from './clock.ts'

/**
 * The time of the journal. An entry needs two times: `at`, which people read and days are counted by, has to be the wall clock's; timers and limits need one that
 * no correction of the wall clock moves. So entries run on the elapsed time, and carry beside it how far the wall clock has stepped in all (`steppedMs`).
 * Both are in the journal, so that a replay and the next process count on from the same two numbers:
 *
 * - the elapsed time, `at - steppedMs`, passes at the rate of the monotonic clock. All timers are due in it, so a step of the wall clock fires none and delays none;
 * - after a step forward (a late clock is corrected, a suspended machine wakes up) `at` is the wall clock's time with the very next entry;
 * - after a step back `at` would have to run backwards, and entries never do; standing still until the wall clock has caught up would give all entries of an hour the same time.
 *   So it runs at half the rate until then, and an hour is made up in an hour.
 *
 * While no process runs only the wall clock tells how long: what it has advanced counts as elapsed.
 */
export interface Timeline {
  /** The two times of an entry that is written now; never before those given earlier. */
  stamp(): Pick<Entry, 'at' | 'steppedMs'>
  /** The elapsed time now, on the scale timers are due in. */
  elapsed(): number
  /** Calls once at or after a moment of the elapsed time; returns how to call it off. */
  wake(due: number, call: () => void): () => void
}

// Both clocks run at the same rate, slewed alike by NTP, so that they differ by rounding and by steps. ntpd steps from 128 ms on.
const STEP_MS_MIN = 100
// The process may be held up between the two readings; then they are no pair.
const READ_MS_MAX = 10
const RATE_CATCHING_UP = 0.5

/** @param last the newest entry of the journal, or zeros */
export function createTimeline(clock: Clock, last: Pick<Entry, 'at' | 'steppedMs'>): Timeline {
  let stepped = last.steppedMs ?? 0
  let at = Math.max(last.at, Math.floor(clock.now()))
  let readAt = clock.elapsed()
  /** From the clock's elapsed time to the journal's. */
  const offset = at - stepped - readAt

  return {
    stamp() {
      followWall()
      const elapsed = Math.floor(readAt + offset)
      at = Math.max(at, Math.floor(readAt + offset + stepped))
      const steppedMs = at - elapsed
      return steppedMs === 0 ? { at } : { at, steppedMs }
    },
    elapsed: () => clock.elapsed() + offset,
    wake: (due, call) => clock.wake(due - offset, call),
  }

  function followWall(): void {
    const before = clock.elapsed()
    const wall = clock.now()
    const now = clock.elapsed()
    const passed = now - readAt
    readAt = now
    if (now - before > READ_MS_MAX) return
    const behind = wall - (now + offset + stepped)
    if (behind > STEP_MS_MIN) stepped += behind
    else if (behind < -STEP_MS_MIN) stepped -= Math.min(-behind, passed * (1 - RATE_CATCHING_UP))
  }
}
