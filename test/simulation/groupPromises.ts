import type { GroupResult } from '../../machines/domain/announcements.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { Group } from './groupBook.ts'

/*
 * What "complete", "short" and "late" mean for a group, in one place: the words a group's policy and its result hang on.
 */

type EndOf = (jobId: string) => OutcomeKind | undefined

export function exposuresOf({ members }: Pick<Group, 'members'>): Set<string | null> {
  return new Set([...members.values()].map(({ dataId }) => dataId.obsid))
}

/** Somebody who was accepted did not succeed. */
export function isShortOf({ members }: Pick<Group, 'members'>, endOf: EndOf): boolean {
  return [...members.values()].some(({ jobId }) => endOf(jobId) !== 'succeeded')
}

/** Everything that was promised is in: whoever was accepted has succeeded. */
export function isWhole(group: Pick<Group, 'members' | 'expected'>, endOf: EndOf): boolean {
  return !isShortOf(group, endOf)
}

/** Whether a member accepted in this state comes after the closure at hand has begun to combine. */
export function isLateNow(state: string): boolean {
  return state === 'gathering' || state === 'gathered' || state === 'abandoned'
}

/** What its result may be called. A member accepted after the closure began may make it partial: it is named, and was not combined. */
export function wordsFor({ outcome, late }: Pick<Group, 'outcome' | 'late'>): GroupResult['outcome'][] {
  return outcome === 'complete' && late.size > 0 ? ['complete', 'partial'] : [outcome]
}
