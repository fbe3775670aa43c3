import { expect, test } from 'vitest'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

const process = (night: Night, obsid: string, body: object = {}) =>
  night.command('processData', { dataId: { obsid }, pipeline: 'quicklook', ...body }, { id: `p-${obsid}` })

async function failed(night: Night, obsid: string, body: object = {}): Promise<string> {
  const jobId = (await process(night, obsid, body))?.jobIds[0] ?? ''
  await night.started(jobId)
  await night.exited(jobId, { exitCode: 1 })
  return jobId
}

test('a job that failed is run again by its id, linked to the first attempt, and not twice', async () => {
  const night = await createNight()
  await night.enable()
  const first = await failed(night, 'E1')
  const again = await night.command('retry', { jobId: first }, { id: 'r1' })
  const [second = ''] = again?.jobIds ?? []
  expect(second).toMatch(/-r1$/)
  await night.started(second)
  await night.exited(second, { exitCode: 1 })
  expect(night.events('jobResult', second)).toMatchObject([
    { retryOf: first, dataId: { obsid: 'E1' }, outcome: { kind: 'failed' } },
  ])
  expect(await night.command('retry', { jobId: first }, { id: 'r2' })).toMatchObject({ code: 'NOTHING_TO_RETRY' })

  const [third = ''] = (await night.command('retry', { jobId: second }, { id: 'r3' }))?.jobIds ?? []
  await night.succeeds(third)
  expect(night.events('jobResult', third)).toMatchObject([{ retryOf: first, outcome: { kind: 'succeeded' } }])
  expect(await night.command('retry', { jobId: third }, { id: 'r4' })).toMatchObject({ code: 'NOTHING_TO_RETRY' })
})

test.each([
  ['skip', 'skip', 'settled'],
  ['waitFor', { waitFor: 60 }, 'held.awaitingData'],
] as const)('a retry waits for its data as the original did: %s', async (_, readiness, becomes) => {
  const night = await createNight()
  await night.enable()
  const [first = ''] = (await process(night, 'E1', { readiness }))?.jobIds ?? []
  await night.report({ type: 'data.absent', jobId: first })
  await night.advance(60_000)
  expect(night.events('jobResult', first)).toMatchObject([{ outcome: { code: 'DATA_NOT_READY' } }])
  const [second = ''] = (await night.command('retry', { jobId: first }, { id: 'r1' }))?.jobIds ?? []
  expect(night.state(`job.${second}`)).toBe('held.awaitingData')
  await night.report({ type: 'data.absent', jobId: second })
  if (becomes === 'settled')
    expect(night.events('jobResult', second)).toMatchObject([{ outcome: { code: 'DATA_NOT_READY' } }])
  else expect(night.state(`job.${second}`)).toBe(becomes)
  expect(night.orders().filter(({ type }) => type === 'executor.start')).toEqual([])
})

test('a night is run again with another version, what succeeded is left alone', async () => {
  const night = await createNight()
  await night.enable()
  await failed(night, 'E1')
  await night.succeeds((await process(night, 'E2'))?.jobIds[0] ?? '')
  await failed(night, 'E3')
  const again = await night.command('retry', { dayObs: 20261122, version: 'w_2026_47' }, { id: 'r' })
  expect(again?.jobIds).toHaveLength(2)
  await night.succeeds(again?.jobIds[0] ?? '')
  expect(night.events('jobResult', again?.jobIds[0])).toMatchObject([{ version: 'w_2026_47', dataId: { obsid: 'E1' } }])
})

test('a retry with an unknown pipeline or an override it does not allow is refused, and nothing leaves the shelf', async () => {
  const night = await createNight()
  await night.enable()
  const jobId = await failed(night, 'E1')
  expect(await night.command('retry', { jobId, pipeline: 'none' }, { id: 'r1' })).toMatchObject({
    code: 'UNKNOWN_PIPELINE',
  })
  expect(await night.command('retry', { jobId, overrides: { nonsense: 1 } }, { id: 'r2' })).toMatchObject({
    code: 'OVERRIDE_NOT_ALLOWED',
  })
  expect(await night.command('retry', { jobId }, { id: 'r3' })).toMatchObject({ ack: 303 })
})

test('the members of a group that failed are retried together, and the group is gathered again with them', async () => {
  const night = await createNight()
  await night.enable()
  const bad = await failed(night, 'E1', { group: 'G' })
  await night.succeeds((await process(night, 'E2', { group: 'G' }))?.jobIds[0] ?? '')
  await night.command('processData', { dataId: { group: 'G' }, pipeline: 'stack' }, { id: 'close' })
  const gatherJob = (revision: number) =>
    night
      .orders()
      .flatMap(order =>
        order.type === 'executor.start' && order.jobId.endsWith(`-g${revision}`) ? order.jobId : [],
      )[0] ?? ''
  await night.succeeds(gatherJob(1))
  expect(night.events('groupResult', 'G')).toMatchObject([{ revision: 1, outcome: 'partial', failed: ['E1'] }])
  const again = await night.command('retry', { group: 'G' }, { id: 'r' })
  expect(again?.jobIds).toHaveLength(1)
  await night.succeeds(again?.jobIds[0] ?? '')
  await night.succeeds(gatherJob(2))
  expect(night.events('groupResult', 'G').at(-1)).toMatchObject({ revision: 2, outcome: 'complete', failed: [] })
  expect(bad).not.toBe(again?.jobIds[0])
})

test('a group whose gather job failed can be closed again', async () => {
  const night = await createNight()
  await night.enable()
  await night.succeeds((await process(night, 'E1', { group: 'G' }))?.jobIds[0] ?? '')
  const close = (id: string) => night.command('processData', { dataId: { group: 'G' }, pipeline: 'stack' }, { id })
  await close('c1')
  const gatherJob = () =>
    night
      .orders()
      .flatMap(order => (order.type === 'executor.start' && order.jobId.includes('-g') ? order.jobId : []))
      .at(-1) ?? ''
  await night.started(gatherJob())
  await night.exited(gatherJob(), { exitCode: 3 })
  expect(await close('c2')).toMatchObject({ ack: 303 })
  await night.succeeds(gatherJob())
  expect(night.events('groupResult', 'G').at(-1)).toMatchObject({ revision: 2, outcome: 'complete' })
  expect(await close('c3')).toMatchObject({ code: 'GROUP_CLOSED' })
})

test("when a pipeline has failed for good its fall-backs are tried in order, and the first that succeeds is the job's", async () => {
  const pipelines = {
    careful: aPipeline('careful', {
      fallback: ['plain', 'quick'],
      retries: { attemptsMax: 2, backoffMs: 1_000, on: [1] },
    }),
    plain: aPipeline('plain'),
    quick: aPipeline('quick'),
  }
  const night = await createNight({ configuration: aConfiguration({ pipelines }) })
  await night.enable()
  const jobId = (await process(night, 'E1', { pipeline: 'careful' }))?.jobIds[0] ?? ''
  const started = () =>
    night.orders().flatMap(order => (order.type === 'executor.start' ? `${order.pipeline.name}/${order.attempt}` : []))
  const end = (exitCode: number) => night.exited(jobId, { exitCode })
  await end(1)
  await night.advance(1_000)
  await end(1)
  expect(started()).toEqual(['careful/1', 'careful/2', 'plain/3'])
  await end(7)
  await end(0)
  expect(started()).toEqual(['careful/1', 'careful/2', 'plain/3', 'quick/4'])
  expect(night.events('jobResult', jobId)).toMatchObject([
    { pipeline: 'quick', attempt: 4, fellBackFrom: ['careful', 'plain'], outcome: { kind: 'succeeded' } },
  ])
})

test('the shelf survives a restart', async () => {
  const night = await createNight()
  await night.enable()
  const jobId = await failed(night, 'E1')
  await night.restart()
  expect(await night.command('retry', { jobId }, { id: 'r' })).toMatchObject({ ack: 303 })
})
