import type { Camera } from './camera.ts'
import type { GatherPolicy } from './groupRules.ts'
import type { Pipeline } from './pipeline.ts'
import { poolOf, slotsIn, type Pool } from './pools.ts'

/**
 * The configuration applied by `start`: the layers merged, checked, and complete. It is in the journal, so a recording
 * explains itself.
 */
export interface Configuration {
  readonly instrument: string
  readonly mode: 'async' | 'sync'
  /** How many slots the default pool has; a job takes its pipeline's share. */
  readonly slots: number
  /** The other pools; absent in journals that are older than this. */
  readonly pools?: Readonly<Record<string, Pool>>
  /**
   * So many slots' worth of jobs more are handed to the executor in advance; absent in journals that are older than
   * this.
   */
  readonly prefetch?: number
  /** Most jobs that may wait. */
  readonly queueDepthMax: number
  readonly order: 'fifo' | 'newestFirst'
  /** Synchronous mode: what an in-progress acknowledgement promises; renewed at half of it. Milliseconds. */
  readonly ackTimeoutMs: number
  readonly groups: {
    readonly policy: GatherPolicy
    /** How long a closed group waits for its last members, milliseconds. */
    readonly patienceMs: number
    /** What a member accepted after the gather does. */
    readonly late: 'regather' | 'ignore'
    /** How long a gathered group is remembered for late members, milliseconds. */
    readonly lingerMs: number
    /** Combines a group that closes by itself and names no pipeline; null: the members' results are the result. */
    readonly pipeline: string | null
  }
  /** Where the raw files are, e.g. `/data/{instrument}/{dayObs}/{obsid}.fits`; '' where pipelines find their own. */
  readonly dataPath: string
  readonly pipelines: Readonly<Record<string, Pipeline>>
  /** What is shown where; absent in journals that are older than displays. */
  readonly display?: readonly Interest[]
  /** Maps what the OODS says to detectors; null: there is none, absent in journals that are older than this. */
  readonly camera?: Camera | null
}

/**
 * What a job is told of it: how many slots the default pool has, where it may be handed over before one is free;
 * nothing where it never is.
 */
export function capacityOf({ slots, prefetch = 0 }: Configuration): { readonly capacity?: number } {
  return prefetch > 0 ? { capacity: slots } : {}
}

/** A pipeline that takes more slots than its pool has, or null: its jobs would wait for ever. */
export function tooLarge(configuration: Pick<Configuration, 'slots' | 'pools' | 'pipelines'>): Pipeline | null {
  const { pipelines } = configuration
  return Object.values(pipelines).find(one => one.slots > slotsIn(configuration, poolOf(one))) ?? null
}

/**
 * One view of a display and what it shows: the newest dataset of a name, of any instrument and detector where those are
 * null.
 */
export interface Interest {
  readonly view: string
  readonly dataset: string
  readonly instrument: string | null
  readonly detector: number | null
}
