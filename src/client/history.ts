import type { JobResult } from '../../machines/domain/announcements.ts'
import type { HistoryAnswer, HistoryRequest } from '../contract/history.ts'
import type { Ask } from './queries.ts'

/** Which ended jobs: a field that is left out matches all. Moments are milliseconds since 1970 UTC, `longerThan` seconds. */
export type HistoryFilter = Omit<HistoryRequest, 'limit' | 'before'>

const JOBS_AT_ONCE = 200

/** Newest first, asked for in parts as they are read. */
export async function* history(ask: Ask, filter: HistoryFilter): AsyncGenerator<JobResult> {
  for (let before = {}; ; ) {
    const { jobs } = await ask<HistoryAnswer>('history', { ...filter, ...before, limit: JOBS_AT_ONCE })
    yield* jobs
    // An answer that was cut to fit a message is shorter as well: only an empty one is the end.
    const last = jobs.at(-1)
    if (last === undefined) return
    before = { before: { settled: last.times.settled, jobId: last.jobId } }
  }
}
