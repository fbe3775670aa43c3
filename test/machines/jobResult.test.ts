import { describe, expect, test } from 'vitest'
import { directoryOf, kept, result, shelfItem, type Exited, type Telling, byItself } from '../../machines/jobResult.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import { aPipeline, NIGHTFALL, USAGE } from '../harness.ts'

/* What a job says of itself, from what it knows; when it says so is tested with the machine. */

const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: null }
const pipeline = aPipeline('quicklook')
const asked = {
  instance: 'LATISS',
  jobId: 'j1',
  commandId: 'm1',
  dataId,
  dataPath: '/data/{obsid}.fits',
  pipeline,
  overrides: { threshold: 5 },
  configFile: 'deep.yaml',
  version: 'w_2026_46',
  priority: 2,
  fallbacks: [],
  retryOf: null,
  after: [],
  readiness: { policy: 'waitFor', waitMs: 5_000 },
  timeLimitMs: 60_000,
  members: null,
  askedBy: 'maintel',
} as const
const failed = { kind: 'failed', code: 'EXIT_CODE', message: 'no', exitCode: 1, signal: null, usage: USAGE } as const
const settled: JobContext = {
  jobId: 'j1',
  dataId,
  pipeline,
  asked,
  awaited: [],
  attempt: 2,
  tries: 2,
  fellBackFrom: [],
  reportsHeard: 3,
  metrics: [],
  datasets: [],
  verdict: null,
  outcome: failed,
  retryClass: null,
  times: { accepted: NIGHTFALL, queued: NIGHTFALL, started: NIGHTFALL + 1, settled: NIGHTFALL + 2 },
}

describe('a result', () => {
  test('says what was asked for, by whom, and where the outputs are', () => {
    expect(result(settled)).toMatchObject({
      jobId: 'j1',
      commandId: 'm1',
      askedBy: 'maintel',
      overrides: { threshold: 5 },
      configFile: 'deep.yaml',
      version: 'w_2026_46',
      directory: 'j1',
      outcome: failed,
    })
  })

  test('of a job nothing of which ever ran names no directory; one from a journal of old names nobody', () => {
    const { askedBy: _, ...old } = asked
    const never = { ...settled, asked: old, times: { ...settled.times, started: null } }
    expect(result(never)).toMatchObject({ askedBy: null, directory: null })
  })

  test('names a directory that no job id can lead out of the work directory', () => {
    expect(directoryOf({ ...settled, jobId: '../x' })).toBe('=2E=2E=2Fx')
  })
})

test('the shelf keeps what it takes to run a job again as it was', () => {
  expect(shelfItem(settled)).toEqual({
    jobId: 'j1',
    retryOf: null,
    at: NIGHTFALL,
    dataId,
    pipeline: 'quicklook',
    overrides: { threshold: 5 },
    configFile: 'deep.yaml',
    version: 'w_2026_46',
    priority: 2,
    timeLimitMs: 60_000,
    readiness: { policy: 'waitFor', waitMs: 5_000 },
    outcome: 'failed',
  })
  expect(shelfItem({ ...settled, outcome: { ...failed, kind: 'succeeded' } })).toBeNull()
  expect(shelfItem({ ...settled, asked: { ...asked, members: [] } })).toBeNull()
})

test('a metric that is reported again replaces itself in its place; beyond a thousand no new one is kept', () => {
  const metric = (name: string, value: number): Telling => ({
    type: 'executor.metric',
    jobId: 'j1',
    attempt: 2,
    metric: name,
    value,
    unit: '',
  })
  const two = { ...settled, ...kept({ ...settled, ...kept(settled, metric('a', 1)) }, metric('b', 2)) }
  expect(kept(two, metric('a', 3)).metrics).toMatchObject([
    { metric: 'a', value: 3 },
    { metric: 'b', value: 2 },
  ])
  const full = {
    ...settled,
    metrics: Array.from({ length: 1_000 }, (_, at) => ({ metric: `m${at}`, value: 0, unit: '' })),
  }
  expect(kept(full, metric('new', 1)).metrics).toHaveLength(1_000)
  expect(kept(full, metric('m7', 1)).metrics?.[7]).toMatchObject({ value: 1 })
})

test.each([
  [{ exitCode: 0, signal: null }, 'succeeded', 'OK', null, 'quicklook succeeded'],
  [{ exitCode: 7, signal: null }, 'failed', 'EXIT_CODE', 7, 'quicklook failed with exit code 7: the dome is closed'],
  [
    { exitCode: null, signal: 'SIGSEGV' },
    'failed',
    'SIGNAL',
    'signal',
    'quicklook was ended by SIGSEGV: the dome is closed',
  ],
])('a process that ended by itself with %j has %s', (how, kind, code, retryClass, message) => {
  const exited: Exited = {
    type: 'executor.exited',
    jobId: 'j1',
    attempt: 2,
    ...how,
    usage: USAGE,
    stderrTail: 'opening\nthe dome is closed\n\n',
  }
  expect(byItself(settled, exited)).toMatchObject({ outcome: { kind, code, message, usage: USAGE }, retryClass })
})
