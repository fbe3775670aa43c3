import type { GroupResult } from './domain/announcements.ts'
import type { Configuration } from './domain/configuration.ts'
import { memberIdentity, type DataId } from './domain/dataId.ts'
import type { GatherPolicy, GroupRules } from './domain/groupRules.ts'
import type { Address, End, GatherMessage } from './domain/messages.ts'
import type { Outcome } from './domain/outcome.ts'
import type { GatherOptions } from './domain/work.ts'
import type { JobOutput } from './jobContext.ts'

/**
 * Who is in a group: members by identity, which job stands for each, who is awaited and who is short. A closure may be
 * about one detector only; whatever is counted for it is counted among that detector's members.
 */
export interface GatherContext {
  readonly instance: string
  readonly group: string
  readonly stem: string
  readonly configuration: Configuration
  readonly expected: number | null
  readonly deadlineMs: number | null
  readonly policy: GatherPolicy
  readonly patienceMs: number
  readonly pipeline: string | null
  readonly options: GatherOptions
  /** One for each identity and pipeline, in the order they were accepted or named. */
  readonly members: readonly Member[]
  readonly unsettled: number
  /**
   * Members that the last closure does not have: accepted since it began to gather, or missing then and succeeded
   * since.
   */
  readonly late: number
  /** 1 for the first closure. */
  readonly revision: number
  readonly closedBy: GroupResult['closedBy']
  /** Synchronous mode: who answers the closing command. */
  readonly answerTo: Address | null
  readonly gatherJob: string | null
  /** Who was not there when the gather began; identities. */
  readonly missing: readonly string[]
  readonly result: GroupResult | null
  /** The only detector the closure is about; absent or null: all of them. */
  readonly detector?: number | null
  /** What the present closure began with; absent before the first, and in entries of older machines. */
  readonly closure?: Closure
}

/** Fixed when a closure concludes: what comes later belongs to the next one. */
export interface Closure {
  /** Identities that had ended without success. */
  readonly failed: readonly string[]
  /** Expected exposures of which nothing is known. */
  readonly absent: number
  /** Members and distinct identities that can be combined. */
  readonly combined: number
  readonly identities: number
}

export interface Member {
  readonly identity: string
  /** null for an exposure that was named, but never processed by itself; then so is the pipeline. */
  readonly jobId: string | null
  readonly dataId: DataId
  readonly pipeline: string | null
  /** null until it has settled, and for what was never processed. */
  readonly output: Pick<JobOutput, 'outcome' | 'metrics' | 'datasets'> | null
  /** The first job of its kind, where this one is a retry. */
  readonly retryOf?: string
}

type Accepted = Extract<GatherMessage, { type: 'member.accepted' }>
type Close = Extract<GatherMessage, { type: 'group.close' }>

export const isAwaited = ({ jobId, output }: Member) => jobId !== null && output === null
export const isFailed = ({ output }: Member) => output !== null && output.outcome.kind !== 'succeeded'
export const isSucceeded = ({ output }: Member) => output?.outcome.kind === 'succeeded'
/** Its data can be combined: it succeeded, or was never to be processed by itself. */
export const isCombinable = (member: Member) => member.jobId === null || isSucceeded(member)

export function rulesOf(
  rules: GroupRules | null,
  { groups }: Configuration,
): Pick<GatherContext, 'expected' | 'deadlineMs' | 'policy' | 'patienceMs' | 'pipeline'> {
  return {
    expected: rules?.expected ?? null,
    deadlineMs: rules?.deadlineMs ?? null,
    policy: rules?.policy ?? groups.policy,
    patienceMs: rules?.patienceMs ?? groups.patienceMs,
    pipeline: rules?.pipeline ?? groups.pipeline,
  }
}

/** The pipeline a group was to be combined with, unless the configuration has changed since and has it no more. */
export function stillKnown(pipeline: string | null, { pipelines, groups }: Configuration): string | null {
  return pipeline === null || Object.hasOwn(pipelines, pipeline) ? pipeline : groups.pipeline
}

/** Those the closure is about. */
export function membersOf({ members, detector = null }: GatherContext): readonly Member[] {
  return detector === null ? members : members.filter(({ dataId }) => dataId.detector === detector)
}

export function identities(members: readonly Member[], which: (member: Member) => boolean): string[] {
  return [...new Set(members.filter(which).map(({ identity }) => identity))]
}

/** Different exposures among the members, and one more. */
export function exposures(members: readonly Member[], ...another: (string | null)[]): Set<string | null> {
  return new Set([...members.map(({ dataId }) => dataId.obsid), ...another])
}

/** Expected exposures of which none of the members is. */
export function absentOf(context: GatherContext): number {
  return Math.max(0, (context.expected ?? 0) - exposures(membersOf(context)).size)
}

/**
 * The newest job of an identity and pipeline stands for it, and a retry for the job it retries, whatever its pipeline.
 */
export function withMember(context: GatherContext, accepted: Accepted): Partial<GatherContext> {
  const { jobId, dataId, pipeline, rules, configuration, retryOf } = accepted
  const identity = memberIdentity(dataId)
  const member: Member = { identity, jobId, dataId, pipeline, output: null, ...(retryOf !== undefined && { retryOf }) }
  const isReplaced = (one: Member) =>
    one.identity === identity &&
    (one.jobId === null ||
      one.pipeline === pipeline ||
      (retryOf !== undefined && (one.retryOf ?? one.jobId) === retryOf))
  const at = context.members.findIndex(isReplaced)
  const rest = (from: readonly Member[]) => from.filter(one => !isReplaced(one))
  return {
    members:
      at === -1
        ? [...context.members, member]
        : [...context.members.slice(0, at), member, ...rest(context.members.slice(at))],
    // The older ones are not awaited any more.
    unsettled: context.unsettled + 1 - context.members.filter(one => isReplaced(one) && isAwaited(one)).length,
    // Rules were admitted under the configuration of their own command; only it surely has the pipeline they name.
    configuration,
    pipeline: rules?.pipeline ?? stillKnown(context.pipeline, configuration),
    ...(rules && {
      expected: rules.expected ?? context.expected,
      policy: rules.policy ?? context.policy,
      patienceMs: rules.patienceMs ?? context.patienceMs,
    }),
  }
}

/** Exposures a closing command names of which the group has no member yet. */
export function unknownOf({ members }: GatherContext, { members: named = [], detector }: Close): Member[] {
  const known = exposures(members.filter(({ dataId }) => detector === undefined || dataId.detector === detector))
  return named
    .filter(({ obsid }) => !known.has(obsid))
    .map(dataId => ({ identity: memberIdentity(dataId), jobId: null, dataId, pipeline: null, output: null }))
}

export function withEnd(context: GatherContext, address: Address, end: End): Partial<GatherContext> {
  const jobId = address.slice('job.'.length)
  const at = context.members.findIndex(one => one.jobId === jobId)
  const member = context.members[at]
  if (!member || member.output !== null) return {}
  const { outcome, metrics, datasets } = outputOf(end)
  return {
    members: context.members.with(at, { ...member, output: { outcome, metrics, datasets } }),
    unsettled: context.unsettled - 1,
  }
}

/** A member that the closure did not wait for has succeeded: it is late, as one that was accepted later is. */
export function withLateEnd(context: GatherContext, address: Address, end: End): Partial<GatherContext> {
  const jobId = address.slice('job.'.length)
  const isLate = membersOf(context).some(one => one.jobId === jobId && isAwaited(one))
  return {
    ...withEnd(context, address, end),
    ...(isLate && outputOf(end).outcome.kind === 'succeeded' && { late: context.late + 1 }),
  }
}

export function outputOf(end: End): Pick<JobOutput, 'outcome' | 'metrics' | 'datasets' | 'verdict'> {
  if (end.how === 'done') return end.output as JobOutput
  const outcome: Outcome = {
    kind: 'failed',
    code: 'INTERNAL',
    message: 'the job broke inside OCPS; see errorCode',
    exitCode: null,
    signal: null,
    usage: null,
  }
  return { outcome, metrics: [], datasets: [], verdict: null }
}
