// What one machine's tests take of its chart is counted together: they are one test file in parts.
import './gatherPromise.ts'
import './gatherLate.ts'
import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import { transitionsNotTaken, type Given } from '../harness.ts'
import { broke, ended, outcome } from './endings.ts'
import { tableProblems } from './table.ts'
import {
  G1,
  acks,
  bad,
  close,
  finishes,
  gathered,
  good,
  group,
  jobsOf,
  member,
  resultsOf,
  stacking,
  two,
} from './gatherGiven.ts'

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

describe('gather: chart and comment', () => {
  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('gather')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('gather')).toEqual([])
  })
})

function statesOf({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'groupState' ? [one.body] : []))
}
