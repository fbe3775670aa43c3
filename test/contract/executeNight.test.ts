import { describe, expect, test } from 'vitest'
import type { AckBody } from '../../machines/domain/announcements.ts'
import { executeResult } from '../../src/contract/execute.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { isAfter } from '../../src/engine/announcementIds.ts'
import { idOfJobResult } from '../../src/sinks/nats/execute.ts'
import { numberOf } from '../../src/sinks/nats/feed.ts'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight, type Night, type NightOptions } from '../night.ts'
import { listening, problemOf, type OnWire } from './wire.ts'
import { OBSID, execute, only, said } from './executeGiven.ts'

describe('a script for the Python OCPS', () => {
  test('61, 65: hears INPROGRESS with the job id, job_id, job_result, and then the last acknowledgement', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    expect(night.acks(id)).toMatchObject([{ ack: 301, jobIds: [jobId], timeout: 60 }])
    expect(JSON.parse(night.acks(id)[0]?.result ?? '')).toEqual({ job_id: jobId })
    await night.succeeds(jobId)
    const wire = await onWire(night)
    expect(wire.flatMap(problemOf)).toEqual([])
    const order = wire.flatMap(({ subject, body }) =>
      subject === `_INBOX.${id}`
        ? [`ack ${(body as AckBody).ack}`]
        : /job_|jobResult/.test(subject)
          ? [subject.split('.').slice(3, 4).join()]
          : [],
    )
    expect(order).toEqual(['job_id', 'ack 301', 'job_result', 'jobResult', 'ack 303'])
    expect(only(wire, `ocps.LATISS.evt.job_id.${jobId}`)).toMatchObject({
      event_name: 'cmd_execute',
      seq_num: Number(jobId.split('-')[1]),
      job_id: jobId,
    })
    const result = only(wire, `ocps.LATISS.evt.job_result.${jobId}`)
    expect(result).toMatchObject({ job_id: jobId, exit_code: 0 })
    expect(readResult(result)).toEqual({
      jobId,
      runId: id,
      phase: 'completed',
      executionDuration: 1,
      errorSummary: { message: '' },
      outcome: { kind: 'succeeded', code: 'OK', exitCode: 0, signal: null },
      verdict: null,
      version: '',
      askedBy: 'script',
      overrides: {},
      configFile: null,
      directory: jobId,
    })
  })

  test('63, 67: an unknown pipeline or prerequisite is refused, and no job is ever heard of', async () => {
    const night = await enabled()
    for (const [body, code] of [
      [said({ pipeline: 'unknown' }), 'UNKNOWN_PIPELINE'],
      [said({ prereq_jobs: 'nobody' }), 'UNKNOWN_JOB'],
    ] as const) {
      const ack = await night.command('execute', body)
      expect(ack).toMatchObject({ ack: -302, error: 1, code, jobIds: [] })
    }
    expect((await onWire(night)).filter(({ subject }) => /job/.test(subject))).toEqual([])
  })

  test('7: in STANDBY and in FAULT both commands are refused', async () => {
    const night = await createNight()
    for (const body of [said(), { job_id: 'j' }]) {
      const name = 'job_id' in body ? 'abort_job' : 'execute'
      const ack = await night.command(name, body)
      expect(ack).toMatchObject({ ack: -302, error: 1, code: 'WRONG_STATE' })
      expect(ack?.result).toContain(`${name} is not allowed in state STANDBY`)
    }
  })

  test('45, 73: two at once are in progress before either ends, one more waits for a slot', async () => {
    const night = await enabled()
    const jobs = [await execute(night), await execute(night), await execute(night)]
    expect(jobs.map(({ id }) => night.acks(id).map(({ ack }) => ack))).toEqual([[301], [301], [301]])
    expect(jobs.map(({ jobId }) => night.state(`job.${jobId}`))).toEqual([
      'active.starting',
      'active.starting',
      'queued',
    ])
  })

  test('67: a job waits for its prerequisite, and runs when that has ended, with success or not', async () => {
    const night = await enabled()
    const first = await execute(night)
    const second = await execute(night, { prereq_jobs: first.jobId })
    expect(night.state(`job.${second.jobId}`)).toBe('held.awaitingJobs')
    await night.started(first.jobId)
    await night.exited(first.jobId, { exitCode: 7, stderrTail: 'the dome is closed' })
    expect(night.state(`job.${second.jobId}`)).toBe('active.starting')
  })

  test('79: the promise is renewed with the same words, and job_id is not said again', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    await night.advance(45_000)
    expect(night.acks(id).map(({ ack, result }) => [ack, result])).toEqual([
      [301, `{"job_id":"${jobId}"}`],
      [301, `{"job_id":"${jobId}"}`],
    ])
    expect((await onWire(night)).filter(({ subject }) => subject.includes('.job_id.'))).toHaveLength(1)
  })

  test.each([
    ['fails', { exitCode: 7, stderrTail: 'the dome is closed' }, 7, -302, 'error'],
    ['is ended by a signal', { signal: 'SIGSEGV' }, 1, -302, 'error'],
  ])(
    'a job that %s says so in its exit code, its result and the acknowledgement',
    async (_how, exit, code, ack, phase) => {
      const night = await enabled()
      const { jobId, id } = await execute(night)
      await night.started(jobId)
      await night.exited(jobId, exit)
      const result = only(await onWire(night), `ocps.LATISS.evt.job_result.${jobId}`)
      expect(result).toMatchObject({ exit_code: code })
      expect(readResult(result)).toMatchObject({ jobId, phase })
      expect(readResult(result).errorSummary.message).toMatch(/^quicklook /)
      expect(night.acks(id).at(-1)).toMatchObject({ ack, error: 1 })
    },
  )

  test('85, 87: a running job is aborted with job_result 255; one nobody knows is refused with its id', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    expect(await night.command('abort_job', { job_id: jobId })).toMatchObject({ ack: 303 })
    await night.exited(jobId, { signal: 'SIGTERM' })
    const result = only(await onWire(night), `ocps.LATISS.evt.job_result.${jobId}`)
    expect(result).toMatchObject({ job_id: jobId, exit_code: 255 })
    expect(readResult(result)).toMatchObject({ jobId, phase: 'aborted' })
    expect(night.acks(id).at(-1)).toMatchObject({ ack: -303 })
    const refused = await night.command('abort_job', { job_id: '20261122-999999' })
    expect(refused).toMatchObject({ ack: -302, code: 'UNKNOWN_JOB' })
    expect(refused?.result).toContain('20261122-999999')
  })

  test('83, 89: a waiting job that is aborted never starts, and its result has the same fields', async () => {
    const night = await enabled()
    const first = await execute(night)
    const second = await execute(night, { prereq_jobs: first.jobId })
    await night.command('abort_job', { job_id: second.jobId })
    await night.succeeds(first.jobId)
    const wire = await onWire(night)
    const results = [first, second].map(({ jobId }) => readResult(only(wire, `ocps.LATISS.evt.job_result.${jobId}`)))
    expect(results.map(({ phase }) => phase)).toEqual(['completed', 'aborted'])
    expect(Object.keys(results[1] ?? {})).toEqual(Object.keys(results[0] ?? {}))
    expect(night.orders().filter(({ type }) => type === 'executor.start')).toHaveLength(1)
  })

  test('91: after a restart a running job still ends with one job_result and the last acknowledgement', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    await night.restart()
    await night.exited(jobId)
    const wire = await onWire(night)
    expect(only(wire, `ocps.LATISS.evt.job_result.${jobId}`)).toMatchObject({ exit_code: 0 })
    expect(night.acks(id).at(-1)).toMatchObject({ ack: 303 })
  })

  test('who dies between job_result and its jobResult says both again, each under the id it had', async () => {
    const night = await enabled()
    const { jobId } = await execute(night)
    await night.succeeds(jobId)
    const isResult = ({ announcement }: Numbered) => announcement.type === 'event' && announcement.topic === 'jobResult'
    const { id } = night.said.find(isResult) ?? { id: '' }
    const lastSaid = numberOf('LATISS', `LATISS:${idOfJobResult(id)}`)
    const before = night.said.length
    await night.restart({ lastSaid })
    expect(night.said.slice(before).find(isResult)).toMatchObject({ id })
    expect(night.said.slice(before).every(one => isAfter(one.id, lastSaid))).toBe(true)
  })

  test('the same message twice is one job, and is answered with its id again', async () => {
    const night = await enabled()
    const first = await execute(night)
    await night.command('execute', said(), { id: first.id })
    expect(night.acks(first.id).map(({ result }) => result)).toEqual(Array(2).fill(`{"job_id":"${first.jobId}"}`))
    expect((await onWire(night)).filter(({ subject }) => subject.includes('.job_id.'))).toHaveLength(1)
  })

  test('a job asked for with processData has no job_result and is answered at once, also beside one that has', async () => {
    const night = await enabled()
    const own = await night.command('processData', { dataId: { obsid: OBSID }, pipeline: 'quicklook' })
    expect(own).toMatchObject({ ack: 303 })
    const { jobId } = await execute(night)
    await night.succeeds(String(own?.jobIds[0]))
    await night.succeeds(jobId)
    const wire = await onWire(night)
    expect(wire.filter(({ subject }) => /\.job_(id|result)\./.test(subject)).map(({ subject }) => subject)).toEqual([
      `ocps.LATISS.evt.job_id.${jobId}`,
      `ocps.LATISS.evt.job_result.${jobId}`,
    ])
  })

  test('in synchronous mode it is the one command in hand', async () => {
    const night = await enabled({ configuration: aConfiguration({ mode: 'sync' }) })
    const { jobId } = await execute(night)
    expect(await night.command('execute', said())).toMatchObject({ ack: -302, code: 'BUSY' })
    await night.succeeds(jobId)
    expect((await execute(night)).jobId).not.toBe(jobId)
  })

  test('a pipeline that allows output_dataset_types is given them', async () => {
    const overrides = { output_dataset_types: { type: 'string', default: '*', minimum: null, maximum: null } } as const
    const pipelines = { quicklook: aPipeline('quicklook', { overrides }) }
    const night = await enabled({ configuration: aConfiguration({ pipelines }) })
    await execute(night, { output_dataset_types: 'bias' })
    expect(night.orders().at(-1)).toMatchObject({ overrides: { output_dataset_types: 'bias' } })
    const other = await enabled()
    expect(await other.command('execute', said({ output_dataset_types: 'bias' }))).toMatchObject({
      code: 'OVERRIDE_NOT_ALLOWED',
    })
  })
})

async function enabled(options: NightOptions = {}): Promise<Night> {
  const night = await createNight(options)
  await night.enable()
  return night
}

/** What a listener heard of all that was said. */
async function onWire(night: Night): Promise<readonly OnWire[]> {
  const wire = await listening()
  for (const one of night.said) {
    wire.say(one)
    await wire.heard()
  }
  return wire.heard()
}

function readResult(body: unknown) {
  return executeResult.parse(JSON.parse((body as { result: string }).result))
}
