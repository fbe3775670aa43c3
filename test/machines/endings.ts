import type { Outcome, OutcomeCode, OutcomeKind } from '../../machines/domain/outcome.ts'
import type { JobOutput } from '../../machines/jobContext.ts'

/** How jobs end, as others hear of it. */

const CODE: Record<OutcomeKind, OutcomeCode> = {
  succeeded: 'OK',
  failed: 'EXIT_CODE',
  timedOut: 'TIME_LIMIT',
  aborted: 'ABORTED',
  lost: 'LOST',
  skipped: 'DATA_NOT_READY',
}

export function outcome(kind: OutcomeKind): Outcome {
  return { kind, code: CODE[kind], message: `it ${kind}`, exitCode: null, signal: null, usage: null }
}

export function ended(jobId: string, how: Outcome, rest: Partial<JobOutput> = {}) {
  const output: JobOutput = { jobId, outcome: how, metrics: [], datasets: [], verdict: null, ...rest }
  return { type: 'actor.ended', address: `job.${jobId}`, end: { how: 'done', output } } as const
}

export function broke(jobId: string, context: unknown = {}) {
  return { type: 'actor.ended', address: `job.${jobId}`, end: { how: 'broken', context } } as const
}

export function neverWas(jobId: string) {
  return { type: 'actor.ended', address: `job.${jobId}`, end: { how: 'unknown' } } as const
}
