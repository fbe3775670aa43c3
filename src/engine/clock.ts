/** Time as the engine knows it: now, and a wake-up call. The wall in production; a stepped one in tests and simulation. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Calls once at or after `at`; returns how to call it off. */
  wake(at: number, call: () => void): () => void
}

// setTimeout counts in 31 bits; a longer wait is taken in pieces.
const TIMEOUT_MAX_MS = 2 ** 31 - 1

export const wallClock: Clock = {
  now: () => Date.now(),
  wake(at, call) {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = at - Date.now()
      timer = setTimeout(left > TIMEOUT_MAX_MS ? arm : call, Math.min(Math.max(left, 0), TIMEOUT_MAX_MS))
    }
    arm()
    return () => clearTimeout(timer)
  },
}

/** A clock that stands still until told; it stops at every due moment on the way, so that what fires there sees its own time. */
export interface SteppedClock extends Clock {
  /** Moves on to a moment, waking whoever is due on the way, in order of due time. */
  advance(ms: number): void
}

export function createSteppedClock(startAt = Date.UTC(2026, 10, 22, 22, 0, 0)): SteppedClock {
  let now = startAt
  let serial = 0
  const calls = new Map<number, { at: number; call: () => void }>()
  return {
    now: () => now,
    wake(at, call) {
      const id = ++serial
      calls.set(id, { at, call })
      return () => void calls.delete(id)
    },
    advance(ms) {
      const goal = now + ms
      for (;;) {
        const due = [...calls]
          .filter(([, { at }]) => at <= goal)
          .sort(([a, one], [b, other]) => one.at - other.at || a - b)[0]
        if (!due) break
        const [id, { at, call }] = due
        calls.delete(id)
        now = Math.max(now, at)
        call()
      }
      now = goal
    },
  }
}
