import type { AckBody, JobResult } from '../../machines/domain/announcements.ts'
import type { Metric } from '../../machines/domain/reports.ts'
import { OcpsError } from './errors.ts'
import { type Reported, type Hearing, jobKey, type MetricReport, type ProgressReport } from './hearing.ts'
import type { Ask } from './queries.ts'
import type { Rechecks } from './rechecks.ts'
import { createStream } from './stream.ts'

/**
 * A command's jobs from acceptance to result. Promises every job's result once, whatever happened to the server in
 * between, and metrics that end with it and hold each metric of the result exactly once. How jobs come about is the
 * instance's.
 */
export interface Job {
  /** The first of `jobIds`; the only one unless the command named several detectors. */
  readonly jobId: string
  /** In the order of the command's detectors. */
  readonly jobIds: readonly string[]
  /** The acknowledgement that accepted it: 303, or in synchronous mode 301. */
  readonly acknowledged: AckBody
  /**
   * Metrics while they come, of all jobs of the command; ends when all results are in. Each (job, metric, value) once,
   * and every metric of every result, also if its telemetry was missed. At most 100 000 wait to be taken: then the
   * oldest is dropped, and comes again at the end if the result holds it.
   */
  readonly metrics: AsyncIterable<MetricReport>
  /** How far the jobs are; ends with `metrics`. Live only; of those not taken the newest 1 000 wait. */
  readonly progress: AsyncIterable<ProgressReport>
  /** How the first job ended. Resolves whatever the outcome; rejects with OcpsError CLOSED or UNKNOWN only. */
  readonly result: Promise<JobResult>
  /** All results, in the order of `jobIds`. */
  readonly results: Promise<readonly JobResult[]>
}

// A camera's detectors with five hundred metrics each.
const METRICS_WAITING_MAX = 100_000
const PROGRESS_WAITING_MAX = 1_000
// What has been passed on is remembered to say it once; a pipeline that reports more than this per job may repeat
// itself.
const REMEMBERED_PER_JOB_MAX = 10_000

export interface Following {
  readonly hearing: Hearing
  readonly rechecks: Rechecks
  readonly ask: Ask
  /** Rejects whatever is still awaited when the client closes. */
  readonly closing: { add(reject: (error: OcpsError) => void): () => void }
}

/** Follows the jobs that `accept` names once it resolves. */
export async function followJobs(accept: () => Promise<AckBody>, parts: Following): Promise<Job> {
  const begun = parts.hearing.begin()
  let acknowledged: AckBody
  try {
    acknowledged = await accept()
    if (acknowledged.jobIds[0] === undefined)
      throw new OcpsError('BAD_ANSWER', 'the command was accepted without naming a job')
  } catch (error) {
    begun.cancel()
    throw error
  }
  const { jobIds } = acknowledged
  const metrics = createMetrics()
  const progress = createStream<ProgressReport>({ waitingMax: PROGRESS_WAITING_MAX })
  const pending = new Map(jobIds.map(jobId => [jobId, awaited(jobId)]))
  const each = jobIds.map(jobId => pending.get(jobId)?.promise ?? Promise.reject(new Error('impossible')))
  const unfollow = begun.follow(jobIds.map(jobKey), hear)
  const results = Promise.all(each)
  results.catch(() => {}).finally(end)
  const [result] = each
  if (result === undefined) throw new Error('invariant: a command has a job here')
  return { jobId: jobIds[0] ?? '', jobIds, acknowledged, metrics: metrics.stream, progress, result, results }

  function hear(heard: Reported): void {
    if (heard.of === 'metric') metrics.report(heard.body)
    if (heard.of === 'progress') progress.push(heard.body)
    if (heard.of === 'jobResult') settle(heard.body)
  }

  function settle(result: JobResult): void {
    const waiting = pending.get(result.jobId)
    if (!waiting || !pending.delete(result.jobId)) return
    for (const metric of result.metrics) metrics.report({ jobId: result.jobId, dataId: result.dataId, ...pick(metric) })
    waiting.resolve(result)
  }

  function awaited(jobId: string) {
    const waiting = deferred<JobResult>()
    const forget = parts.closing.add(waiting.reject)
    const uncheck = parts.rechecks.add(async () => {
      const { result: settled } = await parts.ask<{ result: JobResult | null }>('job', { jobId })
      if (settled) settle(settled)
    }, waiting.reject)
    const over = () => {
      forget()
      uncheck()
    }
    waiting.promise.then(over, over)
    return waiting
  }

  function end(): void {
    unfollow()
    metrics.stream.end()
    progress.end()
  }
}

/** Passes each on once, and forgets what had to be dropped, so that the result can bring it again. */
function createMetrics() {
  const passed = new Map<string, Set<string>>()
  const stream = createStream<MetricReport>({
    waitingMax: METRICS_WAITING_MAX,
    onDrop: dropped => passed.get(dropped.jobId)?.delete(keyOf(dropped)),
  })
  return {
    stream,
    report(metric: MetricReport) {
      const { jobId } = metric
      const before = passed.get(jobId) ?? new Set()
      passed.set(jobId, before)
      const key = keyOf(metric)
      if (before.has(key)) return
      before.add(key)
      for (const oldest of before) {
        if (before.size <= REMEMBERED_PER_JOB_MAX) break
        before.delete(oldest)
      }
      stream.push(metric)
    },
  }
}

function keyOf({ metric, value }: Metric): string {
  return JSON.stringify([metric, value])
}

function pick({ metric, value, unit }: Metric): Metric {
  return { metric, value, unit }
}

export function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: OcpsError) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Who never looks at a result must not be ended by its absence.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
