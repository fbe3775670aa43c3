import { describe, expect, test } from 'vitest'
import { ACK, type GroupResult } from '../../machines/domain/announcements.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { GatherContext, Member } from '../../machines/groupMembers.ts'
import {
  answerOf,
  brokenGroupResult,
  closingNote,
  concluded,
  progressOf,
  refusalToGather,
  resultOfAbandon,
  resultOfGather,
  resultOfMembers,
  resultOfPolicy,
} from '../../machines/groupResult.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { aConfiguration } from '../harness.ts'
import { broke, ended, outcome } from './endings.ts'

/* What is said of a group, from what it knows; when it says so is tested with the machine. */

/** E1, E2 … in the order of their outcomes; null: not settled. */
function group(kinds: readonly (OutcomeKind | null)[], changes: Partial<GatherContext> = {}): GatherContext {
  const members = kinds.map((kind, at) => member(`E${at + 1}`, kind))
  const context: GatherContext = {
    instance: 'LATISS',
    group: 'G',
    stem: 'stem',
    configuration: aConfiguration(),
    expected: null,
    deadlineMs: null,
    policy: 'partial',
    patienceMs: 1_000,
    pipeline: 'stack',
    options: { overrides: {}, configFile: null, version: '', timeLimitMs: null },
    members,
    unsettled: kinds.filter(kind => kind === null).length,
    late: 0,
    revision: 1,
    closedBy: 'command',
    answerTo: null,
    gatherJob: 'stem-g1',
    missing: [],
    result: null,
    ...changes,
  }
  return { ...context, ...concluded(context) }
}

function member(obsid: string, kind: OutcomeKind | null, detector: number | null = null): Member {
  return {
    identity: detector === null ? obsid : `${obsid}/${detector}`,
    jobId: `job-${obsid}`,
    dataId: { instrument: 'LATISS', obsid, group: 'G', detector },
    pipeline: 'quicklook',
    output: kind && { outcome: outcome(kind), metrics: [], datasets: [] },
  }
}

const named: Member = { ...member('N1', null), jobId: null, pipeline: null }
const gathered = (rest: Partial<JobOutput> = {}) => ended('stem-g1', outcome('succeeded'), rest).end
const framesUsed = (value: number | null) => ({ metrics: [{ metric: 'stack.framesUsed', value, unit: '' }] })

describe('the result of a group', () => {
  test('is complete only when every member that was promised is combined', () => {
    expect(resultOfGather(group(['succeeded', 'succeeded'], { expected: 2 }), gathered())).toMatchObject({
      outcome: 'complete',
      message: 'stack combined 2 members',
      failed: [],
      missing: [],
      jobId: 'stem-g1',
      gather: { kind: 'succeeded' },
    })
  })

  test.each<[string, GatherContext, Partial<GroupResult>]>([
    ['failed', group(['succeeded', 'failed']), { failed: ['E2'], missing: [] }],
    ['has not settled', group(['succeeded', null]), { failed: [], missing: ['E2'] }],
    ['never came', group(['succeeded'], { expected: 3 }), { failed: [], missing: [], missingCount: 2 }],
  ])('is partial where a member %s, and names it', (_, context, expected) => {
    expect(resultOfGather(context, gathered())).toMatchObject({ outcome: 'partial', ...expected })
    expect(resultOfMembers(context)).toMatchObject({ outcome: 'partial', ...expected })
  })

  test('says missingCount only where nobody knows who is missing, with the known ones in it', () => {
    expect(resultOfMembers(group(['succeeded', null]))).not.toHaveProperty('missingCount')
    expect(resultOfMembers(group(['succeeded', null], { expected: 4 }))).toMatchObject({
      missing: ['E2'],
      missingCount: 3,
      message: 'the members are the result: no pipeline combines them; 2 of 4 expected never came',
    })
  })

  test('is partial where the pipeline says that it used fewer frames than it was given, by its last word', () => {
    const two = group(['succeeded', 'succeeded'])
    expect(resultOfGather(two, gathered(framesUsed(1)))).toMatchObject({
      outcome: 'partial',
      message: 'stack used 1 of 2 members',
    })
    for (const used of [2, null])
      expect(resultOfGather(two, gathered(framesUsed(used)))).toMatchObject({ outcome: 'complete' })
    const twice = { metrics: [...framesUsed(1).metrics, ...framesUsed(2).metrics] }
    expect(resultOfGather(two, gathered(twice))).toMatchObject({ outcome: 'complete' })
  })

  test('counts frames by identity, for several pipelines may have run over one', () => {
    const both = [member('E1', 'succeeded'), { ...member('E1', 'succeeded'), pipeline: 'detect', jobId: 'other' }]
    expect(resultOfGather(group([], { members: both }), gathered(framesUsed(1)))).toMatchObject({
      outcome: 'complete',
      message: 'stack combined 2 members',
    })
  })

  test('carries what the gather job made, and its failure', () => {
    const made = { metrics: [{ metric: 'depth', value: 24, unit: 'mag' }], datasets: [], verdict: 'good' }
    expect(resultOfGather(group(['succeeded']), gathered(made))).toMatchObject(made)
    const failed = ended('stem-g1', outcome('failed')).end
    expect(resultOfGather(group(['succeeded']), failed)).toMatchObject({ outcome: 'failed', message: 'it failed' })
    const aborted = ended('stem-g1', outcome('aborted')).end
    expect(resultOfGather(group(['succeeded']), aborted)).toMatchObject({ outcome: 'aborted' })
    expect(resultOfGather(group(['succeeded']), broke('stem-g1').end)).toMatchObject({
      outcome: 'failed',
      gather: { code: 'INTERNAL' },
    })
  })

  test('is about one detector where the closure is', () => {
    const members = [member('E1', 'succeeded', 1), member('E1', 'failed', 2)]
    expect(resultOfGather(group([], { members, detector: 1 }), gathered())).toMatchObject({
      outcome: 'complete',
      detector: 1,
      members: [{ identity: 'E1/1', outcome: 'succeeded' }],
    })
  })

  test('keeps what the closure began with when a member comes while it gathers', () => {
    const closed = group(['succeeded', 'succeeded'])
    const later = { ...closed, members: [...closed.members, member('E3', 'failed')] }
    expect(resultOfGather(later, gathered())).toMatchObject({ outcome: 'complete', failed: [] })
  })

  test('of a group that was given up or broke combines nothing', () => {
    const one = group(['succeeded'])
    expect(resultOfAbandon(one, 'STANDBY')).toMatchObject({
      outcome: 'aborted',
      message: 'the group was given up: STANDBY',
      gather: null,
    })
    expect(brokenGroupResult(one)).toMatchObject({ outcome: 'failed', metrics: [], datasets: [] })
    expect(brokenGroupResult(group(['failed', null]))).toMatchObject({ failed: ['E1'] })
  })
})

describe('whether a group is combined', () => {
  test('is asked of the policy where somebody is short', () => {
    const short = (policy: GatherContext['policy']) => group(['succeeded', 'failed', null], { policy, expected: 4 })
    expect(refusalToGather(short('partial'))).toBeNull()
    for (const policy of ['skip', 'fail'] as const)
      expect(refusalToGather(short(policy))).toBe(
        `2 of its members did not succeed (E2, E3) and 1 of 4 expected never came and the policy is ${policy}`,
      )
    expect(refusalToGather(group(['succeeded'], { policy: 'fail' }))).toBeNull()
    expect(resultOfPolicy(short('skip'))).toMatchObject({ outcome: 'skipped' })
    expect(resultOfPolicy(short('fail'))).toMatchObject({ outcome: 'failed' })
  })

  test('is refused under every policy where there is nothing to combine; exposures that were only named can be', () => {
    expect(refusalToGather(group(['failed']))).toBe('no member succeeded')
    expect(refusalToGather(group([], { expected: 2 }))).toBe('no member succeeded, and 2 of 2 expected never came')
    expect(refusalToGather(group([], { members: [named] }))).toBeNull()
    expect(() => resultOfPolicy(group(['succeeded']))).toThrow(/without a reason/)
  })

  test('a sentence names the first five who are short', () => {
    const many = group(
      Array.from({ length: 7 }, () => 'failed' as const),
      { policy: 'fail' },
    )
    const all = { ...many, members: [...many.members, member('E8', 'succeeded')] }
    expect(refusalToGather({ ...all, ...concluded(all) })).toMatch(/^7 of its .*\(E1, E2, E3, E4, E5, …\)/)
  })
})

test('how far a group is counts settled and succeeded members, and names the failed ones once', () => {
  const twice = [member('E1', 'failed'), { ...member('E1', 'failed'), pipeline: 'detect' }, member('E2', 'succeeded')]
  expect(progressOf(group([], { members: twice, unsettled: 0, revision: 2 }), 'closing')).toEqual({
    group: 'G',
    state: 'closing',
    revision: 2,
    accepted: 3,
    settled: 3,
    succeeded: 1,
    failed: ['E1'],
  })
  expect(progressOf(group(['succeeded', null]), 'open')).toMatchObject({ accepted: 2, settled: 1 })
  expect(closingNote(group(['succeeded', null]))).toBe(
    'Done: group G is closed with 2 members, 1 of them not settled yet',
  )
})

test.each<[GroupResult['outcome'], number, 0 | 1]>([
  ['complete', ACK.COMPLETE, 0],
  ['partial', ACK.COMPLETE, 0],
  ['skipped', ACK.COMPLETE, 0],
  ['failed', ACK.FAILED, 1],
  ['aborted', ACK.ABORTED, 1],
])('a closing command whose group is %s is answered %i', (kind, ack, error) => {
  const result = { ...resultOfMembers(group(['succeeded'])), outcome: kind, message: 'so it is' }
  expect(answerOf(result)).toMatchObject({
    ack,
    error,
    result: error === 0 ? 'Done: so it is' : 'Failed: so it is',
    code: error === 0 ? null : 'GROUP_FAILED',
    jobIds: ['stem-g1'],
  })
  expect(answerOf({ ...result, jobId: null }).jobIds).toEqual([])
})
