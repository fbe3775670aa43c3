import { invariant } from './domain/invariant.ts'
import { fittedTo, taskOf, workOf } from './domain/work.ts'
import type { JobContext } from './jobContext.ts'
import type { StartOrder } from './ports.ts'

/**
 * What changes from one attempt of a job to the next, and what the executor is told for each. Pure functions; which
 * comes next is the job's business (job.ts).
 */

/** What is known of an attempt before anything was heard of it. */
export const NOTHING_HEARD = {
  reportsHeard: 0,
  metrics: [],
  datasets: [],
  verdict: null,
  outcome: null,
  retryClass: null,
} as const satisfies Partial<JobContext>

/** Nothing of the attempt before is left but its number. */
export function afresh({ attempt }: JobContext) {
  return { attempt: attempt + 1, ...NOTHING_HEARD }
}

/** The next pipeline in the place of the one that failed, with those of the options that it knows. */
export function withFallback({ jobId, asked, pipeline: failed, fellBackFrom }: JobContext): Partial<JobContext> {
  const [pipeline, ...fallbacks] = asked.fallbacks
  invariant(pipeline, `job ${jobId} fell back on nothing`)
  return {
    pipeline,
    asked: {
      ...fittedTo(pipeline, asked),
      first: asked.first ?? workOf(asked, 'pipeline'),
      pipeline,
      fallbacks,
      timeLimitMs: pipeline.timeLimitMs,
    },
    tries: 1,
    fellBackFrom: [...fellBackFrom, failed.name],
  }
}

/** What the executor needs for this attempt; also to take it up again after a restart. */
export function startOrder({ jobId, attempt, pipeline, asked, inputs }: JobContext): StartOrder {
  const { instance, dataPath, members, capacity } = asked
  // Digests are of the order's text, so its fields keep their places.
  const { dataId, ...task } = taskOf(asked)
  return {
    type: 'executor.start',
    jobId,
    attempt,
    instance,
    pipeline,
    dataId,
    dataPath,
    ...task,
    members,
    ...(capacity !== undefined && { capacity: pipeline.pool?.slots ?? capacity }),
    ...(inputs !== undefined && { inputs }),
  }
}
