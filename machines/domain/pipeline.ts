import type { PoolOfPipeline } from './pools.ts'
import type { CommandPart } from './template.ts'

/**
 * A catalogue entry as the machines and the executor see it: read from YAML, checked, and complete; nothing optional is
 * left.
 */
export interface Pipeline {
  readonly name: string
  readonly description: string
  /** exposure: once per obsid. detector: once per obsid and detector. group: over the settled members of a group. */
  readonly scope: 'exposure' | 'detector' | 'group'
  /** An argv with `{placeholders}`; never a shell string. */
  readonly command: readonly CommandPart[]
  /** Placeholders of the command that a job must have a value for; absent in journals that are older than this. */
  readonly needs?: readonly string[]
  /**
   * Patterns of the software versions it can be asked for, `*` for any; absent in journals that are older than this.
   */
  readonly versions?: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /**
   * Names and patterns of the variables taken over from the service's environment; absent where there are none. Their
   * values are never journaled.
   */
  readonly passEnv?: readonly string[]
  /** From start to the order to stop, milliseconds. */
  readonly timeLimitMs: number
  /** From SIGTERM to SIGKILL, milliseconds. */
  readonly graceMs: number
  /** Absent: the default pool. */
  readonly pool?: PoolOfPipeline
  /** How many of its pool's slots one job takes. */
  readonly slots: number
  /** stdout and stderr are each cut at this size, bytes. */
  readonly outputMaxBytes: number
  readonly retries: Retries
  /**
   * Pipelines of the same scope to try, in order, when this one has failed for good; the first that succeeds is the
   * job's.
   */
  readonly fallback: readonly string[]
  /** The keys a command may override, with what each accepts. */
  readonly overrides: Readonly<Record<string, OverrideRule>>
  /** Configuration files a command may name for this pipeline. */
  readonly configFiles: readonly string[]
}

export interface Retries {
  readonly attemptsMax: number
  readonly backoffMs: number
  /** Which endings are worth another attempt. */
  readonly on: readonly RetryClass[]
}

/** An exit code, or a way to end that has no exit code. */
export type RetryClass = number | 'signal' | 'lost' | 'timedOut' | 'startFailed'

export interface OverrideRule {
  readonly type: 'number' | 'string' | 'boolean'
  readonly default: OverrideValue | null
  readonly minimum: number | null
  readonly maximum: number | null
}

export type OverrideValue = number | string | boolean
