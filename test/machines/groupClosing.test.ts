import { describe, expect, test } from 'vitest'
import type { GatherMessage } from '../../machines/domain/messages.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { gatherJobInput } from '../../machines/gatherJob.ts'
import { hasMembersFor, isNews, reasonToRefuse } from '../../machines/groupClosing.ts'
import type { GatherContext, Member } from '../../machines/groupMembers.ts'
import { resultOfMembers } from '../../machines/groupResult.ts'
import { aCaller, aConfiguration, aPipeline } from '../harness.ts'
import { outcome } from './endings.ts'

/* Whether a group is closed, and what combines it; that it is closed then is tested with the machine. */

const data = (obsid: string, detector: number | null = 1) => ({ instrument: 'LATISS', obsid, group: 'G', detector })
const member = (obsid: string, how: 'succeeded' | 'failed' = 'succeeded'): Member => ({
  identity: `${obsid}/1`,
  jobId: `job-${obsid}`,
  dataId: data(obsid),
  pipeline: 'quicklook',
  output: { outcome: outcome(how), metrics: [{ metric: 'fwhm', value: 1, unit: '' }], datasets: [] },
})
const named: Member = { ...member('N1'), jobId: null, pipeline: null, output: null }
const open: GatherContext = {
  instance: 'LATISS',
  group: 'G',
  stem: 'stem',
  configuration: aConfiguration(),
  expected: null,
  deadlineMs: null,
  policy: 'partial',
  patienceMs: 1_000,
  pipeline: 'stack',
  options: { overrides: { threshold: 5 }, configFile: 'deep.yaml', version: 'w1', timeLimitMs: null },
  members: [member('E1'), member('E2', 'failed')],
  unsettled: 0,
  late: 0,
  revision: 3,
  closedBy: 'command',
  answerTo: null,
  gatherJob: null,
  missing: [],
  result: null,
}
const gathered = { ...open, result: resultOfMembers(open) }
const close = {
  type: 'group.close',
  caller: aCaller('m1'),
  answerTo: null,
  pipeline: null,
  policy: null,
  patienceMs: null,
  options: null,
  configuration: open.configuration,
} satisfies GatherMessage

describe('a closing command', () => {
  test('over a detector needs a member of it, or names exposures', () => {
    expect(hasMembersFor(open, close)).toBe(true)
    expect(hasMembersFor(open, { ...close, detector: 1 })).toBe(true)
    expect(hasMembersFor(open, { ...close, detector: 2 })).toBe(false)
    expect(hasMembersFor(open, { ...close, detector: 2, members: [data('E9', 2)] })).toBe(true)
    expect(reasonToRefuse(open, { ...close, detector: 2 })).toMatchObject({ code: 'UNKNOWN_GROUP' })
  })

  test('that asks for nothing else than the result has is refused', () => {
    expect(isNews(gathered, close)).toBe(false)
    expect(isNews(gathered, { ...close, pipeline: 'stack', policy: 'partial', members: [data('E1')] })).toBe(false)
    expect(reasonToRefuse(gathered, close)).toMatchObject({
      code: 'GROUP_CLOSED',
      reason: expect.stringContaining('revision 3') as unknown,
    })
  })

  test.each<[string, GatherContext, Partial<Extract<GatherMessage, { type: 'group.close' }>>]>([
    ['another pipeline', gathered, { pipeline: 'other' }],
    ['another policy of a group that is not complete', gathered, { policy: 'fail' }],
    ['another detector', gathered, { detector: 1 }],
    ['an exposure it does not know', gathered, { members: [data('E9')] }],
    ['nothing else, when somebody came late', { ...gathered, late: 1 }, {}],
    ['nothing else, when the gather job failed', withGather('failed'), {}],
  ])('is taken where it asks for %s', (_, context, asked) => {
    expect(isNews(context, { ...close, ...asked })).toBe(true)
  })

  test('is not news where the group is complete under any policy, or its gather succeeded', () => {
    const complete = { ...gathered, result: { ...gathered.result, outcome: 'complete' as const } }
    expect(isNews(complete, { ...close, policy: 'fail' })).toBe(false)
    expect(isNews(withGather('succeeded'), close)).toBe(false)
  })
})

describe('the job that combines a group', () => {
  const combining = (pipeline: Partial<Pipeline>, changes: Partial<GatherContext> = {}) =>
    gatherJobInput({
      ...open,
      configuration: aConfiguration({ pipelines: { stack: aPipeline('stack', { scope: 'group', ...pipeline }) } }),
      ...changes,
    })

  test('is over the group, before other work, with what the closing command said', () => {
    expect(combining({})).toMatchObject({
      jobId: 'stem-g3',
      commandId: '',
      dataId: { instrument: 'LATISS', obsid: null, group: 'G', detector: null },
      pipeline: { name: 'stack' },
      overrides: { threshold: 5 },
      configFile: 'deep.yaml',
      version: 'w1',
      priority: 9,
      timeLimitMs: 60_000,
      readiness: { policy: 'runNow' },
      after: [],
    })
    const short = { ...open.options, timeLimitMs: 7 }
    expect(combining({}, { options: short, detector: 1 })).toMatchObject({ timeLimitMs: 7, dataId: { detector: 1 } })
  })

  test('runs in the version of its site where the pipeline does not know the one that was asked for', () => {
    expect(combining({ versions: ['v2'] }).version).toBe('')
  })

  test('is given the members that succeeded, and exposures that were never processed by themselves', () => {
    expect(combining({}, { members: [...open.members, named] }).members).toEqual([
      {
        dataId: data('E1'),
        pipeline: 'quicklook',
        jobId: 'job-E1',
        outcome: 'succeeded',
        datasets: [],
        metrics: [{ metric: 'fwhm', value: 1, unit: '' }],
      },
      { dataId: data('N1'), pipeline: null, jobId: null, outcome: null, datasets: [], metrics: [] },
    ])
  })

  test('is of a pipeline that the configuration has', () => {
    expect(() => gatherJobInput({ ...open, pipeline: 'none' })).toThrow(/group G gathers with an unknown pipeline none/)
  })
})

function withGather(kind: 'succeeded' | 'failed'): GatherContext {
  return { ...gathered, result: { ...gathered.result, gather: outcome(kind) } }
}
