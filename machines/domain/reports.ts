import type { OutcomeCode, Usage } from './outcome.ts'

/**
 * Reports: what is heard from the executor, the clock and the locator. Each is journaled before any machine hears it. A
 * report names job and attempt, so that a late word about an earlier attempt can be told apart.
 */
export type ExecutorReport =
  | {
      readonly type: 'executor.started'
      readonly jobId: string
      readonly attempt: number
      readonly pid: number
      /** Where it runs, as its pool's runner says it: `local`; absent in journals that are older than pools. */
      readonly where?: string
    }
  | ({ readonly type: 'executor.metric'; readonly jobId: string; readonly attempt: number } & Metric)
  | ({ readonly type: 'executor.dataset'; readonly jobId: string; readonly attempt: number } & Dataset)
  | {
      readonly type: 'executor.progress'
      readonly jobId: string
      readonly attempt: number
      /** 0…1, or null where the pipeline does not know. */
      readonly fraction: number | null
      readonly note: string
    }
  | { readonly type: 'executor.verdict'; readonly jobId: string; readonly attempt: number; readonly verdict: string }
  | {
      /** A line of the reports file that is no report: kept as a note, never a failure of the job. */
      readonly type: 'executor.badReport'
      readonly jobId: string
      readonly attempt: number
      readonly reason: string
    }
  | {
      readonly type: 'executor.exited'
      readonly jobId: string
      readonly attempt: number
      /** Exactly one of exitCode and signal is not null. */
      readonly exitCode: number | null
      readonly signal: string | null
      readonly usage: Usage
      /** The last words on stderr, at most 2 kB, for the message of a failure. */
      readonly stderrTail: string
    }
  | {
      /** It never ran. */
      readonly type: 'executor.startFailed'
      readonly jobId: string
      readonly attempt: number
      readonly code: Extract<OutcomeCode, 'PROGRAM_NOT_FOUND' | 'NOT_EXECUTABLE' | 'START_FAILED' | 'WORK_DIR_FULL'>
      readonly reason: string
    }
  | { readonly type: 'executor.lost'; readonly jobId: string; readonly attempt: number; readonly reason: string }

/**
 * No process of a pool can be started any more, whatever is tried. What was ordered there is reported startFailed; what
 * that means for the instance the csc machine judges.
 */
export interface PoolUnreachable {
  readonly type: 'executor.unreachable'
  readonly pool: string
  readonly reason: string
}

/**
 * A number with a unit (astropy spelling, '' for none). JSON has no NaN and no infinities, so these are words; null
 * means "not measured".
 */
export interface Metric {
  readonly metric: string
  readonly value: number | 'NaN' | 'Infinity' | '-Infinity' | null
  readonly unit: string
}

/** A file a pipeline made, relative to the job's directory and proven to lie inside it. */
export interface Dataset {
  readonly dataset: string
  readonly path: string
  readonly mime: string
}
