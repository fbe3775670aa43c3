import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { eventually, rejection } from '../bus/eventually.ts'
import { makePlace, optionsFor, startInstance } from '../conformance/instance.ts'
import { connectWire, must, type Wire } from '../conformance/wire.ts'

/*
 * What may be wrong around an instance: no server where one was named, folders that are none, a configuration that is
 * not there, and a server that dies under work.
 */
describe('surroundings', () => {
  it('a server that is not there is named, and the service does not start', async () => {
    const place = makePlace()
    const listening = createServer()
    listening.listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const address = listening.address()
    const port = typeof address === 'object' ? must(address).port : 0
    listening.close()
    await once(listening, 'close')
    const refusal = String(await rejection(startService(optionsFor(place, { natsUrl: `nats://127.0.0.1:${port}` }))))
    expect(refusal).toContain(`127.0.0.1:${port}`)
    place.remove()
  })

  it('a data folder that is a file is named, and the service does not start', async () => {
    const place = makePlace()
    writeFileSync(place.dataDir, '')
    expect(String(await rejection(startService(optionsFor(place))))).toContain(place.dataDir)
    place.remove()
  })

  it('without a configuration the instance stays in STANDBY and says which file is missing, until there is one', async () => {
    const place = makePlace()
    const init = join(place.configDir, '_init.yaml')
    const text = readFileSync(init)
    rmSync(init)
    const service = await startService(optionsFor(place, { initialState: 'ENABLED' }))
    const wire = await connectWire(service.natsUrl, 'LATISS')
    expect(await wire.query('state')).toMatchObject({ summaryState: 'STANDBY' })
    expect(await wire.command('start')).toMatchObject({
      ack: -302,
      code: 'CONFIGURATION_INVALID',
      result: expect.stringContaining('_init.yaml') as unknown,
    })
    writeFileSync(init, text)
    expect(await wire.command('start')).toMatchObject({ ack: 303 })
    await wire.close()
    await service.stop()
    place.remove()
  })

  it('when the server is killed under work, running jobs and queued ones end once each, and the heartbeat comes back', async () => {
    const running = await startInstance({ configurationOverride: 'few.yaml' })
    const { wire, place, service } = running
    const gate = place.gate()
    const submit = async (pipeline: string, overrides: object = {}) =>
      must((await wire.command('processData', { dataId: { obsid: 'E' }, pipeline, overrides })).jobIds[0])
    const ids = [
      await submit('hold', { gate: gate.path }),
      await submit('hold', { gate: gate.path }),
      await submit('true'),
      await submit('fail'),
    ]
    await eventually(
      'both slots are taken',
      () => wire.events('jobState').filter(({ state }) => state === 'running').length === 2,
    )
    const { server } = JSON.parse(readFileSync(join(place.dataDir, 'nats', 'ocps.lock'), 'utf8')) as { server: number }
    process.kill(server, 'SIGKILL')
    gate.open()
    // Another observer from now on: what was said while nobody was connected is kept, and can be asked for.
    let later: Wire | null = null
    await eventually('the server is back', async () => {
      later = await connectWire(service.natsUrl, 'LATISS').catch(() => null)
      return later !== null
    })
    const after = must<Wire>(later)
    await eventually('every job has settled', async () => {
      const answers = await Promise.all(ids.map(jobId => after.query('job', { jobId }).catch(() => null)))
      return answers.every(answer => answer?.['state'] === 'settled')
    })
    const results = await Promise.all(ids.map(jobId => after.query('job', { jobId })))
    expect(results.map(({ outcome }) => (outcome as { kind: string }).kind)).toEqual([
      'succeeded',
      'succeeded',
      'succeeded',
      'failed',
    ])
    expect(results.every(({ attempt }) => attempt === 1)).toBe(true)
    const beats = after.events('heartbeat').length
    await eventually('a heartbeat', () => after.events('heartbeat').length > beats)
    expect(await after.query('state')).toMatchObject({ summaryState: 'ENABLED', queue: { running: 0, waiting: 0 } })
    const heard = [...wire.events('jobResult'), ...after.events('jobResult')].map(({ jobId }) => jobId)
    expect(new Set(heard).size).toBe(heard.length)
    await after.close()
    await running.stop()
  })
})
