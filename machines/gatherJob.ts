import type { JobInput } from './domain/inputs.ts'
import { invariant } from './domain/invariant.ts'
import { knowsVersion } from './domain/versions.ts'
import { isCombinable, membersOf, type GatherContext, type Member } from './groupMembers.ts'
import { jobInput } from './jobInput.ts'
import type { GroupMember } from './ports.ts'

/** The job that combines a group, with the members it combines. */

// It runs before the queue's other work of the same standing: a whole group waits for it.
const GATHER_PRIORITY = 9

export function gatherJobInput(context: GatherContext): JobInput {
  const { instance, configuration, group, pipeline: name, options, stem, revision, detector = null } = context
  const pipeline = name === null ? undefined : configuration.pipelines[name]
  invariant(pipeline, `group ${group} gathers with an unknown pipeline ${name}`)
  const work = {
    ...options,
    dataId: { instrument: configuration.instrument, obsid: null, group, detector },
    pipeline: pipeline.name,
    version: knowsVersion(pipeline, options.version) ? options.version : '',
    priority: GATHER_PRIORITY,
    readiness: { policy: 'runNow' },
    timeLimitMs: options.timeLimitMs ?? pipeline.timeLimitMs,
  } as const
  const members = membersOf(context).filter(isCombinable).map(groupMember)
  return jobInput(configuration, work, { instance, jobId: `${stem}-g${revision}`, commandId: '', members })
}

function groupMember({ dataId, pipeline, jobId, output }: Member): GroupMember {
  return {
    dataId,
    pipeline,
    jobId,
    outcome: output?.outcome.kind ?? null,
    datasets: output?.datasets ?? [],
    metrics: output?.metrics ?? [],
  }
}
