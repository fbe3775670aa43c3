import { describe, expect, test } from 'vitest'
import type { ProcessDataCommand } from '../../machines/domain/commands.ts'
import { fittedTo, gatherOptionsOf, taskOf, workOf, worksOf, type Work } from '../../machines/domain/work.ts'
import { aCaller, aPipeline } from '../harness.ts'

const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: 94 }
const work: Work = {
  dataId,
  pipeline: 'quicklook',
  overrides: { threshold: 5, mode: 'fast' },
  configFile: 'deep.yaml',
  version: 'w_2026_46',
  priority: 2,
  timeLimitMs: 30_000,
  readiness: { policy: 'skip' },
}
const command: ProcessDataCommand = {
  type: 'command.processData',
  caller: aCaller('m1'),
  jobId: 'j1',
  ...work,
  dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null },
  detectors: [93, 94],
  after: [],
  timeLimitMs: null,
  groupRules: null,
}

describe('work', () => {
  test('is taken out of what carries it, and nothing else is; what an old journal does not have is left out', () => {
    expect(workOf({ jobId: 'j1', retryOf: null, ...work, outcome: 'failed' })).toEqual(work)
    const { readiness: _, ...old } = work
    expect(workOf(old)).toEqual(old)
    expect(workOf(work, 'pipeline', 'dataId')).not.toHaveProperty('pipeline')
  })

  test('of a command is one for each detector, with the time of the pipeline where none was asked for', () => {
    const pipeline = aPipeline('quicklook', { timeLimitMs: 7_000 })
    expect(worksOf(command, pipeline)).toEqual([
      { ...work, dataId: { ...dataId, detector: 93 }, timeLimitMs: 7_000 },
      { ...work, timeLimitMs: 7_000 },
    ])
    expect(worksOf({ ...command, detectors: [], timeLimitMs: 5 }, pipeline)).toEqual([
      { ...work, dataId: { ...dataId, detector: null }, timeLimitMs: 5 },
    ])
  })

  test('reaches the executor without what the queue and the job heed, and a gather without what the group decides', () => {
    const { overrides, configFile, version } = work
    expect(taskOf(work)).toEqual({ dataId, overrides, configFile, version })
    expect(gatherOptionsOf(command)).toEqual({ overrides, configFile, version, timeLimitMs: null })
  })

  test('is fitted to another pipeline: what that does not know is left out', () => {
    const plain = aPipeline('plain', { versions: [] })
    expect(fittedTo(plain, work)).toEqual({ ...work, overrides: {}, configFile: null, version: '' })
    const rule = { type: 'number', default: null, minimum: null, maximum: null } as const
    const like = aPipeline('like', { versions: ['w_*'], configFiles: ['deep.yaml'], overrides: { threshold: rule } })
    expect(fittedTo(like, work)).toEqual({ ...work, overrides: { threshold: 5 } })
  })
})
