import { z } from 'zod'
import type { JobResult, JobState } from '../../machines/domain/announcements.ts'
import { outcomeKind } from './shapes.ts'

/** Questions about jobs that have ended, and what answers them. */

/** An ended job as it was announced. */
export type Ended = JobResult

/** Ended jobs in one answer. */
const JOBS_MAX = 500
const TEXT_MAX = 256

const word = z.string().min(1).max(TEXT_MAX).exactOptional()
const moment = z.int().min(0).exactOptional()

export const historyRequest = z.strictObject({
  obsid: word,
  group: word,
  pipeline: word,
  outcome: outcomeKind.exactOptional(),
  askedBy: word,
  since: moment.describe('Settled at or after, ms since 1970 UTC'),
  until: moment.describe('Settled before, ms since 1970 UTC'),
  longerThan: z.number().min(0).exactOptional().describe('Ran for more than, s'),
  limit: z.int().min(1).max(JOBS_MAX).default(100),
  before: z
    .strictObject({ settled: z.int(), jobId: z.string().max(TEXT_MAX) })
    .exactOptional()
    .describe('The last one of the answer before, for the next one'),
})

/** What is asked for; an absent field matches every job. */
export type HistoryRequest = z.output<typeof historyRequest>

export interface HistoryAnswer {
  /** Newest first. */
  readonly jobs: readonly Ended[]
  /** How many match, whatever the limit. */
  readonly total: number
}

export interface ExposureAnswer {
  readonly obsid: string
  /** Jobs over it that are open. */
  readonly open: readonly Pick<JobState, 'jobId' | 'state' | 'pipeline' | 'attempt'>[]
  /** Jobs over it that have ended, newest first. */
  readonly jobs: readonly Ended[]
  readonly total: number
}
