import { describe, expect, test } from 'vitest'
import { afresh, startOrder, withFallback } from '../../machines/jobAttempt.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import { shelfItem } from '../../machines/jobResult.ts'
import { aPipeline, NIGHTFALL } from '../harness.ts'
import { outcome } from './endings.ts'

/* What changes between attempts and what the executor is told; when the next one begins is tested with the machine. */

const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: null }
const rule = { type: 'number', default: null, minimum: null, maximum: null } as const
const deep = aPipeline('deep')
const plain = aPipeline('plain', { overrides: { threshold: rule }, versions: [], timeLimitMs: 9_000 })
const plainer = aPipeline('plainer')
const job: JobContext = {
  jobId: 'j1',
  dataId,
  pipeline: deep,
  asked: {
    instance: 'LATISS',
    jobId: 'j1',
    commandId: 'm1',
    dataPath: '/data/{obsid}.fits',
    dataId,
    overrides: { threshold: 5, mode: 'fast' },
    configFile: 'deep.yaml',
    version: 'w_2026_46',
    priority: 2,
    timeLimitMs: 30_000,
    readiness: { policy: 'runNow' },
    pipeline: deep,
    fallbacks: [plain, plainer],
    retryOf: null,
    after: [],
    members: null,
  },
  awaited: [],
  attempt: 2,
  tries: 2,
  fellBackFrom: [],
  reportsHeard: 3,
  metrics: [{ metric: 'fwhm', value: 1, unit: '' }],
  datasets: [{ dataset: 'preview', path: 'a.png', mime: 'image/png' }],
  verdict: 'good',
  outcome: outcome('failed'),
  retryClass: 1,
  times: { accepted: NIGHTFALL, queued: NIGHTFALL, started: NIGHTFALL, settled: 0 },
}

test('nothing of an attempt is left in the next but its number', () => {
  expect(afresh(job)).toEqual({
    attempt: 3,
    reportsHeard: 0,
    metrics: [],
    datasets: [],
    verdict: null,
    outcome: null,
    retryClass: null,
  })
})

describe('a fallback', () => {
  const second = { ...job, ...withFallback(job) }
  const third = { ...second, ...withFallback(second) }

  test('takes over with the options it knows, in its own time, as its first try', () => {
    expect(second).toMatchObject({
      pipeline: plain,
      tries: 1,
      fellBackFrom: ['deep'],
      asked: { pipeline: plain, fallbacks: [plainer], configFile: null, version: '', timeLimitMs: 9_000, priority: 2 },
    })
    expect(second.asked.overrides).toEqual({ threshold: 5 })
  })

  test('does not change what was asked for at first, with which the shelf keeps the job', () => {
    expect(third.fellBackFrom).toEqual(['deep', 'plain'])
    const { overrides, configFile, version, timeLimitMs } = job.asked
    expect(shelfItem({ ...third, outcome: outcome('failed') })).toMatchObject({
      pipeline: 'deep',
      overrides,
      configFile,
      version,
      timeLimitMs,
    })
  })

  test('of a mark of old, which kept the options alone, is put on the shelf with them', () => {
    const first = { overrides: { mode: 'fast' }, configFile: 'deep.yaml', version: 'w1', timeLimitMs: 1 }
    const old = { ...second, outcome: outcome('failed'), asked: { ...second.asked, first } }
    expect(shelfItem(old)).toMatchObject({ ...first, dataId, pipeline: 'deep', priority: 2 })
  })

  test('is there', () => {
    expect(() => withFallback({ ...job, asked: { ...job.asked, fallbacks: [] } })).toThrow(/fell back on nothing/)
  })
})

test('a start order has the work of the job, and the fields in the order that recordings have them', () => {
  const order = startOrder({ ...job, asked: { ...job.asked, capacity: 4 } })
  expect(JSON.stringify(Object.entries(order).filter(([key]) => key !== 'pipeline'))).toBe(
    JSON.stringify([
      ['type', 'executor.start'],
      ['jobId', 'j1'],
      ['attempt', 2],
      ['instance', 'LATISS'],
      ['dataId', dataId],
      ['dataPath', '/data/{obsid}.fits'],
      ['overrides', { threshold: 5, mode: 'fast' }],
      ['configFile', 'deep.yaml'],
      ['version', 'w_2026_46'],
      ['members', null],
      ['capacity', 4],
    ]),
  )
  expect(order.pipeline).toBe(deep)
  expect(startOrder(job)).not.toHaveProperty('capacity')
})
