/**
 * Time as the engine knows it. Two readings, because no single one serves both purposes: the wall clock tells people
 * when something happened, and is set, corrected and stepped by others; the elapsed time measures durations, and only
 * ever runs forward. timeline.ts makes the entries' time from both.
 */
export interface Clock {
  /** The wall clock, milliseconds since 1970-01-01 UTC. It may jump, forward or back. */
  now(): number
  /**
   * Milliseconds since some moment, running on whatever is done to the wall clock. It stands still while the machine is
   * suspended: so do the jobs, and none is to be stopped for the time it slept.
   */
  elapsed(): number
  /**
   * Names the run of the machine since whose start `elapsed` counts, so that another process can go on counting; null:
   * nobody else can.
   */
  readonly boot: string | null
  /** Calls once at or after `at` of the elapsed time; returns how to call it off. */
  wake(at: number, call: () => void): () => void
}

// setTimeout counts in 31 bits; a longer wait is taken in pieces.
const TIMEOUT_MAX_MS = 2 ** 31 - 1

export const wallClock: Clock = {
  now: () => Date.now(),
  elapsed: monotonicMs,
  boot: null,
  wake(at, call) {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = at - monotonicMs()
      timer = setTimeout(left > TIMEOUT_MAX_MS ? arm : call, Math.min(Math.max(left, 0), TIMEOUT_MAX_MS))
    }
    arm()
    return () => clearTimeout(timer)
  },
}

/** Unlike performance.now(), the same in every process of the machine. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * A clock that stands still until told; it stops at every due moment on the way, so that what fires there sees its own
 * time. Until the wall clock is stepped, both readings are the same.
 */
export interface SteppedClock extends Clock {
  /** Time passes: moves on to a moment, waking whoever is due on the way, in order of due time. */
  advance(ms: number): void
  /** Someone sets the wall clock, forward or back; no time passes, and nobody is woken. */
  step(ms: number): void
  /** When the next call is due, in elapsed time; null: none is. */
  nextWake(): number | null
}

export function createSteppedClock(
  startAt = Date.UTC(2026, 10, 22, 22, 0, 0),
  boot: string | null = null,
): SteppedClock {
  let elapsed = startAt
  let stepped = 0
  let serial = 0
  const calls = new Map<number, { at: number; call: () => void }>()
  return {
    now: () => elapsed + stepped,
    elapsed: () => elapsed,
    boot,
    wake(at, call) {
      const id = ++serial
      calls.set(id, { at, call })
      return () => void calls.delete(id)
    },
    advance(ms) {
      const goal = elapsed + ms
      for (;;) {
        const due = [...calls]
          .filter(([, { at }]) => at <= goal)
          .sort(([a, one], [b, other]) => one.at - other.at || a - b)[0]
        if (!due) break
        const [id, { at, call }] = due
        calls.delete(id)
        elapsed = Math.max(elapsed, at)
        call()
      }
      elapsed = goal
    },
    step(ms) {
      stepped += ms
    },
    nextWake: () => (calls.size === 0 ? null : Math.min(...[...calls.values()].map(({ at }) => at))),
  }
}
