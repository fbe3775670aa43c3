import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { Group, Member } from './groupBook.ts'

/*
 * What "complete", "short" and "late" mean for a group, in one place: the words its policy and its result hang on.
 */

type EndOf = (jobId: string) => OutcomeKind | undefined

/**
 * The newest job of an identity and pipeline stands for it, and a retry for the job it retries, whatever its pipeline;
 * in the place of the first.
 */
export function withNewest(members: readonly Member[], newest: Member): Member[] {
  const isReplaced = ({ identity, pipeline, first }: Member) =>
    identity === newest.identity && (pipeline === newest.pipeline || first === newest.first)
  const at = members.findIndex(isReplaced)
  const others = members.filter(one => !isReplaced(one))
  return others.toSpliced(at === -1 ? others.length : at, 0, newest)
}

export function exposuresOf({ members }: Pick<Group, 'members'>): Set<string | null> {
  return new Set(members.map(({ dataId }) => dataId.obsid))
}

/**
 * Not everything that was promised is in: somebody who was accepted did not succeed, or an expected exposure never
 * came.
 */
export function isShortOf(group: Pick<Group, 'members' | 'expected'>, endOf: EndOf): boolean {
  return (
    exposuresOf(group).size < (group.expected ?? 0) || group.members.some(({ jobId }) => endOf(jobId) !== 'succeeded')
  )
}

/** Whether a member accepted in this state comes after the closure at hand has begun to combine. */
export function isLateNow(state: string): boolean {
  return state === 'gathering' || state === 'gathered' || state === 'abandoned'
}

/** Who was missing and has succeeded since is late, too; who has failed since changes nothing. */
export function isLateEnd(end: OutcomeKind | undefined): boolean {
  return end === 'succeeded'
}
