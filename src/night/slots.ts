/**
 * What a job that waits for slots needs, who is ahead of it, and what is kept free for whom: as facts for `ocps top`
 * and the page, and in words for `ocps explain`. Jobs start in order. A small job does not start ahead of a large one
 * that does not fit yet, although it would fit: how long it runs is known only as a time limit, after which it may be
 * tried again, so that the large one could wait for ever. The sentence says so.
 */
import { inOrder, type Waiting, type WaitingList } from '../../machines/domain/waitingList.ts'
import { DEFAULT_POOL, poolNames } from '../../machines/domain/pools.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { type PoolInUse, poolWith, standingIn } from '../../machines/standing.ts'
import { leafOf, type Night, poolsOf } from './night.ts'

/** The first that waits although slots are free: they are not enough for it, and kept for it. */
export interface Reserved {
  readonly jobId: string
  readonly needs: number
  readonly free: number
}

interface Queued {
  /** Counted from 1. */
  readonly place: number
  readonly of: number
  readonly needs: number
  readonly ahead: readonly Waiting[]
}

/** What is kept free now in each pool, at the launcher or in the queue; those of which nothing is are left out. */
export function reservedIn(night: Night): readonly Reserved[] {
  return poolsOf(night).flatMap(pool => reservedOf(night, pool) ?? [])
}

function reservedOf(night: Night, { pool, slots, slotsTaken, jobs }: PoolInUse): Reserved | null {
  const context = contextOf(night)
  if (context === null || flowOf(night) !== 'flowing') return null
  const { waiting, running } = standingIn(context, pool)
  const free = slots - slotsTaken
  if (free <= 0) return null
  // What was handed over begins before anything that waits here.
  const [handedOver] = Object.entries(running).filter(([jobId]) => !jobs.includes(jobId))
  if (handedOver) return { jobId: handedOver[0], needs: handedOver[1], free }
  const [first] = ordered(waiting, context.configuration?.order ?? 'fifo').list
  return first && first.slots > free ? { jobId: first.jobId, needs: first.slots, free } : null
}

/** `, place 2 of 3 behind …: it needs 1 slot; …`, for a job that waits in the queue. */
export function placeOf(night: Night, jobId: string): string {
  if (contextOf(night) === null) return ''
  const pool = poolOfJob(night, jobId)
  const queued = queuedIn(night, pool, jobId)
  const where =
    queued === null
      ? ''
      : `, place ${queued.place} of ${queued.of}${queued.ahead.length === 0 ? '' : ` behind ${few(queued.ahead.map(one => one.jobId))}`}`
  if (flowOf(night) === 'closed') return `${where}: the instance is not ENABLED, so nothing is started`
  if (flowOf(night) === 'paused') return `${where}: the queue is paused; "ocps resume" lets it go on`
  return `${where}: ${queued === null ? '' : keptInWords(night, pool, jobId, queued.needs)}${takenInWords(night, pool)}`
}

/** `: it needs 2 slots; …`, for a job that was handed to the launcher before its slots are free. */
export function handedOverIn(night: Night, jobId: string): string {
  const context = contextOf(night)
  if (context === null) return ''
  const pool = poolOfJob(night, jobId)
  const { running } = standingIn(context, pool.pool)
  return `: ${keptInWords(night, pool, jobId, running[jobId] ?? 1)}${takenInWords(night, pool)}`
}

/** `place 2 of 3 · …`, for a table; null for a job that does not wait in a queue that flows. */
export function placeBriefly(night: Night, jobId: string): string | null {
  const pool = poolOfJob(night, jobId)
  const queued = queuedIn(night, pool, jobId)
  if (queued === null || flowOf(night) !== 'flowing') return null
  const { place, of, needs } = queued
  const reserved = reservedOf(night, pool)
  return [
    `place ${place} of ${of}`,
    ...(needs > 1 ? [`needs ${slots(needs)}`] : []),
    ...(reserved === null
      ? []
      : [`${reserved.free} kept free for ${reserved.jobId === jobId ? 'it' : reserved.jobId}`]),
    takenBriefly(night, pool),
  ].join(' · ')
}

/** Nothing for one slot of none that are free: that is said by who has them. */
function keptInWords(night: Night, pool: PoolInUse, jobId: string, needs: number): string {
  const reserved = reservedOf(night, pool)
  if (reserved === null) return needs === 1 ? '' : `it needs ${slots(needs)}; `
  const { free } = reserved
  if (reserved.jobId === jobId)
    return `it needs ${slots(needs)}; ${free === 1 ? 'the one that is free is' : `the ${free} that are free are`} kept for it; `
  const mine = needs <= free ? `; none overtakes it, or it might wait for ever` : ''
  return `it needs ${slots(needs)}; ${free} that ${free === 1 ? 'is' : 'are'} free ${free === 1 ? 'is' : 'are'} kept for ${reserved.jobId}, which is first and needs ${reserved.needs}${mine}; `
}

function takenInWords(night: Night, pool: PoolInUse): string {
  return `${takenBriefly(night, pool)}${pool.jobs.length === 0 ? '' : ` by ${few(pool.jobs)}`}`
}

function takenBriefly(night: Night, { pool, slots: there, slotsTaken }: PoolInUse): string {
  const isOneOfSeveral = poolNames(contextOf(night)?.configuration ?? {}).length > 1
  return `${slotsTaken} of ${there} slots${isOneOfSeveral ? ` of pool ${pool}` : ''} are taken`
}

function slots(count: number): string {
  return count === 1 ? '1 slot' : `${count} slots`
}

const NAMED_MAX = 4

/** The first of a list by name, the rest by number. */
export function few(names: readonly string[]): string {
  return (
    names.slice(0, NAMED_MAX).join(', ') + (names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : '')
  )
}

function queuedIn(night: Night, { pool }: PoolInUse, jobId: string): Queued | null {
  const context = contextOf(night)
  if (context === null) return null
  const { waiting } = standingIn(context, pool)
  const { list, places } = ordered(waiting, context.configuration?.order ?? 'fifo')
  const place = places.get(jobId)
  const one = place === undefined ? undefined : list[place]
  if (place === undefined || one === undefined) return null
  return { place: place + 1, of: list.length, needs: one.slots, ahead: list.slice(0, place) }
}

/** The pool in which a job waits or runs; the default pool of one that does neither. */
function poolOfJob(night: Night, jobId: string): PoolInUse {
  const context = contextOf(night)
  const order = context?.configuration?.order ?? 'fifo'
  const pool = context && poolWith(context, jobId, list => ordered(list, order).places.has(jobId))
  return poolsOf(night).find(one => one.pool === (pool ?? DEFAULT_POOL)) ?? NO_POOL
}

const NO_POOL: PoolInUse = { pool: DEFAULT_POOL, slots: 0, slotsTaken: 0, jobs: [], ahead: 0, waiting: 0 }

function contextOf(night: Night): QueueContext | null {
  const queue = night.world.actor('queue')
  return queue ? (queue.snapshot.context as QueueContext) : null
}

function flowOf(night: Night): string {
  const queue = night.world.actor('queue')
  return queue ? leafOf(queue.snapshot) : ''
}

interface Ordered {
  readonly list: readonly Waiting[]
  readonly places: ReadonlyMap<string, number>
}

// Of a list that is never changed: whoever asks for many of its places has it gone through once.
const known = new WeakMap<WaitingList, Ordered>()

function ordered(waiting: WaitingList, order: 'fifo' | 'newestFirst'): Ordered {
  const before = known.get(waiting)
  if (before) return before
  const list = inOrder(waiting, order)
  const made = { list, places: new Map(list.map(({ jobId }, at) => [jobId, at])) }
  known.set(waiting, made)
  return made
}
