import type { Prerequisite } from './domain/commands.ts'
import type { JobInput } from './domain/inputs.ts'
import type { Located } from './domain/located.ts'
import type { Outcome } from './domain/outcome.ts'
import type { RetryClass } from './domain/pipeline.ts'
import type { Dataset, Metric } from './domain/reports.ts'

/** What a job knows, and what is left of it; see job.ts. */

export interface JobContext extends Pick<JobInput, 'jobId' | 'dataId' | 'pipeline'> {
  /**
   * What is to be done: as it was asked for, or as the fallback has it. In a field of its own, for a context is copied
   * with every step.
   */
  readonly asked: Omit<JobInput, 'kind'>
  /** Prerequisites that have not ended. */
  readonly awaited: readonly Prerequisite[]
  readonly attempt: number
  /** Attempts with the present pipeline. */
  readonly tries: number
  readonly fellBackFrom: readonly string[]
  /**
   * The attempt whose process is known to have started, of a job that may wait for that at the executor; absent for all
   * others.
   */
  readonly begun?: number
  /** Where a locator said that the data are; absent where none was asked, or it did not say. */
  readonly inputs?: Located
  /** Lines of the reports file heard in this attempt; an adopting executor goes on from there. */
  readonly reportsHeard: number
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  readonly verdict: string | null
  /** Written by the first reason to end; null until there is one. */
  readonly outcome: Outcome | null
  readonly retryClass: RetryClass | null
  readonly times: {
    readonly accepted: number
    readonly queued: number | null
    readonly started: number | null
    readonly settled: number
  }
}

/**
 * What is left of a job when it has settled: for its group, for those who waited for it, for the answer to the command.
 */
export interface JobOutput {
  readonly jobId: string
  readonly outcome: Outcome
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  readonly verdict: string | null
}
