import { capacityOf, type Configuration } from './domain/configuration.ts'
import type { JobInput } from './domain/inputs.ts'
import { invariant } from './domain/invariant.ts'
import type { Work } from './domain/work.ts'

/** Whose job it is, and where it belongs. */
type Origin = Pick<JobInput, 'instance' | 'jobId' | 'commandId'> &
  Partial<Pick<JobInput, 'retryOf' | 'after' | 'members' | 'askedAs' | 'askedBy'>>

/** A job as the applied configuration has it done: the work, with its pipeline and those that may stand in for it. */
export function jobInput(configuration: Configuration, work: Work, origin: Origin): JobInput {
  const { pipelines, dataPath } = configuration
  const pipeline = Object.hasOwn(pipelines, work.pipeline) ? pipelines[work.pipeline] : undefined
  invariant(pipeline, `job ${origin.jobId} of an unknown pipeline ${work.pipeline}`)
  return {
    kind: 'job',
    retryOf: null,
    after: [],
    members: null,
    ...origin,
    ...work,
    dataPath,
    pipeline,
    fallbacks: pipeline.fallback.flatMap(name => pipelines[name] ?? []),
    ...capacityOf(configuration),
  }
}
