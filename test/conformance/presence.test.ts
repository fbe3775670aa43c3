import { existsSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { connectOcps } from '../../src/client/index.ts'
import { startService, type ServiceOptions } from '../../src/instance/start.ts'
import { eventually, rejection } from '../bus/eventually.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { makePlace, optionsFor, startChild, startInstance, type Running } from './instance.ts'
import { connectWire, must, type Wire } from './wire.ts'

/*
 * Who is there and who hears what: heartbeats under load, several instances on one server, several clients, late
 * joiners, and commands sent to nobody. One server for all; the instance under load is a process of its own.
 */
let host: Running

const cleanUp = cleanUpAfterAll()

beforeAll(async () => {
  host = await startInstance({ instance: 'ONE' })
  cleanUp(() => host.stop())
})

function beside(instance: string, changes: object = {}): ServiceOptions {
  const place = makePlace()
  cleanUp(() => place.remove())
  return optionsFor(place, { instance, natsUrl: host.service.natsUrl, ...changes })
}

const dataId = (seqNum: number) => ({ obsid: `AT_O_20261122_${String(seqNum).padStart(6, '0')}` })

// A beat is due every second; who listens gives up after several. How late one is on a quiet machine is the benchmark's
// business.
const GAP_MAX_MS = 2_500

describe('presence', () => {
  it('29 B: no heartbeat is late while a job hangs, deaf to SIGTERM, and a thousand short ones run', async () => {
    const options = beside('BUSY')
    const child = await startChild(options)
    const wire = await connectWire(child.natsUrl, 'BUSY')
    await wire.event('heartbeat', () => true)
    const [deaf] = (await wire.command('processData', { dataId: dataId(1), pipeline: 'deaf' })).jobIds
    await wire.event('jobState', body => body['jobId'] === deaf && body['state'] === 'running')
    expect(await wire.command('abortJob', { jobId: deaf })).toMatchObject({ ack: 303 })
    const detector = Array.from({ length: 1_000 }, (_, index) => index)
    const ack = await wire.command('processData', { dataId: { ...dataId(2), detector }, pipeline: 'true' })
    expect(ack.jobIds).toHaveLength(1_000)
    await eventually('every job has ended', () => wire.events('jobResult').length === 1_001)
    const beats = wire.events('heartbeat').length
    await eventually('one more heartbeat', () => wire.events('heartbeat').length > beats)
    const at = wire.events('heartbeat').map(body => Number(body['at']))
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0))
    console.log(`heartbeats: ${at.length}, longest gap ${Math.max(...gaps)} ms`)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(GAP_MAX_MS)
    expect(new Set(wire.events('jobResult').map(body => body['jobId'])).size).toBe(1_001)
    await wire.close()
    await child.kill('SIGTERM')
  })

  it('31 S: of two instances on one server only the one that was asked acts and speaks', async () => {
    const service = await startService(beside('TWO'))
    const two = await connectWire(service.natsUrl, 'TWO')
    await host.wire.quiet()
    const before = spoken(host.wire)
    const ack = await two.command('processData', { dataId: dataId(1), pipeline: 'true' })
    expect(await two.result(ack.jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    await host.wire.quiet()
    expect(spoken(host.wire)).toBe(before)
    expect(await host.wire.query('jobs')).toEqual({ jobs: [], open: 0 })
    expect(await host.wire.query('job', { jobId: ack.jobIds[0] })).toMatchObject({
      error: expect.stringContaining('no job') as unknown,
    })
    await two.close()
    await service.stop()
  })

  it('47 S: each of two clients hears the answers to its own commands, all of them, and none of the other', async () => {
    const [a, b] = [await connectWire(host.service.natsUrl, 'ONE'), await connectWire(host.service.natsUrl, 'ONE')]
    const asked = Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? a : b).send(
        index % 3 === 0 ? 'enable' : 'resume',
        {},
        { identity: index % 2 === 0 ? 'A' : 'B' },
      ),
    )
    for (const [index, one] of asked.entries()) {
      const code = index % 3 === 0 ? -302 : 303
      expect(await one.final).toMatchObject({ ack: code })
    }
    await a.quiet()
    await b.quiet()
    for (const wire of [a, b]) {
      const answers = wire.heard.filter(({ subject }) => !subject.startsWith('ocps.'))
      expect(answers).toHaveLength(20)
    }
    expect(asked.every(({ acks }) => acks.length === 1)).toBe(true)
    await a.close()
    await b.close()
  })

  it('49 S: a command to an instance that is not there fails at once at the client, with no answer to wait for', async () => {
    const began = performance.now()
    const failure = await rejection(host.wire.connection.request('ocps.NOBODY.cmd.enable', '{}', { timeout: 2_000 }))
    expect(String(failure)).toMatch(/no responders/i)
    expect(performance.now() - began).toBeLessThan(2_000)
    const ocps = await connectOcps({ instance: 'NOBODY', url: host.service.natsUrl })
    expect(await rejection(ocps.command('enable', {}, { timeoutMs: 2_000 }))).toMatchObject({ code: 'NOACK' })
    await ocps.close()
  })

  it('53 S: a command sent before the instance began is not executed', async () => {
    host.wire.connection.publish('ocps.LATER.cmd.processData', JSON.stringify({ dataId: dataId(1), pipeline: 'true' }))
    host.wire.connection.publish('ocps.LATER.cmd.setLogLevel', JSON.stringify({ level: 10 }))
    await host.wire.connection.flush()
    const wire = await connectWire(host.service.natsUrl, 'LATER')
    const service = await startService(beside('LATER'))
    await wire.quiet()
    expect(wire.events('jobState')).toEqual([])
    expect(wire.events('logLevel')).toMatchObject([{ level: 20 }])
    expect(await wire.query('jobs')).toEqual({ jobs: [], open: 0 })
    await wire.close()
    await service.stop()
  })

  it('57 S: a late joiner finds the latest of each event of each of two instances', async () => {
    const service = await startService(beside('OTHER', { initialState: 'DISABLED' }))
    const one = await connectWire(host.service.natsUrl, 'ONE')
    const other = await connectWire(host.service.natsUrl, 'OTHER')
    expect((await one.retained()).get('summaryState')).toMatchObject({ summaryState: 2 })
    expect((await other.retained()).get('summaryState')).toMatchObject({ summaryState: 1 })
    for (const wire of [one, other])
      expect([...(await wire.retained()).keys()]).toEqual(
        expect.arrayContaining([
          'errorCode',
          'logLevel',
          'simulationMode',
          'softwareVersions',
          'configurationsAvailable',
          'configurationApplied',
        ]),
      )
    await one.close()
    await other.close()
    await service.stop()
  })

  it('59 B: with three jobs running and two finished, a late joiner finds all five with their states', async () => {
    const { wire, place } = host
    const gate = place.gate()
    const finished: string[] = []
    const open: string[] = []
    for (const pipeline of ['true', 'fail', 'hold', 'hold', 'hold']) {
      const overrides = pipeline === 'hold' ? { gate: gate.path } : {}
      const { jobIds } = await wire.command('processData', { dataId: dataId(7), pipeline, overrides })
      ;(pipeline === 'hold' ? open : finished).push(must(jobIds[0]))
    }
    for (const jobId of finished) await wire.result(jobId)
    for (const jobId of open)
      await wire.event('jobState', body => body['jobId'] === jobId && body['state'] === 'running')
    const late = await connectWire(host.service.natsUrl, 'ONE')
    const retained = await late.retained()
    for (const jobId of open) expect(retained.get(`jobState.${jobId}`)).toMatchObject({ jobId, state: 'running' })
    expect(finished.map(jobId => retained.get(`jobState.${jobId}`)?.['outcome'])).toEqual(['succeeded', 'failed'])
    for (const jobId of finished) expect(retained.get(`jobResult.${jobId}`)).toMatchObject({ jobId })
    const { jobs } = await late.query('jobs')
    expect((jobs as { jobId: string }[]).map(({ jobId }) => jobId)).toEqual(open)
    for (const jobId of finished) expect(await late.query('job', { jobId })).toMatchObject({ state: 'settled' })
    gate.open()
    for (const jobId of open) await wire.result(jobId)
    await late.close()
  })

  it('97 S: a thousand commands one after the other go faster than 20 a second', async () => {
    const took: number[] = []
    const began = performance.now()
    for (let index = 0; index < 1_000; index += 1) {
      const sent = performance.now()
      const message = await host.wire.connection.request(
        'ocps.ONE.cmd.setLogLevel',
        JSON.stringify({ level: index % 2 === 0 ? 30 : 20 }),
        { timeout: 5_000 },
      )
      if (index === 0) expect(message.json()).toMatchObject({ ack: 303 })
      took.push(performance.now() - sent)
    }
    const perSecond = 1_000 / ((performance.now() - began) / 1_000)
    took.sort((one, other) => one - other)
    console.log(
      `commands: ${perSecond.toFixed(0)}/s, median ${took[500]?.toFixed(2)} ms, p99 ${took[990]?.toFixed(2)} ms`,
    )
    expect(perSecond).toBeGreaterThan(20)
  })

  it('99 S: with --simulate the instance says simulationMode 1, and no pipeline is started', async () => {
    const service = await startService(beside('SIM', { simulate: true }))
    const wire = await connectWire(host.service.natsUrl, 'SIM')
    expect((await wire.retained()).get('simulationMode')).toMatchObject({ mode: 1 })
    const ack = await wire.command('processData', { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'missing' })
    expect(await wire.result(ack.jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    expect(existsSync(service.workDir)).toBe(false)
    await wire.close()
    await service.stop()
  })
})

/** How many messages of its own it said, heartbeats aside. */
function spoken({ heard }: Wire): number {
  return heard.filter(
    ({ subject }) => subject.startsWith('ocps.') && !subject.endsWith('.heartbeat') && !subject.endsWith('.logMessage'),
  ).length
}
