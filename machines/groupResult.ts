import { ACK, type GroupResult, type GroupState, type MemberResult } from './domain/announcements.ts'
import { invariant } from './domain/invariant.ts'
import type { End } from './domain/messages.ts'
import type { Outcome } from './domain/outcome.ts'
import type { Metric } from './domain/reports.ts'
import {
  absentOf,
  identities,
  isAwaited,
  isCombinable,
  isFailed,
  isSucceeded,
  membersOf,
  outputOf,
  type Closure,
  type GatherContext,
} from './groupMembers.ts'

/**
 * What is said of a group: whether it may be combined, and what became of it. *Complete* is said only when every member
 * that was promised is in what was combined. Everything is judged by what the closure began with, so that a member that
 * comes meanwhile changes nothing.
 */

/** Who is missing and what else there is at the moment a closure concludes. */
export function concluded(context: GatherContext): { missing: readonly string[]; closure: Closure } {
  const members = membersOf(context)
  return {
    missing: identities(members, isAwaited),
    closure: {
      failed: identities(members, isFailed),
      absent: absentOf(context),
      combined: members.filter(isCombinable).length,
      identities: identities(members, isCombinable).length,
    },
  }
}

/** Why nothing is combined, or null: by policy, or because there is nothing to combine. */
export function refusalToGather(context: GatherContext): string | null {
  const { failed, combined } = closureOf(context)
  const short = [...failed, ...context.missing]
  if (combined === 0) return ['no member succeeded', ...absence(context)].join(', and ')
  const reasons = [
    ...(short.length > 0 ? [`${short.length} of its members did not succeed (${listed(short)})`] : []),
    ...absence(context),
  ]
  return context.policy === 'partial' || reasons.length === 0
    ? null
    : `${reasons.join(' and ')} and the policy is ${context.policy}`
}

/** The gather job ended. */
export function resultOfGather(context: GatherContext, end: End): GroupResult {
  const { outcome, metrics, datasets, verdict } = outputOf(end)
  const done = outcome.kind === 'succeeded'
  const used = done ? framesUsed(context, metrics) : null
  const kind = done
    ? used === null
      ? completeness(context)
      : 'partial'
    : outcome.kind === 'aborted'
      ? 'aborted'
      : 'failed'
  const { combined, identities: of } = closureOf(context)
  const how = used === null ? `combined ${combined} members` : `used ${used} of ${of} members`
  const message = done ? withAbsence(context, `${context.pipeline} ${how}`) : outcome.message
  return { ...resultOf(context, kind, message, outcome), metrics, datasets, verdict }
}

/** No pipeline combines the group. */
export function resultOfMembers(context: GatherContext): GroupResult {
  const message = withAbsence(context, 'the members are the result: no pipeline combines them')
  return resultOf(context, completeness(context), message, null)
}

export function resultOfPolicy(context: GatherContext): GroupResult {
  const reason = refusalToGather(context)
  invariant(reason, `group ${context.group} was given up without a reason`)
  return resultOf(context, context.policy === 'skip' ? 'skipped' : 'failed', `nothing was combined: ${reason}`, null)
}

export function resultOfAbandon(context: GatherContext, reason: string): GroupResult {
  return resultOf(context, 'aborted', `the group was given up: ${reason}`, null)
}

/** The result of a group whose machine broke: its members have results of their own, combined they are not. */
export function brokenGroupResult(context: GatherContext): GroupResult {
  const now = { ...context, closure: concluded(context).closure }
  return resultOf(now, 'failed', 'OCPS broke while it handled this group; see errorCode', null)
}

/** How far a group is; `state` as its chart names it. */
export function progressOf<N extends string>(
  context: GatherContext,
  name: N,
): Omit<GroupState, 'state'> & { readonly state: N } {
  const all = context.members
  return {
    group: context.group,
    state: name,
    revision: context.revision,
    accepted: all.length,
    settled: all.length - context.unsettled,
    succeeded: all.filter(isSucceeded).length,
    failed: identities(all, isFailed),
  }
}

export function closingNote({ group, members, unsettled }: GatherContext): string {
  return `Done: group ${group} is closed with ${members.length} members, ${unsettled} of them not settled yet`
}

/** In synchronous mode: what the closing command is answered. */
export function answerOf(result: GroupResult) {
  const jobIds = result.jobId === null ? [] : [result.jobId]
  const good = result.outcome === 'complete' || result.outcome === 'partial' || result.outcome === 'skipped'
  if (good)
    return { ack: ACK.COMPLETE, error: 0, result: `Done: ${result.message}`, code: null, jobIds, timeout: 0 } as const
  return {
    ack: result.outcome === 'aborted' ? ACK.ABORTED : ACK.FAILED,
    error: 1,
    result: `Failed: ${result.message}`,
    code: 'GROUP_FAILED',
    jobIds,
    timeout: 0,
  } as const
}

/** As the closure began; a group of an older journal that is in the middle of one has only its present. */
function closureOf(context: GatherContext): Closure {
  return context.closure ?? concluded(context).closure
}

function completeness(context: GatherContext): 'complete' | 'partial' {
  const { failed, absent } = closureOf(context)
  return context.missing.length === 0 && failed.length === 0 && absent === 0 ? 'complete' : 'partial'
}

/**
 * How many frames the pipeline says it used, where these are fewer than it was given; else null. Frames are counted as
 * identities, for several pipelines may have run over one. Of a metric reported twice the last one holds.
 */
function framesUsed(context: GatherContext, metrics: readonly Metric[]): number | null {
  const used = metrics.findLast(({ metric }) => metric === 'stack.framesUsed')?.value
  return typeof used === 'number' && used < closureOf(context).identities ? used : null
}

function absence(context: GatherContext): string[] {
  const { absent } = closureOf(context)
  return absent === 0 ? [] : [`${absent} of ${context.expected} expected never came`]
}

function withAbsence(context: GatherContext, sentence: string): string {
  return [sentence, ...absence(context)].join('; ')
}

function resultOf(
  context: GatherContext,
  outcome: GroupResult['outcome'],
  message: string,
  gatherOutcome: Outcome | null,
): GroupResult {
  const { group, revision, policy, closedBy, missing, gatherJob, pipeline, detector = null } = context
  const { failed, absent } = closureOf(context)
  const members = membersOf(context).map(
    ({ identity, pipeline: of, jobId, output }): MemberResult => ({
      identity,
      pipeline: of,
      jobId,
      outcome: output?.outcome.kind ?? null,
    }),
  )
  return {
    group,
    revision,
    outcome,
    policy,
    closedBy,
    message,
    members,
    failed,
    missing,
    ...(absent > 0 && { missingCount: missing.length + absent }),
    ...(detector !== null && { detector }),
    pipeline,
    jobId: gatherJob,
    gather: gatherOutcome,
    metrics: [],
    datasets: [],
    verdict: null,
  }
}

// A sentence names the first few; the event lists them all.
const LISTED_MAX = 5

function listed(names: readonly string[]): string {
  return names.slice(0, LISTED_MAX).join(', ') + (names.length > LISTED_MAX ? ', …' : '')
}
