import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import { needs } from '../needs.ts'
import { startInstance, startChild, optionsFor, makePlace } from './instance.ts'
import { rejection } from '../bus/eventually.ts'

const withCompiler = needs('compiler')

/*
 * FAULT, as salobj has it (base_csc.py fault). A fault comes from inside, never from the wire, so it is put into a
 * whole instance in memory; what the wire can bring about is tested with a real process.
 */
const R = 'queue machine: settled a job that was not running'
const fault = {
  type: 'engine.fault',
  errorCode: 3,
  errorReport: R,
  traceback: 'actor queue on job.yielded, journal entry 17',
} as const

/** The topics of what was said since, in order. */
function topics(night: Night, from: number): string[] {
  return night.said
    .slice(from)
    .map(({ announcement }) => (announcement.type === 'event' ? announcement.topic : announcement.type))
}

async function nightIn(state: string): Promise<Night> {
  const night = await createNight()
  if (state !== 'STANDBY') await night.command('start')
  if (state === 'ENABLED') await night.command('enable')
  return night
}

describe('fault', () => {
  it('11 S: in FAULT processData is refused, and the sentence carries the code and the report', async () => {
    const night = await nightIn('ENABLED')
    night.engine().input(fault, 'engine')
    await night.settled()
    const ack = await night.command('processData', { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'quicklook' })
    expect(ack).toMatchObject({ ack: -302, error: 1, code: 'WRONG_STATE' })
    expect(ack?.result).toContain(`error 3: ${R}`)
    for (const name of ['start', 'enable', 'disable', 'exitControl', 'pause'])
      expect(await night.command(name)).toMatchObject({ ack: -302, code: 'WRONG_STATE' })
  })

  it.each(['STANDBY', 'DISABLED', 'ENABLED'])(
    '21 S: a fault in %s says errorCode, then summaryState 3, each once',
    async state => {
      const night = await nightIn(state)
      const from = night.said.length
      night.engine().input(fault, 'engine')
      await night.settled()
      expect(topics(night, from)).toEqual(['errorCode', 'summaryState'])
      const { errorCode, errorReport, traceback } = fault
      expect(night.events('errorCode').at(-1)).toEqual({ errorCode, errorReport, traceback })
      expect(night.events('summaryState').at(-1)).toEqual({ summaryState: 3 })
    },
  )

  it('23 S: standby recovers and says errorCode 0; a second fault without a traceback does not show the first one', async () => {
    const night = await nightIn('ENABLED')
    night.engine().input(fault, 'engine')
    await night.settled()
    const from = night.said.length
    expect(await night.command('standby')).toMatchObject({ ack: 303 })
    expect(topics(night, from)).toEqual(['summaryState', 'errorCode', 'ack'])
    expect(night.events('errorCode').at(-1)).toEqual({ errorCode: 0, errorReport: '', traceback: '' })
    night.engine().input({ ...fault, traceback: '' }, 'engine')
    await night.settled()
    expect(night.events('errorCode').at(-1)).toEqual({ errorCode: 3, errorReport: R, traceback: '' })
  })

  it('25 S: of two faults at once the first one counts, and there is one transition', async () => {
    const night = await nightIn('ENABLED')
    const from = night.said.length
    night.engine().input(fault, 'engine')
    night.engine().input({ ...fault, errorCode: 1, errorReport: 'the other one' }, 'engine')
    await night.settled()
    expect(topics(night, from)).toEqual(['errorCode', 'summaryState'])
    expect(night.events('errorCode').at(-1)).toMatchObject({ errorCode: 3, errorReport: R })
  })

  it('a machine that breaks brings FAULT with code 3 and the evidence, and the job it broke on has one result', async () => {
    const broken = aPipeline('broken', {})
    // A retry rule no configuration can hold: the machine trips over it when the job has failed.
    Object.defineProperty(broken, 'retries', { get: () => undefined })
    const night = await createNight({ configuration: aConfiguration({ pipelines: { broken } }) })
    await night.enable()
    const ack = await night.command('processData', { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'broken' })
    const jobId = ack?.jobIds[0] ?? ''
    await night.started(jobId)
    const from = night.said.length
    await night.exited(jobId, { exitCode: 1 })
    expect(topics(night, from)).toEqual(expect.arrayContaining(['errorCode', 'summaryState', 'jobResult']))
    expect(night.events('errorCode').at(-1)).toMatchObject({
      errorCode: 3,
      errorReport: expect.stringContaining('job machine') as unknown,
    })
    expect(night.events('summaryState').at(-1)).toEqual({ summaryState: 3 })
    expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'failed', code: 'INTERNAL' } }])
  })

  it('a command a machine breaks on is answered, and not left waiting', async () => {
    const broken = aPipeline('broken')
    Object.defineProperty(broken, 'overrides', { get: () => undefined })
    const night = await createNight({ configuration: aConfiguration({ pipelines: { broken } }) })
    await night.enable()
    const from = night.said.length
    const body = { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'broken', overrides: { threshold: 5 } }
    expect(await night.command('processData', body)).toMatchObject({
      ack: -302,
      error: 1,
      code: 'INTERNAL',
      jobIds: [],
    })
    expect(topics(night, from)).toEqual(['ack', 'errorCode', 'summaryState'])
    expect(night.events('errorCode').at(-1)).toMatchObject({
      errorReport: expect.stringContaining('queue machine') as unknown,
    })
  })

  it('27 B: without any way to start processes the service refuses to start and says what is missing', async () => {
    const host = await startInstance({ instance: 'HOST', initialState: 'STANDBY' })
    const place = makePlace()
    const options = optionsFor(place, { instance: 'NOLAUNCH', natsUrl: host.service.natsUrl })
    const refusal = String(await rejection(startChild(options, { ...process.env, PATH: place.dir })))
    expect(refusal).toMatch(/launcher/i)
    // Nothing of the attempt stays behind: the same name starts at once where there is a launcher.
    const service = await startService(options)
    await service.stop()
    await host.stop()
    place.remove()
  })

  // The one in Perl is not in the cache.
  withCompiler(
    '27 B: a launcher that cannot be kept running puts an ENABLED instance into FAULT 1, and work is refused with the reason',
    async () => {
      const running = await startInstance()
      const cache = join(running.place.dataDir, 'cache')
      const [launcher = ''] = readdirSync(cache)
      rmSync(join(cache, launcher))
      writeFileSync(join(cache, launcher), 'no program', { mode: 0o755 })
      const [ledger = ''] = readdirSync(join(running.service.workDir, '.ledger'))
      process.kill(Number(ledger.split('-')[1]), 'SIGKILL')
      const error = await running.wire.event('errorCode', ({ errorCode }) => errorCode === 1)
      expect(error['errorReport']).toContain('pipelines cannot be started')
      await running.wire.event('summaryState', ({ summaryState }) => summaryState === 3)
      const ack = await running.wire.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'true' })
      expect(ack).toMatchObject({ ack: -302, code: 'WRONG_STATE' })
      expect(ack.result).toContain('pipelines cannot be started')
      await running.stop()
    },
  )
})
