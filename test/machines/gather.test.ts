import { describe, expect, test } from 'vitest'
import { ACK, type GroupResult } from '../../machines/domain/announcements.ts'
import type { GroupRules } from '../../machines/domain/groupRules.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { GatherMessage } from '../../machines/domain/messages.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { aCaller, aConfiguration, createNight, given, transitionsNotTaken, type Given } from '../harness.ts'
import { broke, ended, outcome } from './endings.ts'
import { tableProblems } from './table.ts'

const caller = aCaller('m1')
const NO_RULES: GroupRules = { expected: null, deadlineMs: null, policy: null, patienceMs: null, pipeline: null }

const group = (rules: Partial<GroupRules> | null = null, groups: Partial<Configuration['groups']> = {}) => {
  const configuration = aConfiguration()
  return given('gather', {
    instance: 'LATISS',
    group: 'G#1',
    stem: '20261122-000004',
    rules: rules && { ...NO_RULES, ...rules },
    configuration: { ...configuration, groups: { ...configuration.groups, ...groups } },
  })
}

const dataIdOf = (obsid: string, detector: number | null = null) => ({
  instrument: 'LATISS',
  obsid,
  group: 'G#1',
  detector,
})
const member = (
  jobId: string,
  obsid: string,
  detector: number | null = null,
  rules: Partial<GroupRules> | null = null,
) =>
  ({
    type: 'member.accepted',
    jobId,
    dataId: dataIdOf(obsid, detector),
    pipeline: 'quicklook',
    rules: rules && { ...NO_RULES, ...rules },
    configuration: aConfiguration(),
  }) as const
const good = (jobId: string, rest: Partial<JobOutput> = {}) => ended(jobId, outcome('succeeded'), rest)
const bad = (jobId: string) => ended(jobId, outcome('failed'))
const close = (changes: Partial<Extract<GatherMessage, { type: 'group.close' }>> = {}) =>
  ({
    type: 'group.close',
    caller,
    answerTo: null,
    pipeline: null,
    policy: null,
    patienceMs: null,
    options: null,
    configuration: aConfiguration(),
    ...changes,
  }) as const
const abandon = { type: 'group.abandon', reason: 'the CSC went to STANDBY' } as const
const G1 = '20261122-000004-g1'

const two = group().when(member('a', 'E1'), member('b', 'E2'))
const stacking = two.when(good('a'), good('b'), close({ pipeline: 'stack' }))
const gathered = stacking.when(good(G1))

describe('gather: closing', () => {
  test('members are taken, watched and counted while the group is open', () => {
    expect(two.state).toBe('open')
    expect(two.emissions).toContainEqual({ type: 'watch', address: 'job.b' })
    expect(statesOf(two).at(-1)).toMatchObject({ state: 'open', accepted: 2, settled: 0 })
    expect(statesOf(two.when(good('a'), bad('b'))).at(-1)).toMatchObject({ settled: 2, succeeded: 1, failed: ['E2'] })
  })

  test('a group that is told to close waits for its last member, and says who is in it', () => {
    const closing = two.when(good('a'), close({ pipeline: 'stack' }))
    expect(closing).toMatchObject({ state: 'closing', timers: { patience: 300_000 } })
    expect(acks(closing)).toMatchObject([
      { ack: ACK.COMPLETE, result: 'Done: group G#1 is closed with 2 members, 1 of them not settled yet' },
    ])
    expect(closing.when(good('b')).state).toBe('gathering')
  })

  test('a group expecting two exposures closes with the second', () => {
    const one = group({ expected: 2, pipeline: 'stack' }).when(member('a', 'E1'))
    expect(one.state).toBe('open')
    const closing = one.when(member('b', 'E2'))
    expect(closing.state).toBe('closing')
    const result = closing.when(good('a'), good('b'), good(G1))
    expect(resultsOf(result)).toMatchObject([{ outcome: 'complete', closedBy: 'expected' }])
  })

  test('two detectors of one exposure are one exposure', () => {
    const one = group({ expected: 2 }).when(member('a', 'E1', 0), member('b', 'E1', 1))
    expect(one.state).toBe('open')
    expect(one.when(member('c', 'E2', 0)).state).toBe('closing')
  })

  test('the same exposure sent again is not a second one', () => {
    expect(group({ expected: 2 }).when(member('a', 'E1'), member('b', 'E1')).state).toBe('open')
  })

  test('how many are expected may be said with any member, the last one included', () => {
    const late = group().when(member('a', 'E1'), member('b', 'E2', null, { expected: 2 }))
    expect(late.state).toBe('closing')
  })

  test('every detector of the last expected exposure is awaited', () => {
    const closing = group({ expected: 1 }).when(member('a', 'E1', 0), member('b', 'E1', 1))
    expect(closing.when(good('a')).state).toBe('closing')
    expect(closing.when(good('a'), good('b')).state).toBe('gathered')
  })

  test('a group closes at its deadline with the members it has', () => {
    const open = group({ deadlineMs: 90_000 }).when(member('a', 'E1'))
    expect(open.timers).toEqual({ deadline: 90_000 })
    const closing = open.after('deadline')
    expect(closing.state).toBe('closing')
    expect(resultsOf(closing.when(good('a')))).toMatchObject([{ closedBy: 'deadline', outcome: 'complete' }])
    expect(resultsOf(closing.when(good('a')))[0]).not.toHaveProperty('missingCount')
  })

  test('a group told to close twice refuses the second time', () => {
    for (const again of [two.when(close()), stacking, gathered, two.when(bad('a'), bad('b'), close())]) {
      const refused = again.when(close())
      expect(refused.state).toBe(again.state)
      expect(acks(refused)).toMatchObject([{ ack: ACK.FAILED, code: 'GROUP_CLOSED' }])
    }
  })

  test('a member accepted while the group waits is awaited, too', () => {
    const closing = two.when(close(), member('c', 'E3'), good('a'), good('b'))
    expect(closing.state).toBe('closing')
    expect(closing.when(good('c')).state).toBe('gathered')
  })

  test('of one identity the newest job counts, and the older one is not awaited', () => {
    const again = two.when(member('a2', 'E1'), close(), bad('a'))
    expect(again.state).toBe('closing')
    const done = again.when(good('b'), good('a2'))
    expect(resultsOf(done)).toMatchObject([
      {
        outcome: 'complete',
        failed: [],
        members: [
          { identity: 'E1', jobId: 'a2' },
          { identity: 'E2', jobId: 'b' },
        ],
      },
    ])
  })

  test('an identity that has settled and is sent again is awaited again', () => {
    const again = two.when(bad('a'), good('b'), member('a2', 'E1'), close())
    expect(again.state).toBe('closing')
    expect(resultsOf(again.when(good('a2')))).toMatchObject([{ outcome: 'complete' }])
  })

  test('one exposure processed by two pipelines is two members of one identity', () => {
    const both = group().when(member('a', 'E1'), { ...member('b', 'E1'), pipeline: 'detect' }, close(), good('a'))
    expect(both.state).toBe('closing')
    expect(resultsOf(both.when(bad('b')))).toMatchObject([{ outcome: 'partial', failed: ['E1'] }])
  })
})

describe('gather: what becomes of it', () => {
  test('without a pipeline the members are the result', () => {
    const done = two.when(good('a'), good('b'), close())
    expect(done.state).toBe('gathered')
    expect(resultsOf(done)).toMatchObject([
      { revision: 1, outcome: 'complete', jobId: null, gather: null, pipeline: null },
    ])
  })

  test('with a pipeline one job combines those that succeeded, before other work, once', () => {
    expect(stacking.state).toBe('gathering')
    expect(jobsOf(stacking)).toMatchObject([
      {
        jobId: G1,
        commandId: '',
        pipeline: { name: 'stack' },
        dataId: { instrument: 'LATISS', obsid: null, group: 'G#1', detector: null },
        priority: 9,
        timeLimitMs: 60_000,
        members: [{ jobId: 'a', outcome: 'succeeded' }, { jobId: 'b' }],
      },
    ])
    expect(stacking.emissions).toContainEqual({ type: 'watch', address: `job.${G1}` })
    expect(stacking.emissions).toContainEqual({
      type: 'tell',
      to: 'queue',
      message: { type: 'job.opened', jobId: G1 },
    })
  })

  test('the gather job sees the datasets and metrics of its members', () => {
    const datasets = [{ dataset: 'preview', path: 'p.png', mime: 'image/png' }]
    const metrics = [{ metric: 'psf', value: 1.2, unit: 'arcsec' }]
    const now = group({ pipeline: 'stack' }).when(member('a', 'E1'), good('a', { datasets, metrics }), close())
    expect(jobsOf(now)).toMatchObject([{ members: [{ datasets, metrics }] }])
  })

  test('what the closing command says about the gather job reaches it', () => {
    const options = { overrides: { snr: 5 }, configFile: 'f.yaml', version: 'w_1', timeLimitMs: 500 }
    expect(jobsOf(two.when(good('a'), good('b'), close({ pipeline: 'stack', options })))).toMatchObject([options])
  })

  test('the result holds what the gather job found', () => {
    const metrics = [{ metric: 'depth', value: 24, unit: 'mag' }]
    expect(resultsOf(stacking.when(good(G1, { metrics, verdict: 'good' })))).toMatchObject([
      { outcome: 'complete', jobId: G1, pipeline: 'stack', gather: { kind: 'succeeded' }, metrics, verdict: 'good' },
    ])
    expect(gathered.state).toBe('gathered')
  })

  test.each([
    [bad(G1), 'failed'],
    [ended(G1, outcome('timedOut')), 'failed'],
    [ended(G1, outcome('aborted')), 'aborted'],
    [broke(G1), 'failed'],
  ] as const)('a gather job that ended so (%#) gives a group that is %s by it', (end, kind) => {
    expect(resultsOf(stacking.when(end))).toMatchObject([{ outcome: kind, jobId: G1 }])
  })

  test.each(['partial', 'skip', 'fail'] as const)('with a failed member the policy %s decides', policy => {
    const now = group({ pipeline: 'stack', policy }).when(
      member('a', 'E1'),
      member('b', 'E2'),
      good('a'),
      bad('b'),
      close(),
    )
    if (policy === 'partial') {
      expect(jobsOf(now)).toMatchObject([{ members: [{ jobId: 'a' }] }])
      expect(resultsOf(now.when(good(G1)))).toMatchObject([{ outcome: 'partial', failed: ['E2'] }])
      return
    }
    expect(now.state).toBe('abandoned')
    expect(jobsOf(now)).toEqual([])
    expect(resultsOf(now)).toMatchObject([
      { outcome: policy === 'skip' ? 'skipped' : 'failed', failed: ['E2'], jobId: null },
    ])
    expect(resultsOf(now)[0]?.message).toContain('E2')
  })

  test('without a pipeline a failed member makes the group partial, or decides by policy', () => {
    expect(resultsOf(two.when(good('a'), bad('b'), close()))).toMatchObject([{ outcome: 'partial', failed: ['E2'] }])
    expect(resultsOf(two.when(good('a'), bad('b'), close({ policy: 'fail' })))).toMatchObject([{ outcome: 'failed' }])
  })

  test('a member whose machine broke is a failed member', () => {
    expect(resultsOf(two.when(good('a'), broke('b'), close()))).toMatchObject([{ outcome: 'partial', failed: ['E2'] }])
  })

  test('where no member succeeded nothing is combined, whatever the policy', () => {
    const none = two.when(bad('a'), bad('b'), close({ pipeline: 'stack' }))
    expect(none.state).toBe('abandoned')
    expect(resultsOf(none)).toMatchObject([{ outcome: 'failed', message: 'nothing was combined: no member succeeded' }])
  })

  test('when patience ends the group goes on without those who are missing, and names them', () => {
    const waited = two.when(good('a'), close({ pipeline: 'stack', patienceMs: 5_000 }))
    expect(waited.timers).toEqual({ patience: 5_000 })
    const without = waited.after('patience')
    expect(jobsOf(without)).toMatchObject([{ members: [{ jobId: 'a' }] }])
    expect(resultsOf(without.when(good('b'), good(G1)))).toMatchObject([
      { outcome: 'partial', missing: ['E2'], members: [{}, { identity: 'E2', outcome: 'succeeded' }] },
    ])
    expect(resultsOf(two.when(good('a'), close({ policy: 'fail' })).after('patience'))).toMatchObject([
      { outcome: 'failed', missing: ['E2'] },
    ])
  })

  test('many members that did not succeed are named up to five, then dotted', () => {
    const names = ['E1', 'E2', 'E3', 'E4', 'E5', 'E6']
    const all = group({ policy: 'fail' }).when(...names.map(name => member(name, name)), member('x', 'EX'))
    const [result] = resultsOf(all.when(...names.map(bad), good('x'), close()))
    expect(result?.message).toContain('(E1, E2, E3, E4, E5, …)')
    expect(result?.failed).toEqual(names)
  })

  test.each([
    [two.when(good('a'), good('b')), ACK.COMPLETE, 0, null],
    [two.when(bad('a'), bad('b')), ACK.FAILED, 1, 'GROUP_FAILED'],
  ] as const)('in synchronous mode the closing command is answered at the end (%#)', (settled, ack, error, code) => {
    const done = settled.when(close({ answerTo: 'reply.m1' }))
    expect(acks(done)).toEqual([])
    expect(finishes(done)).toMatchObject([{ ack, error, code }])
  })

  test('in synchronous mode a second close is refused by its own reply', () => {
    expect(finishes(gathered.when(close({ answerTo: 'reply.m2' })))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  test('a finished group is forgotten after a while', () => {
    expect(gathered.timers).toEqual({ linger: 3_600_000 })
    expect(gathered.after('linger')).toMatchObject({ state: 'forgotten', emissions: [] })
    expect(two.when(bad('a'), bad('b'), close()).after('linger').state).toBe('forgotten')
  })
})

describe('gather: what was promised', () => {
  const promised = (policy: GroupRules['policy'], pipeline: string | null = 'stack') =>
    group({ expected: 4, deadlineMs: 9_000, policy, pipeline }).when(member('a', 'E1'), good('a')).after('deadline')

  test('one of four expected is partial, and the result says how many never came', () => {
    expect(resultsOf(promised('partial').when(good(G1)))).toMatchObject([
      {
        outcome: 'partial',
        closedBy: 'deadline',
        missing: [],
        missingCount: 3,
        message: 'stack combined 1 members; 3 of 4 expected never came',
      },
    ])
    expect(resultsOf(promised('partial', null))).toMatchObject([{ outcome: 'partial', missingCount: 3 }])
  })

  test.each([
    ['fail', 'failed'],
    ['skip', 'skipped'],
  ] as const)('one of four expected under policy %s is %s, and nothing is combined', (policy, kind) => {
    const now = promised(policy)
    expect(jobsOf(now)).toEqual([])
    expect(resultsOf(now)).toMatchObject([
      {
        outcome: kind,
        missingCount: 3,
        jobId: null,
        message: `nothing was combined: 3 of 4 expected never came and the policy is ${policy}`,
      },
    ])
  })

  test('who closes a group before all expected are in makes it no more complete', () => {
    const now = group({ expected: 3 }).when(member('a', 'E1'), member('b', 'E2'), good('a'))
    expect(resultsOf(now.when(close()).after('patience'))).toMatchObject([
      { outcome: 'partial', missing: ['E2'], missingCount: 2 },
    ])
    expect(resultsOf(two.when(good('a'), good('b'), close({ expected: 3 })))).toMatchObject([
      { outcome: 'partial', missingCount: 1 },
    ])
  })

  test('a group of which nothing came says so', () => {
    const now = group({ expected: 2 }).when(member('a', 'E1'), bad('a'), close())
    expect(resultsOf(now)).toMatchObject([
      { outcome: 'failed', message: 'nothing was combined: no member succeeded, and 1 of 2 expected never came' },
    ])
  })

  test('the exposure that was missing makes the group complete in revision 2', () => {
    const late = promised('fail').when(...['E2', 'E3', 'E4'].map(name => member(name, name)))
    expect(resultsOf(late.when(good('E2'), good('E3'), good('E4'), good('20261122-000004-g2')))).toMatchObject([
      { revision: 2, outcome: 'complete' },
    ])
  })

  test('a pipeline that says it used fewer frames makes the group partial, and the sentence says so', () => {
    const used = (value: number) => [
      { metric: 'stack.framesUsed', value: 2, unit: '' },
      { metric: 'stack.framesUsed', value, unit: '' },
    ]
    expect(resultsOf(stacking.when(good(G1, { metrics: used(1) })))).toMatchObject([
      { outcome: 'partial', message: 'stack used 1 of 2 members', failed: [], missing: [] },
    ])
    expect(resultsOf(stacking.when(good(G1, { metrics: used(2) })))).toMatchObject([
      { outcome: 'complete', message: 'stack combined 2 members' },
    ])
  })

  test('an exposure processed by two pipelines is one frame', () => {
    const both = group({ pipeline: 'stack' }).when(member('a', 'E1'), { ...member('b', 'E1'), pipeline: 'detect' })
    const metrics = [{ metric: 'stack.framesUsed', value: 1, unit: '' }]
    expect(resultsOf(both.when(good('a'), good('b'), close(), good(G1, { metrics })))).toMatchObject([
      { outcome: 'complete' },
    ])
  })

  test('a failed member that comes again while the group gathers makes this revision no more complete', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), member('b2', 'E2'), good('b2'), good(G1))
    expect(resultsOf(first)).toMatchObject([
      { revision: 1, outcome: 'partial', failed: ['E2'], message: 'stack combined 1 members' },
    ])
  })
})

describe('gather: late members', () => {
  test('a member that misses the patience and succeeds later is combined in revision 2', () => {
    const first = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good(G1))
    const second = first.when(good('b'))
    expect(jobsOf(second)).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([
      { revision: 2, outcome: 'complete', missing: [] },
    ])
  })

  test('a missing member that succeeds while the rest is combined is in the next revision', () => {
    const now = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good('b'))
    expect(now.state).toBe('gathering')
    expect(jobsOf(now.when(good(G1)))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
  })

  test('a missing member of a group given up by policy brings it back when it succeeds', () => {
    const given = two.when(good('a'), close({ policy: 'fail' })).after('patience')
    expect(given.state).toBe('abandoned')
    expect(resultsOf(given.when(good('b')))).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a missing member that fails later brings nothing to combine', () => {
    const first = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good(G1))
    const later = first.when(bad('b'))
    expect(later.state).toBe('gathered')
    expect(acks(later.when(close()))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  test('where late members are ignored a missing one that succeeded waits for a closing command', () => {
    const configuration = aConfiguration({ groups: { ...aConfiguration().groups, late: 'ignore' } })
    const first = two
      .when(good('a'), close({ pipeline: 'stack', configuration }))
      .after('patience')
      .when(good(G1))
    const later = first.when(good('b'))
    expect(later.state).toBe('gathered')
    expect(jobsOf(later.when(close({ configuration })))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
  })

  test('a retry stands for the job it retries, whatever its pipeline', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), good(G1))
    const again = { ...member('r', 'E2'), pipeline: 'detect', retryOf: 'b' }
    const third = { ...member('r2', 'E2'), pipeline: 'quicklook', retryOf: 'b' }
    const second = first.when(again, good('r'))
    expect(jobsOf(second)).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'r', pipeline: 'detect' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([{ outcome: 'complete', failed: [] }])
    expect(
      jobsOf(first.when(again, bad('r')).when(good('20261122-000004-g2'), third, good('r2'))).at(-1),
    ).toMatchObject({
      members: [{ jobId: 'a' }, { jobId: 'r2' }],
    })
  })

  test('a retry of one that is still awaited is awaited in its place, once', () => {
    const twice = two.when({ ...member('r', 'E2'), pipeline: 'detect', retryOf: 'b' }, good('a'), close())
    expect(twice.state).toBe('closing')
    expect(resultsOf(twice.when(good('r')))).toMatchObject([{ outcome: 'complete', members: [{}, { jobId: 'r' }] }])
  })

  test('a finished group is combined again by who asks for something else', () => {
    const plain = two.when(good('a'), bad('b'), close())
    expect(jobsOf(plain.when(close({ pipeline: 'stack' })))).toMatchObject([{ members: [{ jobId: 'a' }] }])
    expect(resultsOf(plain.when(close({ policy: 'fail' })))).toMatchObject([{ revision: 2, outcome: 'failed' }])
    expect(acks(gathered.when(close({ pipeline: 'stack', policy: 'fail' })))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  test('a member that comes late makes the group gather again, under revision 2', () => {
    const late = gathered.when(member('c', 'E3'))
    expect(late.state).toBe('closing')
    const second = late.when(good('c'))
    expect(jobsOf(second)).toMatchObject([{ jobId: '20261122-000004-g2', members: [{}, {}, { jobId: 'c' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a failed exposure sent again late is combined in revision 2', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), good(G1))
    expect(resultsOf(first)).toMatchObject([{ revision: 1, outcome: 'partial', failed: ['E2'] }])
    const second = first.when(member('b2', 'E2'), good('b2'), good('20261122-000004-g2'))
    expect(resultsOf(second)).toMatchObject([{ revision: 2, outcome: 'complete', failed: [] }])
  })

  test('a member accepted while the gather runs leads to one more gather after it, and is not in the first', () => {
    const late = stacking.when(member('c', 'E3'), good('c'))
    expect(late.state).toBe('gathering')
    const again = late.when(good(G1))
    expect(resultsOf(again)).toMatchObject([{ revision: 1 }])
    expect(jobsOf(again)).toMatchObject([{ jobId: '20261122-000004-g2' }])
  })

  test('a group that was given up by policy gathers when its failed member comes again', () => {
    const failed = two.when(good('a'), bad('b'), close({ policy: 'fail' }))
    expect(failed.state).toBe('abandoned')
    const again = failed.when(member('b2', 'E2'), good('b2'))
    expect(resultsOf(again)).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a late member admitted under another configuration may name a pipeline only that one has', () => {
    const { stack, ...others } = aConfiguration().pipelines
    if (!stack) throw new Error('the tests have a pipeline stack')
    const configuration = aConfiguration({ pipelines: { ...others, stack, deep: { ...stack, name: 'deep' } } })
    const late = { ...member('c', 'E3', null, { pipeline: 'deep' }), configuration }
    expect(jobsOf(gathered.when(late, good('c')))).toMatchObject([{ pipeline: { name: 'deep' } }])
  })

  test('where late members are ignored they wait for a closing command', () => {
    const ignoring = { ...aConfiguration().groups, late: 'ignore' } as const
    const configuration = aConfiguration({ groups: ignoring })
    for (const end of [good, bad]) {
      const done = two.when(end('a'), end('b'), close({ configuration }))
      const late = done.when({ ...member('c', 'E3'), configuration }, good('c'))
      expect(late).toMatchObject({ state: done.state, emissions: expect.not.arrayContaining([{ type: 'event' }]) })
      expect(resultsOf(late)).toEqual([])
      expect(resultsOf(late.when(close({ configuration })))).toMatchObject([{ revision: 2 }])
    }
  })
})

describe('gather: a group alone is a dataId', () => {
  test('exposures that were never processed are combined as they are', () => {
    const now = group().when(close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }))
    expect(jobsOf(now)).toMatchObject([
      {
        members: ['E1', 'E2'].map(obsid => ({
          dataId: { obsid },
          jobId: null,
          pipeline: null,
          outcome: null,
          datasets: [],
        })),
      },
    ])
    expect(resultsOf(now.when(good(G1)))).toMatchObject([
      { outcome: 'complete', members: [{ identity: 'E1', jobId: null, outcome: null }, { identity: 'E2' }] },
    ])
  })

  test('one that was accepted is awaited, not combined as it is', () => {
    const now = group().when(member('a', 'E1'), close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }))
    expect(now.state).toBe('closing')
    expect(jobsOf(now.when(good('a')))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: null }] }])
  })

  test('one that is processed later takes the place of what was only named', () => {
    const first = group().when(close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }), good(G1))
    expect(jobsOf(first.when(member('b', 'E1'), good('b')))).toMatchObject([
      { members: [{ jobId: 'b' }, { jobId: null }] },
    ])
  })

  test('a finished group is combined again with exposures it did not know, and not for those it did', () => {
    const named = (obsid: string) => close({ members: [dataIdOf(obsid)] })
    expect(jobsOf(gathered.when(named('E3')))).toMatchObject([{ members: [{}, {}, { dataId: { obsid: 'E3' } }] }])
    expect(acks(gathered.when(named('E2')))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  const detectors = group({ pipeline: 'stack' }).when(
    member('a0', 'E1', 0),
    member('a1', 'E1', 1),
    member('b0', 'E2', 0),
    member('b1', 'E2', 1),
  )

  test('one detector of a group awaits, combines and reports its own members alone', () => {
    const now = detectors.when(bad('a1'), good('a0'), close({ detector: 0 }))
    expect(now.state).toBe('closing')
    const gathering = now.when(good('b0'))
    expect(jobsOf(gathering)).toMatchObject([
      { dataId: { group: 'G#1', detector: 0 }, members: [{ jobId: 'a0' }, { jobId: 'b0' }] },
    ])
    expect(resultsOf(gathering.when(good(G1)))).toMatchObject([
      { detector: 0, outcome: 'complete', failed: [], missing: [], members: [{ jobId: 'a0' }, { jobId: 'b0' }] },
    ])
  })

  test('the next detector, and then the whole, are further revisions', () => {
    const first = detectors.when(good('a0'), good('b0'), close({ detector: 0 }), good(G1), good('a1'), bad('b1'))
    expect(first.state).toBe('gathered')
    const second = first.when(close({ detector: 1 }), good('20261122-000004-g2'))
    expect(resultsOf(second)).toMatchObject([{ revision: 2, detector: 1, outcome: 'partial', failed: ['E2/1'] }])
    const whole = second.when(close())
    expect(jobsOf(whole)).toMatchObject([{ dataId: { detector: null }, members: [{}, {}, {}] }])
    expect(resultsOf(whole.when(good('20261122-000004-g3')))[0]).not.toHaveProperty('detector')
  })

  test('a late member is late for its own detector', () => {
    const first = detectors.when(good('a0'), good('b0'), close({ detector: 0 }), good(G1))
    expect(first.when(member('c1', 'E3', 1)).state).toBe('gathered')
    expect(first.when(member('c0', 'E3', 0)).state).toBe('closing')
  })

  test('a detector nobody knows is refused, by its own reply in synchronous mode', () => {
    expect(acks(detectors.when(close({ detector: 7 })))).toMatchObject([
      { code: 'UNKNOWN_GROUP', result: expect.stringContaining('name its exposures in members') },
    ])
    expect(finishes(detectors.when(close({ detector: 7, answerTo: 'reply.m1' })))).toMatchObject([
      { code: 'UNKNOWN_GROUP' },
    ])
    const named = detectors.when(close({ detector: 7, members: [dataIdOf('E1', 7)] }))
    expect(jobsOf(named)).toMatchObject([{ members: [{ dataId: { obsid: 'E1', detector: 7 }, jobId: null }] }])
  })
})

describe('gather: given up', () => {
  test.each([
    ['open', two],
    ['closing', two.when(close())],
    ['gathering', stacking],
  ] as const)('a group given up while it is %s says so once, under revision 1', (_, now) => {
    const given = now.when(abandon)
    expect(given.state).toBe('abandoned')
    expect(resultsOf(given)).toMatchObject([
      { revision: 1, outcome: 'aborted', message: 'the group was given up: the CSC went to STANDBY' },
    ])
    expect(resultsOf(given.when(abandon, bad('a'), bad('b'), ended(G1, outcome('aborted'))))).toEqual([])
  })

  test('a group given up names who had not settled', () => {
    expect(resultsOf(two.when(good('a'), abandon))).toMatchObject([{ missing: ['E2'] }])
  })

  test('a group given up while it closes again says so under revision 2, without the gather job of revision 1', () => {
    const again = gathered.when(member('c', 'E3'), abandon)
    expect(resultsOf(again)).toMatchObject([{ revision: 2, outcome: 'aborted', jobId: null }])
  })

  test('in synchronous mode who waits for the group is told ABORTED', () => {
    expect(finishes(two.when(close({ answerTo: 'reply.m1' }), abandon))).toMatchObject([{ ack: ACK.ABORTED, error: 1 }])
  })

  test('late members do not bring back a group that was given up; a closing command does', () => {
    const late = two.when(bad('a'), bad('b'), abandon, member('c', 'E3'), good('c'))
    expect(late.state).toBe('abandoned')
    expect(resultsOf(late.when(close()))).toMatchObject([{ revision: 2, outcome: 'partial' }])
  })

  test('a gather pipeline the new configuration does not have gives way to the configured one', () => {
    const { stack: _stack, ...pipelines } = aConfiguration().pipelines
    const configuration = aConfiguration({ pipelines })
    const ruled = group({ pipeline: 'stack' }).when(member('a', 'E1'), good('a'))
    expect(resultsOf(ruled.when(close({ configuration })))).toMatchObject([{ outcome: 'complete', pipeline: null }])
  })
})

describe('gather: in a night', () => {
  const asked = (obsid: string, rules: object = {}) => ({
    dataId: { obsid },
    pipeline: 'quicklook',
    group: { id: 'G#1', ...rules },
  })

  test('a group is gathered by its own job when its last member has settled', async () => {
    const night = await createNight()
    await night.enable()
    const jobs = []
    for (const obsid of ['E1', 'E2'])
      jobs.push((await night.command('processData', asked(obsid, { expected: 2, pipeline: 'stack' })))?.jobIds[0] ?? '')
    const [a = '', b = ''] = jobs
    await night.succeeds(a)
    expect(night.state('gather.G=231')).toBe('closing')
    await night.started(b)
    await night.exited(b, { exitCode: 1 })
    expect(night.orders().at(-1)).toMatchObject({ type: 'executor.start', jobId: `${a}-g1`, members: [{ jobId: a }] })
    await night.succeeds(`${a}-g1`)
    expect(night.events('groupResult')).toMatchObject([{ group: 'G#1', outcome: 'partial', failed: ['E2'] }])
    expect(night.events('jobResult')).toHaveLength(3)
  })

  test('a failed member that is retried with another pipeline completes its group', async () => {
    const night = await createNight()
    await night.enable()
    const jobs = []
    for (const obsid of ['E1', 'E2'])
      jobs.push((await night.command('processData', asked(obsid, { expected: 2, pipeline: 'stack' })))?.jobIds[0] ?? '')
    const [a = '', b = ''] = jobs
    await night.succeeds(a)
    await night.started(b)
    await night.exited(b, { exitCode: 1 })
    await night.succeeds(`${a}-g1`)
    const again = (await night.command('retry', { group: 'G#1', pipeline: 'detect' }))?.jobIds[0] ?? ''
    await night.succeeds(again)
    await night.succeeds(`${a}-g2`)
    expect(night.events('groupResult')).toMatchObject([
      { revision: 1, outcome: 'partial', failed: ['E2'] },
      { revision: 2, outcome: 'complete', failed: [], members: [{ jobId: a }, { jobId: again, pipeline: 'detect' }] },
    ])
  })

  test('a group of exposures that were never processed is combined by one command', async () => {
    const night = await createNight()
    await night.enable()
    const command = { dataId: { group: 'G#1' }, pipeline: 'stack' }
    expect(await night.command('processData', command)).toMatchObject({ code: 'UNKNOWN_GROUP' })
    expect(await night.command('processData', { ...command, members: ['E1', 'E2'] })).toMatchObject({
      ack: ACK.COMPLETE,
    })
    const order = night.orders().at(-1)
    expect(order).toMatchObject({ type: 'executor.start', members: [{ dataId: { obsid: 'E1' } }, { jobId: null }] })
    await night.succeeds(order && 'jobId' in order ? order.jobId : '')
    expect(night.events('groupResult')).toMatchObject([{ group: 'G#1', outcome: 'complete' }])
    expect(await night.command('processData', { ...command, members: ['E1'] })).toMatchObject({ code: 'GROUP_CLOSED' })
  })

  test('the gather job can be aborted, and the group says so', async () => {
    const night = await createNight()
    await night.enable()
    const a = (await night.command('processData', asked('E1')))?.jobIds[0] ?? ''
    await night.succeeds(a)
    await night.command('closeGroup', { group: 'G#1', pipeline: 'stack' })
    await night.started(`${a}-g1`)
    expect(await night.command('abortJob', { jobId: `${a}-g1` })).toMatchObject({ ack: ACK.COMPLETE })
    await night.exited(`${a}-g1`, { signal: 'SIGTERM' })
    expect(night.events('groupResult')).toMatchObject([{ outcome: 'aborted', jobId: `${a}-g1` }])
  })

  test('standby gives every open group up and aborts its jobs; each says so once', async () => {
    const night = await createNight()
    await night.enable()
    const a = (await night.command('processData', asked('E1')))?.jobIds[0] ?? ''
    await night.started(a)
    await night.command('disable')
    await night.command('standby')
    await night.exited(a, { signal: 'SIGTERM' })
    expect(night.events('groupResult')).toMatchObject([{ outcome: 'aborted', revision: 1 }])
    expect(night.events('jobResult')).toMatchObject([{ jobId: a, outcome: { kind: 'aborted' } }])
  })
})

describe('gather: chart and comment', () => {
  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('gather')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('gather')).toEqual([])
  })
})

function resultsOf({ emissions }: Given<'gather'>): GroupResult[] {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'groupResult' ? [one.body] : []))
}

function statesOf({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'groupState' ? [one.body] : []))
}

function jobsOf({ emissions }: Given<'gather'>): JobInput[] {
  return emissions.flatMap(one => (one.type === 'open' && one.input.kind === 'job' ? [one.input] : []))
}

function acks({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body] : []))
}

function finishes({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one =>
    one.type === 'tell' && one.message.type === 'reply.finish' ? [one.message.body] : [],
  )
}
