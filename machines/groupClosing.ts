import type { GatherMessage } from './domain/messages.ts'
import type { Refusal } from './domain/refusals.ts'
import { unknownOf, type GatherContext } from './groupMembers.ts'

/**
 * Whether a group is closed by a command, and again by a later one; and if not, why. Pure functions of what the group
 * knows.
 */

type Close = Extract<GatherMessage, { type: 'group.close' }>

/** A closure over a detector has somebody to be about. */
export function hasMembersFor({ members }: GatherContext, { detector, members: named = [] }: Close): boolean {
  return detector === undefined || named.length > 0 || members.some(({ dataId }) => dataId.detector === detector)
}

/** A group with a result is closed again for what that result has not. */
export function isNews(context: GatherContext, closing: Close): boolean {
  const { late, result } = context
  const detector = context.detector ?? null
  if (late > 0 || result === null) return late > 0
  return (
    (result.gather !== null && result.gather.kind !== 'succeeded') ||
    (closing.pipeline !== null && closing.pipeline !== result.pipeline) ||
    (closing.policy !== null && closing.policy !== result.policy && result.outcome !== 'complete') ||
    (closing.detector ?? null) !== detector ||
    unknownOf(context, closing).length > 0
  )
}

export function reasonToRefuse(context: GatherContext, closing: Close): Refusal {
  const { group, revision } = context
  if (!hasMembersFor(context, closing))
    return {
      code: 'UNKNOWN_GROUP',
      reason: `no exposure of group ${group} with detector ${closing.detector} was ever accepted here; name its exposures in members, or leave detector out`,
    }
  return {
    code: 'GROUP_CLOSED',
    reason: `group ${group} is closed already (revision ${revision}) and nothing was added since`,
  }
}
