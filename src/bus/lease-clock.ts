/**
 * Time for a lease: it passes as the monotonic clock does, and jumps with the wall clock when that jumps forward. The
 * monotonic clock stands still while a machine is suspended or a virtual one is paused; its lease runs out all the
 * same, and on waking it must not be sure of it. A jump for another reason only makes the holder ask; a wall clock that
 * is set back changes nothing.
 */
export function createLeaseClock(): () => number {
  let ahead = Date.now() - performance.now()
  let jumped = 0
  return () => {
    const monotonic = performance.now()
    const now = Date.now() - monotonic
    if (now - ahead > JUMP_MS_MIN) jumped += now - ahead
    ahead = now
    return monotonic + jumped
  }
}

// Less is rounding, or a process held up between the two readings; it is a small part of any lease.
const JUMP_MS_MIN = 50
