import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { connectNats } from '../../src/bus/nats.ts'
import { startService } from '../../src/instance/start.ts'
import { startOods } from '../../src/sim/oods.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'
import { makePlace, optionsFor, startInstance } from './instance.ts'
import { connectWire, must, type Fields } from './wire.ts'

const cleanUp = cleanUpAfterEach()
const outcome = (result: Fields) => result['outcome'] as Fields

/*
 * Readiness at a site with a camera of two sensors, by events as ctrl_oods sends them, over a restart and with an event
 * that nobody heard.
 */
it('a job waits for all detectors of its exposure; a restart forgets none, and finds what was ingested meanwhile', async () => {
  const running = await startInstance()
  cleanUp(() => running.stop())
  const { natsUrl } = running.service
  const place = makePlace()
  cleanUp(() => place.remove())
  const raw = join(place.dir, 'raw')
  mkdirSync(raw)
  const written = (obsid: string, detector: number) => writeFileSync(join(raw, `${obsid}_${detector}.fits`), '')
  writeFileSync(
    join(place.configDir, 'camera.yaml'),
    stringify({
      dataPath: join(raw, '{obsid}_{detector}.fits'),
      camera: { detectors: { R22_S00: 0, R22_S01: 1, R00_SG0: 7 }, expected: [0, 1] },
    }),
  )
  const options = optionsFor(place, { instance: 'CAM', natsUrl, configurationOverride: 'camera.yaml' })
  let service = await startService(options)
  cleanUp(() => service.stop())
  const wire = await connectWire(natsUrl, 'CAM')
  cleanUp(() => wire.close())
  const say = (obsid: string, raft: string, sensor: string, statusCode = 0) =>
    wire.connection.publish(
      'oods.CCOODS.evt.imageInOODS',
      JSON.stringify({ camera: 'LSSTComCam', obsid, raft, sensor, statusCode, description: 'file ingested' }),
    )
  const submit = async (obsid: string, detector?: number) => {
    const dataId = { obsid, ...(detector !== undefined && { detector }) }
    const ack = await wire.command('processData', { dataId, pipeline: 'data', readiness: { waitFor: 60 } })
    const jobId = must(ack.jobIds[0])
    await wire.event('jobState', state => state['jobId'] === jobId && state['state'] === 'held')
    return jobId
  }
  const stateOf = async (jobId: string) => (await wire.query('job', { jobId }))['state']

  const whole = await submit('E1')
  const one = await submit('E1', 1)
  const guider = await submit('E1', 7)
  say('E1', 'R22', 'S00', 1)
  say('E1', 'R22', 'S01')
  expect(outcome(await wire.result(one))).toMatchObject({ kind: 'succeeded' })
  say('E1', 'R00', 'SG0')
  expect(outcome(await wire.result(guider))).toMatchObject({ kind: 'succeeded' })
  expect(await stateOf(whole)).toBe('held')

  const missed = await submit('E2')
  await service.stop()
  for (const detector of [0, 1]) written('E2', detector)
  service = await startService(options)
  expect(outcome(await wire.result(missed))).toMatchObject({ kind: 'succeeded' })
  expect(await stateOf(whole)).toBe('held')
  say('E1', 'R22', 'S00')
  expect(outcome(await wire.result(whole))).toMatchObject({ kind: 'succeeded' })

  const bus = await connectNats({ url: natsUrl, name: 'test.oods' })
  cleanUp(() => bus.close())
  const simulated = startOods({ bus, name: 'LSSTComCam', sensors: ['R22_S00', 'R22_S01'], ingestMs: 0 })
  cleanUp(() => simulated.close())
  const last = await submit('E3')
  wire.connection.publish('camera.LSSTComCam.evt.endReadout', JSON.stringify({ imageName: 'E3' }))
  expect(outcome(await wire.result(last))).toMatchObject({ kind: 'succeeded' })
})
