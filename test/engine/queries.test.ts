import { expect, test } from 'vitest'
import { jobOf, jobsOf, stateOf } from '../../src/engine/queries.ts'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight } from '../night.ts'

/* What an instance answers about the present: `qry.state` and `qry.job`, of a night in memory. */

async function nightOf(prefetch: number) {
  const night = await createNight({
    configuration: aConfiguration({
      slots: 3,
      prefetch,
      pipelines: { quicklook: aPipeline('quicklook'), wide: aPipeline('wide', { slots: 2 }) },
    }),
  })
  await night.enable()
  const submit = async (obsid: string, pipeline = 'quicklook') =>
    (await night.command('processData', { dataId: { obsid }, pipeline }))?.jobIds[0] ?? ''
  const jobIds = [await submit('E1'), await submit('E2', 'wide'), await submit('E3', 'wide'), await submit('E4')]
  return { night, jobIds, queue: () => stateOf(night.engine().world).queue }
}

test('jobs that were handed over before their slots are free are told apart from those that have them', async () => {
  const { night, jobIds, queue } = await nightOf(2)
  const [first = '', second = '', third = ''] = jobIds
  expect(queue()).toMatchObject({ slots: 3, slotsTaken: 3, running: 2, ahead: 1, waiting: 1, held: 0 })
  await night.started(first)
  await night.started(second)
  expect(queue()).toMatchObject({ slotsTaken: 3, running: 2, ahead: 1, waiting: 1 })
  expect(jobOf(night.engine().world, third)?.note).toBe('handed over, begins as soon as it fits')
  // The third takes two slots and waits for the second, the fourth is behind it.
  await night.exited(first)
  expect(queue()).toMatchObject({ slotsTaken: 2, running: 1, ahead: 2, waiting: 0 })
  await night.exited(second)
  expect(queue()).toMatchObject({ slotsTaken: 3, running: 2, ahead: 0, waiting: 0 })
})

test('pools are told apart where there is more than one, and counted together', async () => {
  const pool = { name: 'heavy', slots: 2, runner: { kind: 'none' } } as const
  const night = await createNight({
    configuration: aConfiguration({
      slots: 1,
      pools: { heavy: pool },
      pipelines: { quicklook: aPipeline('quicklook'), deep: aPipeline('deep', { pool, slots: 2 }) },
    }),
  })
  await night.enable()
  const jobIds: string[] = []
  for (const [obsid, pipeline] of ['quicklook', 'deep', 'quicklook', 'deep'].entries())
    jobIds.push(...((await night.command('processData', { dataId: { obsid: `E${obsid}` }, pipeline }))?.jobIds ?? []))
  expect(stateOf(night.engine().world).queue).toMatchObject({
    slots: 3,
    slotsTaken: 3,
    running: 2,
    waiting: 2,
    held: 0,
    pools: [
      { pool: 'default', slots: 1, slotsTaken: 1, running: 1, ahead: 0, waiting: 1 },
      { pool: 'heavy', slots: 2, slotsTaken: 2, running: 1, ahead: 0, waiting: 1 },
    ],
  })
  // Those that run first, then those that wait.
  const listed = jobsOf(night.engine().world).jobs.map(({ jobId }) => jobId)
  expect(listed).toEqual(jobIds)
})

test('a job says what was asked for, by whom, and where its outputs are, while it is open and when it has settled', async () => {
  const overrides = { threshold: { type: 'number', default: 3, minimum: null, maximum: null } } as const
  const night = await createNight({
    configuration: aConfiguration({
      pipelines: { quicklook: aPipeline('quicklook', { overrides, configFiles: ['deep.yaml'] }) },
    }),
  })
  await night.enable()
  const asked = { overrides: { threshold: 5 }, configFile: 'deep.yaml', version: 'w_2026_46' }
  const body = { dataId: { obsid: 'E1' }, pipeline: 'quicklook', ...asked }
  const ack = await night.command('processData', body, { id: 'q1', identity: 'maintel' })
  const [jobId = ''] = ack?.jobIds ?? []
  const said = { ...asked, askedBy: 'maintel', commandId: 'q1' }
  expect(jobOf(night.engine().world, jobId)).toMatchObject({ ...said, directory: null })
  await night.started(jobId)
  expect(jobOf(night.engine().world, jobId)).toMatchObject({ ...said, directory: jobId })
  await night.exited(jobId, { exitCode: 1 })
  expect(night.events('jobResult', jobId)).toMatchObject([{ ...said, directory: jobId }])
  const [again = ''] = (await night.command('retry', { jobId }, { id: 'q2', identity: 'operator' }))?.jobIds ?? []
  expect(jobOf(night.engine().world, again)).toMatchObject({ ...said, askedBy: 'operator', commandId: 'q2' })
})

test('without prefetch a job has its slots as soon as they are granted', async () => {
  const { night, jobIds, queue } = await nightOf(0)
  expect(queue()).toMatchObject({ slots: 3, slotsTaken: 3, running: 2, ahead: 0, waiting: 2, held: 0 })
  expect(jobOf(night.engine().world, jobIds[0] ?? '')?.note).toMatch(/^next deadline/)
})
