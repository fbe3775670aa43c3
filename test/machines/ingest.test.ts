import { describe, expect, test } from 'vitest'
import { builtIn, type Camera } from '../../machines/domain/camera.ts'
import type { DataId } from '../../machines/domain/dataId.ts'
import { EXPOSURES_MAX } from '../../machines/ingest.ts'
import type { DataOrder } from '../../machines/ports.ts'
import { aConfiguration, given, loaded, transitionsNotTaken } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import { tableProblems } from './table.ts'

/** Two sensors, both expected; and a third that no exposure waits for. */
const two: Camera = { name: 'two', detectors: { R22_S00: 0, R22_S01: 1, R00_SG0: 7 }, expected: [0, 1] }

const OBSID = 'CC_O_20261122_000017'
const dataId = (detector: number | null, obsid = OBSID): DataId => ({
  instrument: 'LSSTComCam',
  obsid,
  group: null,
  detector,
})
const look = (jobId: string, detector: number | null = null, obsid = OBSID) =>
  ({ type: 'data.look', jobId, dataId: dataId(detector, obsid) }) as const
const image = (sensor: string, obsid = OBSID) => ({ obsid, raft: sensor.slice(0, 3), sensor: sensor.slice(4) })
const ingested = (...images: ReturnType<typeof image>[]) => ({ type: 'data.ingested', images }) as const
const present = (jobId: string) => ({ type: 'tell', to: `job.${jobId}`, message: { type: 'data.present', jobId } })
const ingest = (camera = two) => given('ingest', { camera })

describe('what was ingested', () => {
  test('an exposure is ready when the last of its expected detectors is in, whatever came first and however often', () => {
    const waiting = ingest().when(look('a'))
    expect(waiting.emissions).toEqual([
      { type: 'data.look', jobId: 'a', dataId: dataId(null), detectors: [0, 1] } satisfies DataOrder,
    ])
    const half = waiting.when(ingested(image('R22_S01'), image('R22_S01')), ingested(image('R22_S01')))
    expect(half.emissions).toEqual([])
    expect(half.when(ingested(image('R22_S00'))).emissions).toEqual([present('a')])
  })

  test('a job of one detector is ready when that one is in, expected of exposures or not', () => {
    const waiting = ingest().when(look('a', 1), look('b', 7))
    expect(waiting.when(ingested(image('R22_S00'))).emissions).toEqual([])
    expect(waiting.when(ingested(image('R22_S01'))).emissions).toEqual([present('a')])
    expect(waiting.when(ingested(image('R00_SG0'))).emissions).toEqual([present('b')])
  })

  test('a job that asks after the fact is told at once, and nobody has to look', () => {
    const both = ingest().when(ingested(image('R22_S00'), image('R22_S01')))
    expect(both.when(look('a')).emissions).toEqual([present('a')])
  })

  test('a sensor that the camera does not have is nobody', () => {
    const after = ingest().when(ingested(image('R43_S22'), image('__proto___'), image('R22_S11')))
    expect(after.context.exposures).toEqual([])
  })

  test('other exposures do not count', () => {
    const waiting = ingest().when(look('a'))
    expect(waiting.when(ingested(image('R22_S00', 'X'), image('R22_S01', 'X'))).emissions).toEqual([])
  })

  test('a job that waits no more is forgotten, here and by the locator; one that never did costs nothing', () => {
    const forgotten = ingest().when(look('a')).when({ type: 'data.forget', jobId: 'a' })
    expect(forgotten.emissions).toEqual([{ type: 'data.forget', jobId: 'a' }])
    expect(forgotten.when(ingested(image('R22_S00'), image('R22_S01'))).emissions).toEqual([])
    expect(ingest().when({ type: 'data.forget', jobId: 'b' }).emissions).toEqual([])
  })

  test(`only the last ${EXPOSURES_MAX} exposures are remembered`, () => {
    const names = Array.from({ length: EXPOSURES_MAX + 5 }, (_, index) => `E${index}`)
    const after = ingest().when(...names.map(obsid => ingested(image('R22_S00', obsid), image('R22_S01', obsid))))
    expect(after.context.exposures.map(([obsid]) => obsid)).toEqual(names.slice(5))
  })

  test('has the locator report the sensors of the camera, from the beginning', () => {
    expect(ingest().emissions).toEqual([{ type: 'data.follow', sensors: ['R22_S00', 'R22_S01', 'R00_SG0'] }])
  })

  test('the same camera configured again forgets nothing', () => {
    const half = ingest().when(look('a'), ingested(image('R22_S00')))
    const again = half.when({ type: 'ingest.configure', camera: { ...two } })
    expect(again.emissions).toEqual([])
    expect(again.when(ingested(image('R22_S01'))).emissions).toEqual([present('a')])
  })

  test('another camera begins afresh, and who waits is looked for again with its detectors', () => {
    const other = builtIn('LSSTComCam')
    const after = ingest()
      .when(look('a'), ingested(image('R22_S00')))
      .when({ type: 'ingest.configure', camera: other })
    expect(after.context.exposures).toEqual([])
    expect(after.emissions).toEqual([
      { type: 'data.follow', sensors: Object.keys(other.detectors) },
      { type: 'data.look', jobId: 'a', dataId: dataId(null), detectors: other.expected },
    ])
  })

  test('without a camera it is over, and the locator goes on alone with those who wait', () => {
    const over = ingest().when(look('a')).when({ type: 'ingest.configure', camera: null })
    expect(over.state).toBe('over')
    expect(over.emissions).toEqual([{ type: 'data.follow', sensors: [] }, look('a')])
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('ingest')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('ingest')).toEqual([])
  })
})

describe('an instance with a camera', () => {
  const submit = async (night: Night, body: object) =>
    (await night.command('processData', { pipeline: 'quicklook', ...body }))?.jobIds[0] ?? ''
  const waitFor = { readiness: { waitFor: 60 } }
  const looks = (night: Night) => night.orders().filter(({ type }) => type === 'data.look')

  async function nightWith(camera: Camera | null) {
    const night = await createNight({
      configuration: aConfiguration({ camera, dataPath: '/raw/{obsid}_{detector}.fits' }),
      overrides: { 'none.yaml': loaded(aConfiguration({ camera: null })) },
    })
    await night.enable()
    return night
  }

  test('starts a job when all its detectors are in, and remembers them over a restart', async () => {
    const night = await nightWith(two)
    const job = await submit(night, { dataId: { obsid: OBSID }, ...waitFor })
    expect(night.state(`job.${job}`)).toBe('held.awaitingData')
    await night.report(ingested(image('R22_S00')))
    await night.restart()
    expect(night.orders().slice(0, 2)).toEqual([
      { type: 'data.follow', sensors: Object.keys(two.detectors) },
      {
        type: 'data.look',
        jobId: job,
        dataId: { instrument: 'LATISS', obsid: OBSID, group: null, detector: null },
        detectors: [0, 1],
        dataPath: '/raw/{obsid}_{detector}.fits',
      },
    ])
    expect(night.state(`job.${job}`)).toBe('held.awaitingData')
    await night.report(ingested(image('R22_S01')))
    expect(night.state(`job.${job}`)).toMatch(/^active/)
    const later = await submit(night, { dataId: { obsid: OBSID }, readiness: 'skip' })
    expect(night.state(`job.${later}`)).toMatch(/^active/)
  })

  test('what the locator finds on the path counts as well', async () => {
    const night = await nightWith(two)
    const job = await submit(night, { dataId: { obsid: OBSID }, ...waitFor })
    expect(looks(night)).toHaveLength(1)
    await night.report({ type: 'data.present', jobId: job })
    expect(night.state(`job.${job}`)).toMatch(/^active/)
  })

  test('without a camera the locator is asked as before, and reports of images are nobody’s', async () => {
    const night = await nightWith(null)
    const job = await submit(night, { dataId: { obsid: OBSID }, ...waitFor })
    expect(looks(night)).toMatchObject([{ jobId: job }])
    expect(looks(night)[0]).not.toHaveProperty('detectors')
    await night.report(ingested(image('R22_S00'), image('R22_S01')))
    expect(night.state(`job.${job}`)).toBe('held.awaitingData')
    expect(night.state('ingest')).toBeUndefined()
  })

  test('a reload that takes the camera away hands over to the locator', async () => {
    const night = await nightWith(two)
    for (const name of ['disable', 'standby']) await night.command(name)
    await night.command('start', { configurationOverride: 'none.yaml' })
    expect(night.state('ingest')).toBeUndefined()
    expect(night.orders().at(-1)).toEqual({ type: 'data.follow', sensors: [] })
  })

  test('where the locator says where the data are, the job is started with that', async () => {
    const night = await nightWith(null)
    const inputs = { input: '/elsewhere/17.fits' }
    for (const type of ['data.present', 'data.located'] as const) {
      const job = await submit(night, { dataId: { obsid: OBSID }, ...waitFor })
      await night.report({ type, jobId: job, inputs })
      expect(night.orders().at(-1)).toMatchObject({ type: 'executor.start', jobId: job, inputs })
      await night.succeeds(job)
    }
    const plain = await submit(night, { dataId: { obsid: OBSID } })
    expect(night.orders().at(-1)).toMatchObject({ type: 'executor.start', jobId: plain })
    expect(night.orders().at(-1)).not.toHaveProperty('inputs')
  })
})

describe('a camera', () => {
  test('LSSTCam has 189 science detectors, numbered as the Butler does; LSSTComCam nine; LATISS one with two names', () => {
    const { detectors, expected } = builtIn('LSSTCam')
    expect(expected).toEqual(Array.from({ length: 189 }, (_, number) => number))
    expect(detectors).toMatchObject({ R01_S00: 0, R22_S11: 94, R43_S22: 188 })
    expect(builtIn('LSSTComCam').detectors).toMatchObject({ R22_S00: 0, R22_S22: 8 })
    expect(builtIn('LATISS')).toMatchObject({ detectors: { R00_S00: 0, RXX_S00: 0 }, expected: [0] })
  })
})
