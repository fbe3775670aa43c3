import type { Pipeline } from './pipeline.ts'
import { poolOf } from './pools.ts'

/**
 * Who runs of the jobs that were ordered: pool by pool in the order they were ordered, each when its slots fit beside
 * those of its pool that run. It is what the launcher does, as a book without processes, for whoever plays an executor
 * or reads what one did; when things happen it leaves to them.
 */
export interface CapacityBook<T> {
  /** Handed over, with how many slots there are; absent: no bound. Gives those that begin now, in order. */
  order(one: T, pipeline: Place, capacity: number | undefined): readonly T[]
  /** Runs already, whether it fits or not. */
  begin(one: T, pipeline: Place): void
  /** Is over, or will not begin any more. Gives those that begin now, in order. */
  end(one: T): readonly T[]
  isWaiting(one: T): boolean
}

type Place = Pick<Pipeline, 'slots' | 'pool'>

export function createCapacityBook<T>(): CapacityBook<T> {
  const pages = new Map<string, Page<T>>()
  const pageOf = (pipeline: Place): Page<T> => {
    const pool = poolOf(pipeline)
    const page = pages.get(pool) ?? { running: new Map(), waiting: new Map(), bound: Infinity, taken: 0 }
    pages.set(pool, page)
    return page
  }
  return {
    order(one, pipeline, capacity = Infinity) {
      const page = pageOf(pipeline)
      page.bound = capacity
      page.waiting.set(one, pipeline.slots)
      return beginning(page)
    },
    begin: (one, pipeline) => begin(pageOf(pipeline), one, pipeline.slots),
    end(one) {
      const page = Array.from(pages.values()).find(({ running, waiting }) => running.has(one) || waiting.has(one))
      if (page === undefined) return []
      page.waiting.delete(one)
      page.taken -= page.running.get(one) ?? 0
      page.running.delete(one)
      return beginning(page)
    },
    isWaiting: one => Array.from(pages.values()).some(({ waiting }) => waiting.has(one)),
  }
}

/** One pool. */
interface Page<T> {
  readonly running: Map<T, number>
  /** In the order they were ordered. */
  readonly waiting: Map<T, number>
  bound: number
  taken: number
}

function begin<T>(page: Page<T>, one: T, slots: number): void {
  page.waiting.delete(one)
  if (page.running.has(one)) return
  page.running.set(one, slots)
  page.taken += slots
}

/**
 * One that does not fit holds back those behind it. Whoever is alone in the pool always may: it would wait for ever.
 */
function beginning<T>(page: Page<T>): T[] {
  const begun: T[] = []
  for (const [one, slots] of page.waiting) {
    if (page.running.size > 0 && page.taken + slots > page.bound) break
    begin(page, one, slots)
    begun.push(one)
  }
  return begun
}

/** How one that was stopped while it waited is reported. */
export function neverBegan(pipeline: string) {
  return {
    code: 'START_FAILED',
    reason: `Pipeline ${pipeline}: it was stopped before a slot was free and never ran.`,
  } as const
}
