/**
 * A pool: slots of one kind, and how its jobs are started. The default pool has the configuration's `slots` and starts
 * its jobs as they are; it is the only one where none is configured, and in journals that are older than pools.
 */
export interface Pool {
  /** How many slots there are; a job takes its pipeline's share. */
  readonly slots: number
  readonly runner: Runner
}

/**
 * How a pool's jobs are started. none: as they are. prefix: by a program of this machine whose exit status is the
 * job's, such as `nice -n 10`.
 */
export type Runner = { readonly kind: 'none' } | { readonly kind: 'prefix'; readonly argv: readonly string[] }

/** The pool of a pipeline, and what its jobs need to know of it. */
export interface PoolOfPipeline {
  readonly name: string
  /** For the launcher, which begins a job that was handed over in advance when it fits. */
  readonly slots: number
  readonly runner: Runner
}

/** What a configuration says of them. */
interface Pools {
  /** Of the default pool. */
  readonly slots: number
  readonly pools?: Readonly<Record<string, Pool>>
}

export const DEFAULT_POOL = 'default'

export function poolOf({ pool }: { readonly pool?: PoolOfPipeline }): string {
  return pool?.name ?? DEFAULT_POOL
}

/** The default pool first, then the others as they are configured. */
export function poolNames({ pools = {} }: Pick<Pools, 'pools'>): readonly string[] {
  return [DEFAULT_POOL, ...Object.keys(pools)]
}

/** 0 for a pool there is not. */
export function slotsIn({ slots, pools = {} }: Pools, pool: string): number {
  if (pool === DEFAULT_POOL) return slots
  return (Object.hasOwn(pools, pool) && pools[pool]?.slots) || 0
}
