import { describe, expect, test } from 'vitest'
import { detectorExposures, planeOf } from '../../src/night/focalPlane.ts'
import { createNight as createShown, type JobRecord, type Night as Shown } from '../../src/night/night.ts'
import { blinkable, setsOf, viewsOf } from '../../src/night/pictures.ts'
import { newestDay, outliersOf, seriesOf } from '../../src/night/series.ts'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/* What images, focal plane and metrics show, read from a folded night. */

const obsid = (seqNum: number) => `AT_O_20261122_${String(seqNum).padStart(6, '0')}`

async function enabled(): Promise<Night> {
  const night = await createNight({
    configuration: aConfiguration({
      slots: 100,
      display: [
        { view: 'newest', dataset: 'preview', instrument: null, detector: null },
        { view: 'centre', dataset: 'preview', instrument: 'LATISS', detector: 4 },
      ],
      pipelines: {
        quicklook: aPipeline('quicklook'),
        isr: aPipeline('isr', { scope: 'detector' }),
        stack: aPipeline('stack', { scope: 'group' }),
      },
    }),
  })
  await night.enable()
  return night
}

async function run(night: Night, seqNum: number, more: object = {}, detector?: number | readonly number[]) {
  const dataId = { obsid: obsid(seqNum), ...(detector === undefined ? {} : { detector }) }
  const pipeline = detector === undefined ? 'quicklook' : 'isr'
  const ack = await night.command('processData', { dataId, pipeline, ...more })
  const jobIds = ack?.jobIds ?? []
  for (const jobId of jobIds) await night.started(jobId)
  return jobIds
}

const dataset = (night: Night, jobId: string, name = 'preview', mime = 'image/png') =>
  night.report({ type: 'executor.dataset', jobId, attempt: 1, dataset: name, path: `${name}.png`, mime })

function shown(night: Night): Shown {
  const page = createShown('LATISS')
  for (const entry of night.entries()) page.apply(entry)
  return page
}

describe('images', () => {
  test('of a group come in the order they were observed, behind their combined image', async () => {
    const night = await enabled()
    const [later = ''] = await run(night, 18, { group: 'G#1' })
    const [earlier = ''] = await run(night, 17, { group: 'G#1' })
    for (const jobId of [later, earlier]) {
      await dataset(night, jobId)
      await dataset(night, jobId, 'catalogue', 'text/csv')
      await night.exited(jobId)
    }
    const ack = await night.command('closeGroup', { group: 'G#1', pipeline: 'stack' })
    expect(ack?.ack).toBe(303)
    const combined = `${later}-g1`
    await night.started(combined)
    await dataset(night, combined)
    const [set] = setsOf(shown(night), 'group')
    expect(set?.title).toBe('Group G#1')
    expect(set?.pictures.map(({ name }) => name)).toEqual(['combined (preview)', obsid(17), obsid(18)])
    const [first, second] = set?.pictures ?? []
    expect(first && blinkable(set?.pictures ?? [], first).map(({ jobId }) => jobId)).toEqual([earlier, later])
    expect(second && blinkable(set?.pictures ?? [], second).map(({ jobId }) => jobId)).toEqual([earlier, later])
    expect(setsOf(shown(night), 'exposure').map(({ title }) => title)).toEqual([
      'Group G#1',
      `Exposure ${obsid(17)}`,
      `Exposure ${obsid(18)}`,
    ])
  })

  test('are compared by blinking with the same detector of other exposures only', async () => {
    const night = await enabled()
    for (const seqNum of [17, 18])
      for (const jobId of await run(night, seqNum, { group: 'G#1' }, [3, 4])) await dataset(night, jobId)
    const { pictures = [] } = setsOf(shown(night), 'group')[0] ?? {}
    const [picture] = pictures.filter(({ dataId }) => dataId.detector === 4)
    expect(picture && blinkable(pictures, picture).map(({ name }) => name)).toEqual([
      `${obsid(17)} · 4`,
      `${obsid(18)} · 4`,
    ])
  })

  test('of a view are the newest exposure that it is interested in', async () => {
    const night = await enabled()
    const [newer = ''] = await run(night, 18)
    const [older = ''] = await run(night, 17)
    await dataset(night, newer)
    await dataset(night, older)
    expect(viewsOf(shown(night))).toMatchObject([
      { view: 'newest', wants: 'preview', picture: { jobId: newer } },
      { view: 'centre', wants: 'preview LATISS detector 4', picture: null },
    ])
  })
})

describe('the focal plane', () => {
  test("of LSSTCam has 21 rafts of nine, detector 94 in its middle, and corner detectors only where they're processed", () => {
    const { places, width, height } = planeOf('LSSTCam', [0, 94])
    expect(places).toHaveLength(189)
    const at = (detector: number) => places.find(one => one.detector === detector)
    expect(at(94)).toMatchObject({ name: 'R22_S11', x: width / 2 - 0.5, y: height / 2 - 0.5 })
    // Lowest row of rafts, second column, its lower left detector.
    expect(at(0)).toMatchObject({ name: 'R01_S00', x: 3.25, y: height - 1 })
    expect(at(188)).toMatchObject({ name: 'R43_S22' })
    expect(planeOf('LSSTCam', [189]).places.at(-1)).toMatchObject({ name: 'R00_SG0' })
    expect(new Set(places.map(({ x, y }) => `${x} ${y}`)).size).toBe(189)
  })

  test('of any camera with 189 detectors is that one; of others a grid as near to a square as can be', () => {
    expect(
      planeOf(
        'Other',
        Array.from({ length: 189 }, (_, n) => n),
      ).places[0]?.name,
    ).toBe('R01_S00')
    const { width, height, places } = planeOf('LSSTComCam', [8, 0, 1, 2, 3, 4, 5, 6, 7])
    expect([width, height]).toEqual([3, 3])
    expect(places.find(({ detector }) => detector === 5)).toMatchObject({ x: 2, y: 1 })
    // A number no camera has.
    expect(planeOf('LSSTCam', [0, 9_999]).places).toHaveLength(2)
  })

  test('shows of each detector the newest job, and the exposure that was observed last first', async () => {
    const night = await enabled()
    await run(night, 18, {}, [0, 1])
    await run(night, 17, {}, [0])
    const [again = ''] = await run(night, 18, {}, 1)
    await run(night, 19)
    const exposures = detectorExposures(shown(night))
    expect(exposures.map(one => one.obsid)).toEqual([obsid(18), obsid(17)])
    expect(exposures[0]?.pipelines.get('isr')?.get(1)?.jobId).toBe(again)
  })
})

describe('metrics', () => {
  const SEEING = [1.1, 1.2, 1.15, 1.25, 1.18, 1.22, 1.13, 1.19, 1.21]

  async function measured(values: readonly (number | 'NaN')[]): Promise<readonly JobRecord[]> {
    const night = await enabled()
    for (const [at, value] of values.entries()) {
      const [jobId = ''] = await run(night, at + 1)
      await night.metric(jobId, 'psf.fwhm', value, 'arcsec')
    }
    return [...shown(night).jobs.values()]
  }

  test('one far from the others of its pipeline is out of the ordinary, however many sigmas it is', async () => {
    const [series] = seriesOf(await measured([...SEEING, 4.2, 'NaN']), 'sequence')
    expect(series).toMatchObject({ metric: 'psf.fwhm', unit: 'arcsec', perDetector: [] })
    expect(series?.points.map(({ x }) => x)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(series?.points.at(-1)?.value).toBeNull()
    const outliers = series ? outliersOf(series) : []
    expect(outliers.map(({ value, point }) => [value, point.job.context.dataId.obsid])).toEqual([[4.2, obsid(10)]])
    expect(outliers[0]?.sigmas).toBeGreaterThan(5)
  })

  test('of few values, and where most are the same, none is', async () => {
    const few = seriesOf(await measured([1, 1.1, 9]), 'time')[0]
    const same = seriesOf(await measured([3, 3, 3, 3, 3, 3, 3, 3, 3, 9]), 'time')[0]
    expect([few, same].map(series => series && outliersOf(series))).toEqual([[], []])
  })

  test('over sequence numbers only the newest observing day counts', async () => {
    const night = await enabled()
    const other = await night.command('processData', {
      dataId: { obsid: 'AT_O_20261121_000900' },
      pipeline: 'quicklook',
    })
    const [before = ''] = other?.jobIds ?? []
    await night.started(before)
    await night.metric(before, 'stars', 10)
    const [jobId = ''] = await run(night, 3)
    await night.metric(jobId, 'stars', 12)
    const jobs = [...shown(night).jobs.values()]
    expect(newestDay(jobs)).toBe(20_261_122)
    expect(seriesOf(jobs, 'sequence')[0]?.points.map(({ x, value }) => [x, value])).toEqual([[3, 12]])
    expect(seriesOf(jobs, 'time')[0]?.points).toHaveLength(2)
  })
})
