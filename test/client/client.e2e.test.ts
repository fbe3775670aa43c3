import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { CommandRefused, connectOcps, deriveGroupId, newGroupId, type Ocps, OcpsError } from '../../src/client/index.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { type RealService, startRealService } from './realService.ts'

describe('a client of a real instance over a real server', () => {
  let real: RealService
  let ocps: Ocps
  const cleanUp = cleanUpAfterAll()
  beforeAll(async () => {
    real = await startRealService()
    cleanUp(() => real.stop())
    ocps = await connectOcps({ instance: 'TEST', url: real.service.natsUrl })
    cleanUp(() => ocps.close())
  })

  test('processes an exposure and hears every metric, then how it ended', async () => {
    const job = await ocps.processData({ dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'look' })
    const metrics = await collect(job.metrics)
    const result = await job.result
    expect(job.acknowledged.ack).toBe(303)
    expect(result.outcome.kind).toBe('succeeded')
    expect(result.verdict).toBe('poor seeing')
    expect(new Set(metrics.map(({ metric, value }) => `${metric} ${value}`)).size).toBe(metrics.length)
    expect(metrics).toContainEqual(
      expect.objectContaining({ jobId: job.jobId, metric: 'psf.fwhm', value: 1.25, unit: 'arcsec' }),
    )
    expect(metrics).toContainEqual(expect.objectContaining({ metric: 'background', value: 'NaN' }))
  })

  test('processes a list of detectors as one job each', async () => {
    const job = await ocps.processData({
      dataId: { obsid: 'AT_O_20261122_000018', detector: [0, 1, 2] },
      pipeline: 'detector',
    })
    const metrics = await collect(job.metrics)
    const results = await job.results
    expect(job.jobIds).toHaveLength(3)
    expect(results.map(({ dataId }) => dataId.detector)).toEqual([0, 1, 2])
    expect(metrics.map(({ jobId }) => jobId).sort()).toEqual([...job.jobIds].sort())
  })

  test('a pipeline that fails is an outcome, not an error', async () => {
    const job = await ocps.processData({ dataId: { obsid: 'AT_O_20261122_000019' }, pipeline: 'fail' })
    const { outcome } = await job.result
    expect(outcome).toMatchObject({ kind: 'failed', code: 'EXIT_CODE', exitCode: 3 })
    expect((await ocps.job(job.jobId)).state).toBe('settled')
  })

  test('combines a group when it is closed', async () => {
    const group = deriveGroupId(newGroupId())
    for (const obsid of ['AT_O_20261122_000020', 'AT_O_20261122_000021'])
      await ocps.processData({ dataId: { obsid }, pipeline: 'look', group })
    const closing = await ocps.processData({ dataId: { group }, pipeline: 'combine' })
    const result = await closing.result
    expect(result).toMatchObject({ group, outcome: 'complete', revision: 1 })
    expect(result.members).toHaveLength(2)
    expect(result.metrics).toContainEqual({ metric: 'depth', value: 24.5, unit: 'mag' })
    await expect(ocps.closeGroup(group, { pipeline: 'combine' })).rejects.toMatchObject({ code: 'GROUP_CLOSED' })
  })

  test('a refusal carries its code and its acknowledgement', async () => {
    const refusal = await ocps
      .processData({ dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'nosuch' })
      .catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(CommandRefused)
    expect(refusal).toMatchObject({ code: 'UNKNOWN_PIPELINE', ack: { ack: -302, error: 1 } })
    await expect(ocps.command('start', {})).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await expect(ocps.abort('20261122-999999')).rejects.toMatchObject({ code: 'UNKNOWN_JOB' })
    await expect(ocps.job('20261122-999999')).rejects.toMatchObject({ kind: 'UNKNOWN', code: 'UNKNOWN_JOB' })
  })

  test('walks through the summary states and says which it visited', async () => {
    expect(await ocps.bringTo('STANDBY')).toEqual(['ENABLED', 'DISABLED', 'STANDBY'])
    expect(await ocps.bringTo('ENABLED', { configurationOverride: 'night.yaml' })).toEqual([
      'STANDBY',
      'DISABLED',
      'ENABLED',
    ])
    expect((await ocps.status()).queue.slots).toBe(3)
    await expect(ocps.bringTo('FAULT')).rejects.toBeInstanceOf(OcpsError)
  })

  test('an instance that does not exist is said not to answer', async () => {
    const other = await connectOcps({ instance: 'NOBODY', url: real.service.natsUrl })
    await expect(other.command('enable', {}, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'NOACK' })
    await other.close()
  })

  test('a result that was pending when the server was killed still comes, and there is one job', async () => {
    const job = await ocps.processData(
      { dataId: { obsid: 'AT_O_20261122_000030' }, pipeline: 'wait' },
      { id: 'the-same-id' },
    )
    await first(job.metrics)
    const { server } = JSON.parse(await readFile(join(real.dataDir, 'nats', 'ocps.lock'), 'utf8')) as { server: number }
    process.kill(server, 'SIGKILL')
    await writeFile(join(real.root, 'go'), '')
    const again = ocps.processData(
      { dataId: { obsid: 'AT_O_20261122_000030' }, pipeline: 'wait' },
      { id: 'the-same-id' },
    )
    const result = await job.result
    expect(result.outcome.kind).toBe('succeeded')
    expect((await again).jobIds).toEqual(job.jobIds)
    expect((await collect(job.metrics)).map(({ metric }) => metric)).toContain('late')
  })
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function first<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item
  throw new Error('the stream ended before anything came')
}

test('in synchronous mode a job is accepted at once and its result and metrics come as in asynchronous mode', async () => {
  const real = await startRealService({ mode: 'sync' })
  const ocps = await connectOcps({ instance: 'TEST', url: real.service.natsUrl })
  try {
    const job = await ocps.processData({ dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'wait', group: 'G' })
    await expect(
      ocps.processData({ dataId: { obsid: 'AT_O_20261122_000018' }, pipeline: 'look' }),
    ).rejects.toMatchObject({ code: 'BUSY' })
    expect(job.acknowledged.ack).toBe(301)
    await writeFile(join(real.root, 'go'), '')
    expect((await job.result).outcome.kind).toBe('succeeded')
    expect((await collect(job.metrics)).map(({ metric }) => metric)).toEqual(['early', 'late'])
    const group = await ocps.closeGroup('G', { pipeline: 'combine' })
    expect(await group.result).toMatchObject({ outcome: 'complete' })
    const unknown = await ocps
      .closeGroup('H', { pipeline: 'combine' })
      .then(({ result }) => result)
      .catch((error: unknown) => error)
    expect(unknown).toMatchObject({ code: 'UNKNOWN_GROUP' })
  } finally {
    await ocps.close()
    await real.stop()
  }
})
