/**
 * Who runs of the jobs that were ordered: in the order they were ordered, each when its slots fit beside those that run. It is what the launcher
 * does, as a book without processes, for whoever plays an executor or reads what one did; when things happen it leaves to them.
 */
export interface CapacityBook<T> {
  /** Handed over, with how many slots there are; absent: no bound. Gives those that begin now, in order. */
  order(one: T, slots: number, capacity: number | undefined): readonly T[]
  /** Runs already, whether it fits or not. */
  begin(one: T, slots: number): void
  /** Is over, or will not begin any more. Gives those that begin now, in order. */
  end(one: T): readonly T[]
  isWaiting(one: T): boolean
}

export function createCapacityBook<T>(): CapacityBook<T> {
  const running = new Map<T, number>()
  /** In the order they were ordered. */
  const waiting = new Map<T, number>()
  let bound = Infinity
  let taken = 0

  return {
    order(one, slots, capacity = Infinity) {
      bound = capacity
      waiting.set(one, slots)
      return beginning()
    },
    begin,
    end(one) {
      waiting.delete(one)
      taken -= running.get(one) ?? 0
      running.delete(one)
      return beginning()
    },
    isWaiting: one => waiting.has(one),
  }

  function begin(one: T, slots: number): void {
    waiting.delete(one)
    if (running.has(one)) return
    running.set(one, slots)
    taken += slots
  }

  /** One that does not fit holds back those behind it. Whoever is alone always may: it would wait for ever. */
  function beginning(): T[] {
    const begun: T[] = []
    for (const [one, slots] of waiting) {
      if (running.size > 0 && taken + slots > bound) break
      begin(one, slots)
      begun.push(one)
    }
    return begun
  }
}

/** How one that was stopped while it waited is reported. */
export function neverBegan(pipeline: string) {
  return {
    code: 'START_FAILED',
    reason: `Pipeline ${pipeline}: it was stopped before a slot was free and never ran.`,
  } as const
}
