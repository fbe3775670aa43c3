import { expect } from 'vitest'
import { type JobResult } from '../../machines/domain/announcements.ts'
import type { Prerequisite } from '../../machines/domain/commands.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import type { RetryClass } from '../../machines/domain/pipeline.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import { aCaller, aPipeline, exit, given, type Given } from '../harness.ts'

/** A job as its tests begin with it, and what it said. */

export const caller = aCaller('m7')

export const input = {
  instance: 'LATISS',
  jobId: 'j1',
  commandId: 'm1',
  dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: null },
  pipeline: aPipeline('quicklook'),
  overrides: {},
  configFile: null,
  version: '',
  priority: 0,
  fallbacks: [],
  retryOf: null,
  after: [],
  readiness: { policy: 'runNow' },
  timeLimitMs: 60_000,
  dataPath: '/data/{obsid}.fits',
  members: null,
} satisfies Omit<JobInput, 'kind'>

export const job = (changes: Partial<JobInput> = {}) => given('job', { ...input, ...changes })

export const retrying = (on: readonly RetryClass[], attemptsMax = 3) =>
  job({ pipeline: aPipeline('quicklook', { retries: { attemptsMax, backoffMs: 1_000, on } }) })

export const after = (...jobIds: readonly (string | Prerequisite)[]) => ({
  after: jobIds.map(one => (typeof one === 'string' ? ({ jobId: one, requires: 'success' } as const) : one)),
})

export const grant = { type: 'slot.granted' } as const

export const started = (attempt = 1) => ({ type: 'executor.started', jobId: 'j1', attempt, pid: 1_000 }) as const

export const exited = (exitCode: number, attempt = 1) => exit('j1', attempt, { exitCode })

export const lost = (attempt = 1) =>
  ({ type: 'executor.lost', jobId: 'j1', attempt, reason: 'pid 1000 is gone' }) as const

export const startFailed = (attempt = 1) =>
  ({ type: 'executor.startFailed', jobId: 'j1', attempt, code: 'PROGRAM_NOT_FOUND', reason: 'no /bin/x' }) as const

export const abort = { type: 'job.abort', reason: 'aborted by operator', caller } as const

export const starting = job().when(grant)

export const running = starting.when(started())

export const stopping = running.when(abort)

export const who = { jobId: 'j1', attempt: 1 } as const

export const reports = {
  metric: { type: 'executor.metric', ...who, metric: 'psf', value: 1.2, unit: 'arcsec' },
  dataset: { type: 'executor.dataset', ...who, dataset: 'preview', path: 'preview.png', mime: 'image/png' },
  progress: { type: 'executor.progress', ...who, fraction: 0.4, note: 'stars' },
  verdict: { type: 'executor.verdict', ...who, verdict: 'poor seeing' },
  badReport: { type: 'executor.badReport', ...who, reason: 'line 3 is not JSON' },
} as const satisfies Record<string, ExecutorReport>

export function resultOf({ emissions }: Given<'job'>): JobResult {
  const results = emissions.flatMap(one => (one.type === 'event' && one.topic === 'jobResult' ? [one.body] : []))
  expect(results).toHaveLength(1)
  const [result] = results
  if (!result) throw new Error('no result was said')
  return result
}
