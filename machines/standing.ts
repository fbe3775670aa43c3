import type { Configuration } from './domain/configuration.ts'
import { DEFAULT_POOL, poolNames, slotsIn } from './domain/pools.ts'
import { add, EMPTY, next, remove, withoutNext, type Waiting, type WaitingList } from './domain/waitingList.ts'

/**
 * Who waits and who runs in each pool, as pure functions of what the queue holds. Pools do not know each other: a full
 * one, or one whose first job is large, holds up no other. A job is in one pool at a time; a fallback may take it to
 * another.
 */

/** One pool's jobs. */
export interface Standing {
  readonly waiting: WaitingList
  /** jobId → slots it has, or will have as soon as they are free; in the order they were granted. */
  readonly running: Readonly<Record<string, number>>
  readonly slotsTaken: number
}

/** The default pool's jobs stand here themselves, as they did before there were pools. */
export interface Standings extends Standing {
  /** The other pools that have had jobs; absent where none has, and in journals that are older than pools. */
  readonly pools?: Readonly<Record<string, Standing>>
}

const NOBODY: Standing = { waiting: EMPTY, running: {}, slotsTaken: 0 }

export function standingIn(all: Standings, pool: string): Standing {
  return pool === DEFAULT_POOL ? all : (all.pools?.[pool] ?? NOBODY)
}

/** Each pool that has had jobs; the default pool first. */
export function standings(all: Standings): readonly (readonly [pool: string, standing: Standing])[] {
  return [[DEFAULT_POOL, all], ...Object.entries(all.pools ?? {})]
}

/** How many jobs have slots, in all pools. */
export function runningCount({ running, pools = {} }: Pick<Standings, 'running' | 'pools'>): number {
  return [running, ...Object.values(pools).map(one => one.running)].reduce(
    (sum, one) => sum + Object.keys(one).length,
    0,
  )
}

/** The jobs that have slots, pool by pool, each in the order they were granted. */
export function grantedIn(all: Standings): string[] {
  return standings(all).flatMap(([, { running }]) => Object.keys(running))
}

export function isGranted(all: Standings, jobId: string): boolean {
  return standings(all).some(([, { running }]) => running[jobId] !== undefined)
}

/** Who is next to get slots: the first of a pool where the first fits; null: nobody. */
export function nextFitting(
  all: Standings,
  configuration: Configuration | null,
): { readonly pool: string; readonly first: Waiting } | null {
  if (configuration === null) return null
  for (const pool of poolNames(configuration)) {
    const standing = standingIn(all, pool)
    const first = next(standing.waiting, configuration.order)
    if (first !== undefined && first.slots <= room(standing, configuration, pool)) return { pool, first }
  }
  return null
}

/** The first of a pool has its slots. */
export function withGranted(all: Standings, pool: string, { order }: Configuration): Standings {
  const { waiting, running, slotsTaken } = standingIn(all, pool)
  const first = next(waiting, order)
  return first === undefined
    ? onlyStandings(all)
    : withStanding(all, pool, {
        waiting: withoutNext(waiting, order),
        running: { ...running, [first.jobId]: first.slots },
        slotsTaken: slotsTaken + first.slots,
      })
}

/** The job at the end of its pool's waiting list. */
export function withWaiting(all: Standings, pool: string, priority: number, job: Waiting): Standings {
  const standing = standingIn(all, pool)
  return withStanding(all, pool, { ...onlyStanding(standing), waiting: add(standing.waiting, priority, job) })
}

/** Without the slots of the job. */
export function withoutRunning(all: Standings, jobId: string): Standings {
  const [pool, standing] = standings(all).find(([, { running }]) => running[jobId] !== undefined) ?? []
  if (pool === undefined || standing === undefined) return onlyStandings(all)
  const { [jobId]: slots = 0, ...running } = standing.running
  return withStanding(all, pool, { waiting: standing.waiting, running, slotsTaken: standing.slotsTaken - slots })
}

/** Without the job, wherever it stands. */
export function withoutJob(all: Standings, jobId: string): Standings {
  if (isGranted(all, jobId)) return withoutRunning(all, jobId)
  for (const [pool, standing] of standings(all)) {
    const waiting = remove(standing.waiting, jobId)
    if (waiting !== standing.waiting) return withStanding(all, pool, { ...onlyStanding(standing), waiting })
  }
  return onlyStandings(all)
}

export function withoutWaiting(all: Standings): Standings {
  return standings(all).reduce<Standings>(
    (left, [pool, standing]) => withStanding(left, pool, { ...onlyStanding(standing), waiting: EMPTY }),
    all,
  )
}

/** For the next job of a pool: never more than it has slots, for the job could not begin. */
function room({ slotsTaken }: Standing, configuration: Configuration, pool: string): number {
  const slots = slotsIn(configuration, pool)
  return Math.min(slots, slots + (configuration.prefetch ?? 0) - slotsTaken)
}

/** One pool, as people see it. */
export interface PoolInUse {
  readonly pool: string
  readonly slots: number
  readonly slotsTaken: number
  /** Who has them. */
  readonly jobs: readonly string[]
  /** How many were granted theirs before they are free, and wait at the executor. */
  readonly ahead: number
  readonly waiting: number
}

/**
 * What is really taken of the slots that were granted, pool by pool: the executor begins jobs in the order they were
 * granted, each when it fits.
 */
export function poolsInUse(
  all: Standings,
  configuration: Configuration | null,
  isStarting: (jobId: string) => boolean,
): readonly PoolInUse[] {
  const names = new Set([...(configuration ? poolNames(configuration) : []), ...standings(all).map(([pool]) => pool)])
  return Array.from(names, pool => {
    const { running, waiting } = standingIn(all, pool)
    const slots = configuration ? slotsIn(configuration, pool) : 0
    const granted = Object.entries(running)
    const mayWait = ([jobId]: readonly [string, number]) => (configuration?.prefetch ?? 0) > 0 && isStarting(jobId)
    const begun = granted.filter(one => !mayWait(one))
    const jobs = begun.map(([jobId]) => jobId)
    let slotsTaken = begun.reduce((sum, [, taken]) => sum + taken, 0)
    for (const [jobId, taken] of granted.filter(mayWait)) {
      if (slotsTaken + taken > slots) break
      slotsTaken += taken
      jobs.push(jobId)
    }
    return { pool, slots, slotsTaken, jobs, ahead: granted.length - jobs.length, waiting: waiting.size }
  })
}

/** All pools together. */
export function inAll(pools: readonly PoolInUse[]): Omit<PoolInUse, 'pool'> {
  const sum = (of: (one: PoolInUse) => number) => pools.reduce((before, one) => before + of(one), 0)
  return {
    slots: sum(one => one.slots),
    slotsTaken: sum(one => one.slotsTaken),
    jobs: pools.flatMap(one => one.jobs),
    ahead: sum(one => one.ahead),
    waiting: sum(one => one.waiting),
  }
}

/** The pool a job stands in, waiting or running; null: in none. */
export function poolWith(all: Standings, jobId: string, isWaiting: (list: WaitingList) => boolean): string | null {
  return standings(all).find(([, one]) => one.running[jobId] !== undefined || isWaiting(one.waiting))?.[0] ?? null
}

function withStanding(all: Standings, pool: string, standing: Standing): Standings {
  const kept = onlyStandings(all)
  return pool === DEFAULT_POOL ? { ...kept, ...standing } : { ...kept, pools: { ...kept.pools, [pool]: standing } }
}

/** Nothing else of the queue. */
function onlyStandings({ pools, ...all }: Standings): Standings {
  return { ...onlyStanding(all), ...(pools && { pools }) }
}

function onlyStanding({ waiting, running, slotsTaken }: Standing): Standing {
  return { waiting, running, slotsTaken }
}
