/**
 * Time for the in-memory network: the real one, or one that a test steps. Promises that a stepped clock calls what is
 * due in order of time, and in order of asking for the same time.
 */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Returns how to call it off. */
  after(milliseconds: number, call: () => void): () => void
}

export const realClock: Clock = {
  now: () => Date.now(),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds)
    return () => clearTimeout(timer)
  },
}

export interface SteppedClock extends Clock {
  advance(milliseconds: number): void
}

export function steppedClock(start = 0): SteppedClock {
  let now = start
  let due: { at: number; call: () => void }[] = []
  return {
    now: () => now,
    after: (milliseconds, call) => {
      const entry = { at: now + milliseconds, call }
      due.push(entry)
      return () => {
        due = due.filter(other => other !== entry)
      }
    },
    advance: milliseconds => {
      const until = now + milliseconds
      for (;;) {
        const next = due.reduce<{ at: number; call: () => void } | null>((first, entry) => {
          return entry.at <= until && (first === null || entry.at < first.at) ? entry : first
        }, null)
        if (next === null) break
        due = due.filter(entry => entry !== next)
        now = Math.max(now, next.at)
        next.call()
      }
      now = until
    },
  }
}
