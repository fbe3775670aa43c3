import type { Clock } from '../../src/engine/clock.ts'

/**
 * Virtual time: what will happen, in order. It is the engine's clock and everybody's alarm; nothing in a simulated
 * night knows another time. All its moments are elapsed time; the wall clock, which can be stepped, is only read by
 * what OCPS writes down. Equal moments happen in the order they were arranged.
 */
export interface Agenda extends Clock {
  /** Calls once, so many milliseconds from now. */
  later(ms: number, call: () => void): void
  /** Lets the next happening that is due by `until` happen; false, and it is `until`, when there is none. */
  next(until: number): boolean
  /** Someone sets the wall clock, forward or back; no time passes. Until then both readings are the same. */
  step(ms: number): void
}

interface Happening {
  readonly at: number
  readonly serial: number
  call: (() => void) | null
}

export function createAgenda(startAt: number): Agenda {
  const heap: Happening[] = []
  let now = startAt
  let stepped = 0
  let serial = 0

  const isBefore = (one: Happening, other: Happening) =>
    one.at < other.at || (one.at === other.at && one.serial < other.serial)

  const arrange = (at: number, call: () => void): Happening => {
    const happening = { at: Math.max(at, now), serial: ++serial, call }
    let place = heap.length
    heap.push(happening)
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, happening)) break
      heap[place] = above
      place = parent
    }
    heap[place] = happening
    return happening
  }

  const takeFirst = (): void => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      let below = heap[child]
      const right = heap[child + 1]
      if (right !== undefined && below !== undefined && isBefore(right, below)) {
        child += 1
        below = right
      }
      if (below === undefined || isBefore(last, below)) break
      heap[place] = below
      place = child
    }
    heap[place] = last
  }

  return {
    now: () => now + stepped,
    elapsed: () => now,
    boot: null,
    wake(at, call) {
      const happening = arrange(at, call)
      return () => {
        happening.call = null
      }
    },
    later: (ms, call) => void arrange(now + ms, call),
    next(until) {
      for (let first = heap[0]; first !== undefined && first.at <= until; first = heap[0]) {
        takeFirst()
        if (first.call === null) continue
        now = first.at
        first.call()
        return true
      }
      now = Math.max(now, until)
      return false
    },
    step(ms) {
      stepped += ms
    },
  }
}
