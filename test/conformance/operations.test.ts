import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { makePlace, optionsFor, startChild, startInstance, type Running } from './instance.ts'
import { connectWire, must, type Fields } from './wire.ts'

/*
 * What the cases of the list imply but do not spell: what disable, standby and a stop do to jobs, pause and a full
 * queue, log messages, data that are not there yet, and a synchronous client whose instance dies.
 */
let running: Running
let exposure = 0

beforeAll(async () => {
  running = await startInstance({ configurationOverride: 'few.yaml' })
})
afterAll(() => running.stop())

const outcome = (result: Fields) => result['outcome'] as Fields
const body = (pipeline: string, more: object = {}) => ({ dataId: { obsid: `OP_${++exposure}` }, pipeline, ...more })

async function submit(pipeline: string, more: object = {}): Promise<string> {
  const ack = await running.wire.command('processData', body(pipeline, more))
  expect(ack).toMatchObject({ ack: 303 })
  return must(ack.jobIds[0])
}

const isRunning = (jobId: string) =>
  running.wire.event('jobState', state => state['jobId'] === jobId && state['state'] === 'running')

/** Two jobs that hold both slots, and what lets them go on. */
async function busy(): Promise<{ ids: string[]; open: () => void }> {
  const gate = running.place.gate()
  const ids = [
    await submit('hold', { overrides: { gate: gate.path } }),
    await submit('hold', { overrides: { gate: gate.path } }),
  ]
  for (const jobId of ids) await isRunning(jobId)
  return { ids, open: () => gate.open() }
}

describe('operations', () => {
  it('disable lets running jobs go on and holds those that wait until enable', async () => {
    const { wire } = running
    const { ids, open } = await busy()
    const waiting = await submit('true')
    expect(await wire.command('disable')).toMatchObject({ ack: 303 })
    open()
    for (const jobId of ids) expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
    await wire.quiet()
    expect(await wire.query('job', { jobId: waiting })).toMatchObject({ state: 'queued' })
    expect(await wire.command('enable')).toMatchObject({ ack: 303 })
    expect(outcome(await wire.result(waiting))).toMatchObject({ kind: 'succeeded' })
  })

  it('standby aborts all that is open, each with its result, and a job id is never used again', async () => {
    const { wire } = running
    const { ids } = await busy()
    const all = [...ids, await submit('true'), await submit('true', { after: ids })]
    await wire.command('disable')
    expect(await wire.command('standby')).toMatchObject({ ack: 303 })
    for (const jobId of all)
      expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'aborted', code: 'ABORTED' })
    expect(await wire.query('jobs')).toEqual({ jobs: [], open: 0 })
    expect(await wire.command('start', { configurationOverride: 'few.yaml' })).toMatchObject({ ack: 303 })
    expect(await wire.command('enable')).toMatchObject({ ack: 303 })
    const next = await submit('true')
    expect(all).not.toContain(next)
    expect(outcome(await wire.result(next))).toMatchObject({ kind: 'succeeded' })
    for (const jobId of all) expect(wire.events('jobResult', jobId)).toHaveLength(1)
  })

  it('pause lets nothing start, resume goes on, and higher priority goes first', async () => {
    const { wire } = running
    expect(await wire.command('pause')).toMatchObject({ ack: 303 })
    const low = await submit('true', { priority: -5 })
    const high = await submit('true', { priority: 5 })
    await wire.quiet()
    expect(await wire.query('state')).toMatchObject({ queue: { state: 'paused', waiting: 2, running: 0 } })
    expect(await wire.command('resume')).toMatchObject({ ack: 303 })
    await wire.result(low)
    await wire.result(high)
    const started = wire
      .events('jobState')
      .filter(({ jobId, state }) => state === 'running' && (jobId === low || jobId === high))
    expect(started.map(({ jobId }) => jobId)).toEqual([high, low])
  })

  it('a refused command is a warning among the log messages, and at level 40 it is not', async () => {
    const { wire } = running
    await wire.command('nonsense')
    const message = await wire.event('logMessage', one => String(one['message']).includes('nonsense'))
    expect(message).toMatchObject({ name: 'LATISS', level: 30, process: process.pid, traceback: '' })
    await wire.command('setLogLevel', { level: 40 })
    const before = wire.events('logMessage').length
    await wire.command('nonsense')
    await wire.quiet()
    expect(wire.events('logMessage')).toHaveLength(before)
    await wire.command('setLogLevel', { level: 20 })
  })

  it('a job that waits for its data runs when imageInOODS says that they are there, also when that was said before', async () => {
    const { wire } = running
    const say = (obsid: string, statusCode: number) =>
      wire.connection.publish(
        'oods.ATOODS.evt.imageInOODS',
        JSON.stringify({
          camera: 'LATISS',
          obsid,
          raft: 'R00',
          sensor: 'S00',
          statusCode,
          description: 'file ingested',
        }),
      )
    const late = await submit('data', { dataId: { obsid: 'LATE' }, readiness: { waitFor: 60 } })
    await wire.event('jobState', state => state['jobId'] === late && state['state'] === 'held')
    // A job that asks for OTHER runs once the event after the failure is heard; had the failure counted, the job would
    // not be held any more.
    const other = await submit('data', { dataId: { obsid: 'OTHER' }, readiness: { waitFor: 60 } })
    await wire.event('jobState', state => state['jobId'] === other && state['state'] === 'held')
    say('LATE', 1)
    say('OTHER', 0)
    expect(outcome(await wire.result(other))).toMatchObject({ kind: 'succeeded' })
    expect(await wire.query('job', { jobId: late })).toMatchObject({ state: 'held' })
    say('LATE', 0)
    expect(outcome(await wire.result(late))).toMatchObject({ kind: 'succeeded' })
    const early = await submit('data', { dataId: { obsid: 'OTHER' }, readiness: { waitFor: 60 } })
    expect(outcome(await wire.result(early))).toMatchObject({ kind: 'succeeded' })
    const never = await submit('data', { dataId: { obsid: 'NEVER' }, readiness: 'skip' })
    expect(outcome(await wire.result(never))).toMatchObject({ kind: 'skipped', code: 'DATA_NOT_READY' })
  })

  // Both wait for a lease most of the time: they wait together.
  it.concurrent('after SIGTERM running jobs go on by themselves, and the next process hears how they ended', async () => {
    const place = makePlace()
    const options = optionsFor(place, { instance: 'TERM', natsUrl: running.service.natsUrl })
    const first = await startChild(options)
    const wire = await connectWire(running.service.natsUrl, 'TERM')
    const gate = place.gate()
    const { jobIds } = await wire.command('processData', body('hold', { overrides: { gate: gate.path } }))
    await wire.event('jobState', state => state['state'] === 'running')
    await first.kill('SIGTERM')
    expect(first.lastWord()).toEqual({ ended: 'stopped' })
    expect(wire.events('summaryState')).toEqual([])
    gate.open()
    const second = await startService(options)
    expect(outcome(await wire.result(jobIds[0]))).toMatchObject({ kind: 'succeeded', exitCode: 0 })
    await second.stop()
    await wire.close()
    place.remove()
  })

  it.concurrent('a synchronous client whose instance is killed hears from the next one: renewals, and the final word', async () => {
    const place = makePlace()
    const options = optionsFor(place, {
      instance: 'SYNCED',
      natsUrl: running.service.natsUrl,
      configurationOverride: 'sync.yaml',
    })
    const first = await startChild(options)
    const wire = await connectWire(running.service.natsUrl, 'SYNCED')
    const gate = place.gate()
    const asked = wire.send('processData', body('hold', { overrides: { gate: gate.path } }))
    await wire.event('jobState', state => state['state'] === 'running')
    await first.kill('SIGKILL')
    const before = asked.acks.length
    const second = await startService(options)
    await eventually('another renewal', () => asked.acks.length > before)
    gate.open()
    expect(await asked.final).toMatchObject({ ack: 303, jobIds: asked.acks[0]?.jobIds })
    expect(asked.acks.slice(0, -1).every(({ ack }) => ack === 301)).toBe(true)
    await wire.close()
    await second.stop()
    place.remove()
  })
})

describe('a full queue', () => {
  it('refuses what it cannot hold as a whole, names its depth, and accepts again when there is room', async () => {
    const place = makePlace()
    writeFileSync(`${place.configDir}/short.yaml`, 'slots: 1\nqueueDepth: 3\n')
    const service = await startService(
      optionsFor(place, { instance: 'SHORT', natsUrl: running.service.natsUrl, configurationOverride: 'short.yaml' }),
    )
    const wire = await connectWire(running.service.natsUrl, 'SHORT')
    const gate = place.gate()
    await wire.command('processData', body('hold', { overrides: { gate: gate.path } }))
    await wire.event('jobState', state => state['state'] === 'running')
    const two = await wire.command('processData', { dataId: { obsid: 'A', detector: [1, 2] }, pipeline: 'true' })
    expect(two.jobIds).toHaveLength(2)
    const refused = await wire.command('processData', { dataId: { obsid: 'B', detector: [1, 2] }, pipeline: 'true' })
    expect(refused).toMatchObject({ ack: -302, code: 'QUEUE_FULL', jobIds: [] })
    expect(refused.result).toMatch(/2 jobs are waiting and the queue holds 3/)
    expect(await wire.command('processData', { dataId: { obsid: 'B', detector: 1 }, pipeline: 'true' })).toMatchObject({
      ack: 303,
    })
    gate.open()
    for (const jobId of two.jobIds) expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
    await wire.close()
    await service.stop()
    place.remove()
  })
})
