import type { JobResult, JobState, TelemetryAnnouncement } from './domain/announcements.ts'
import { jobDirectoryName } from './domain/dataId.ts'
import { invariant } from './domain/invariant.ts'
import type { Emission, ShelfItem } from './domain/messages.ts'
import type { Outcome } from './domain/outcome.ts'
import type { ExecutorReport } from './domain/reports.ts'
import { workOf } from './domain/work.ts'
import type { JobContext } from './jobContext.ts'

/**
 * What a job says of itself, made from what it knows: its states, its telemetry, how it ended, its result and what is
 * kept of it on the shelf. Pure functions; when something is said is the job's business (job.ts).
 */
export type Exited = Extract<ExecutorReport, { type: 'executor.exited' }>
export type Telling = Extract<ExecutorReport, { type: `executor.${TelemetryAnnouncement['topic']}` }>
type Reason = Pick<Outcome, 'kind' | 'code' | 'message'>

export function result(context: JobContext): JobResult {
  const { jobId, dataId, pipeline, asked, attempt, fellBackFrom, metrics, datasets, verdict, times } = context
  return {
    jobId,
    dataId,
    pipeline: pipeline.name,
    version: asked.version,
    commandId: asked.commandId,
    attempt,
    fellBackFrom,
    retryOf: asked.retryOf,
    ...(asked.askedAs && { askedAs: asked.askedAs }),
    askedBy: asked.askedBy ?? null,
    overrides: asked.overrides,
    configFile: asked.configFile,
    directory: directoryOf(context),
    outcome: settledOutcome(context),
    metrics,
    datasets,
    verdict,
    times,
  }
}

/** null for a job nothing of which ever ran. */
export function directoryOf({ jobId, times }: Pick<JobContext, 'jobId' | 'times'>): string | null {
  return times.started === null ? null : jobDirectoryName(jobId)
}

/** The result of a job whose machine broke. */
export function brokenResult(context: JobContext): JobResult {
  const message = 'OCPS broke while it handled this job; see errorCode'
  return result({ ...context, outcome: ending({ kind: 'failed', code: 'INTERNAL', message }) })
}

/** What it takes to run the job again, if that makes sense: a gather is run again by closing its group again. */
export function shelfItem(context: JobContext): ShelfItem | null {
  const { jobId, asked, times, fellBackFrom, pipeline } = context
  const outcome = settledOutcome(context).kind
  if (outcome === 'succeeded' || asked.members !== null) return null
  return {
    jobId,
    retryOf: asked.retryOf,
    at: times.accepted,
    ...workOf(asked),
    ...asked.first,
    pipeline: fellBackFrom[0] ?? pipeline.name,
    outcome,
  }
}

export function stateEvent(
  { jobId, dataId, pipeline, attempt, outcome }: JobContext,
  name: JobState['state'],
  note: string,
): Emission {
  const body = {
    jobId,
    state: name,
    dataId,
    pipeline: pipeline.name,
    attempt,
    outcome: name === 'settled' ? (outcome?.kind ?? null) : null,
    note,
  }
  return { type: 'event', topic: 'jobState', key: jobId, body }
}

// Written out: V8 makes a literal some thirty times faster than a copy with more fields, and this is said for every
// line a pipeline reports.
export function telemetry(
  { jobId, dataId, pipeline: { name: pipeline } }: JobContext,
  report: Telling,
): TelemetryAnnouncement {
  const type = 'telemetry'
  switch (report.type) {
    case 'executor.metric': {
      const { metric, value, unit } = report
      return { type, jobId, dataId, pipeline, topic: 'metric', body: { metric, value, unit } }
    }
    case 'executor.dataset': {
      const { dataset, path, mime } = report
      return { type, jobId, dataId, pipeline, topic: 'dataset', body: { dataset, path, mime } }
    }
    case 'executor.progress': {
      const { fraction, note } = report
      return { type, jobId, dataId, pipeline, topic: 'progress', body: { fraction, note } }
    }
    case 'executor.verdict':
      return { type, jobId, dataId, pipeline, topic: 'verdict', body: { verdict: report.verdict } }
    case 'executor.badReport':
      return { type, jobId, dataId, pipeline, topic: 'badReport', body: { reason: report.reason } }
  }
}

// A result is one message on the wire; with these it stays under NATS's 1 MiB even when names are long. What is over is
// in telemetry.
const RESULT_METRICS_MAX = 1_000
const RESULT_DATASETS_MAX = 1_000

export function kept(context: JobContext, report: Telling): Partial<JobContext> {
  const reportsHeard = context.reportsHeard + 1
  switch (report.type) {
    case 'executor.metric': {
      const { metric, value, unit } = report
      return {
        reportsHeard,
        metrics: latest(context.metrics, { metric, value, unit }, one => one.metric === metric, RESULT_METRICS_MAX),
      }
    }
    case 'executor.dataset': {
      const { dataset, path, mime } = report
      return {
        reportsHeard,
        datasets: latest(
          context.datasets,
          { dataset, path, mime },
          one => one.dataset === dataset,
          RESULT_DATASETS_MAX,
        ),
      }
    }
    case 'executor.verdict':
      return { reportsHeard, verdict: report.verdict }
    case 'executor.progress':
    case 'executor.badReport':
      return { reportsHeard }
  }
}

/** The list with one value per name, the newest in the place of the first. */
function latest<T>(list: readonly T[], one: T, isSame: (other: T) => boolean, max: number): readonly T[] {
  const at = list.findIndex(isSame)
  if (at !== -1) return list.with(at, one)
  return list.length < max ? [...list, one] : list
}

export function settledOutcome({ jobId, outcome }: JobContext): Outcome {
  invariant(outcome, `job ${jobId} settled without an outcome`)
  return outcome
}

export function ending(reason: Reason, exit?: Pick<Exited, 'exitCode' | 'signal' | 'usage'>): Outcome {
  const { kind, code, message } = reason
  return {
    kind,
    code,
    message,
    exitCode: exit?.exitCode ?? null,
    signal: exit?.signal ?? null,
    usage: exit?.usage ?? null,
  }
}

/** The process ended and nobody had told it to. */
export function byItself({ pipeline }: JobContext, exited: Exited): Pick<JobContext, 'outcome' | 'retryClass'> {
  const { exitCode, signal, usage, stderrTail } = exited
  const last = lastLine(stderrTail)
  const exit = { exitCode, signal, usage }
  if (exitCode === 0)
    return {
      outcome: ending({ kind: 'succeeded', code: 'OK', message: `${pipeline.name} succeeded` }, exit),
      retryClass: null,
    }
  const how = exitCode === null ? `was ended by ${signal}` : `failed with exit code ${exitCode}`
  return {
    outcome: ending(
      {
        kind: 'failed',
        code: exitCode === null ? 'SIGNAL' : 'EXIT_CODE',
        message: `${pipeline.name} ${how}${last && `: ${last}`}`,
      },
      exit,
    ),
    retryClass: exitCode ?? 'signal',
  }
}

// Programs say what went wrong in their last line; more of it is in the job's stderr file.
const LAST_LINE_MAX = 500

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim().slice(0, LAST_LINE_MAX) ?? ''
}
