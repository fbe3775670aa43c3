import { type Anchor, elapsedAt, type Entry } from '../journal/entry.ts'
import type { Clock } from './clock.ts'

/**
 * The time of the journal. An entry needs two times: `at`, which people read and days are counted by, has to be the
 * wall clock's; timers and limits need one that no correction of the wall clock moves. So entries run on the elapsed
 * time, and carry beside it how far the wall clock has stepped in all (`steppedMs`). Both are in the journal, so that a
 * replay and the next process count on from the same two numbers:
 *
 * - the elapsed time, `at - steppedMs`, passes at the rate of the monotonic clock. All timers are due in it, so a step
 *   of the wall clock fires none and delays none;
 * - after a step forward (a late clock is corrected, a suspended machine wakes up) `at` is the wall clock's time with
 *   the very next entry;
 * - after a step back `at` would have to run backwards, and entries never do; standing still until the wall clock has
 *   caught up would give all entries of an hour the same time. So it runs at half the rate until then, and an hour is
 *   made up in an hour.
 *
 * A later process on the same run of the machine goes on by the machine's monotonic clock (`anchor`). On another one
 * only the wall clock tells how long no process ran.
 */
export interface Timeline {
  /** The two times of an entry that is written now; never before those given earlier. */
  stamp(): Pick<Entry, 'at' | 'steppedMs'>
  /** The elapsed time now, on the scale timers are due in. */
  elapsed(): number
  /** Calls once at or after a moment of the elapsed time; returns how to call it off. */
  wake(due: number, call: () => void): () => void
  /** Lets a later process go on counting; null: there is nothing it could go by. */
  readonly anchor: Anchor | null
}

// Both clocks run at the same rate, slewed alike by NTP, so that they differ by rounding and by steps. ntpd steps from
// 128 ms on.
const STEP_MS_MIN = 100
// The process may be held up between the two readings; then they are no pair.
const READ_MS_MAX = 10
const RATE_CATCHING_UP = 0.5

/** The times of the newest entry of the journal, or zeros; and the newest anchor. */
export interface Before {
  readonly at: number
  readonly steppedMs?: number | undefined
  readonly anchor: Anchor | null
}

export function createTimeline(clock: Clock, before: Before): Timeline {
  let stepped = before.steppedMs ?? 0
  let { at } = before
  let readAt = clock.elapsed()
  /** From the clock's elapsed time to the journal's. */
  const offset = goingOn() ?? Math.max(at, Math.floor(clock.now())) - stepped - readAt

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
    anchor: clock.boot === null ? null : { boot: clock.boot, offsetMs: offset },
  }

  function goingOn(): number | null {
    if (before.anchor === null || before.anchor.boot !== clock.boot) return null
    const { offsetMs } = before.anchor
    // A virtual machine that was put back to an earlier state has the same name and an earlier time.
    return readAt + offsetMs < elapsedAt(before) ? null : offsetMs
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
