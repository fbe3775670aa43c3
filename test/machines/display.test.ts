import { describe, expect, test } from 'vitest'
import type { DisplayImage } from '../../machines/domain/announcements.ts'
import type { Interest } from '../../machines/domain/configuration.ts'
import { aConfiguration, given, loaded, transitionsNotTaken } from '../harness.ts'
import { createNight } from '../night.ts'
import { tableProblems } from './table.ts'

const interest = (changes: Partial<Interest> = {}): Interest => ({
  view: 'newest',
  dataset: 'preview',
  instrument: null,
  detector: null,
  ...changes,
})

/** An image of exposure seqNum of one night, made by a job accepted as number `job`. */
function image(seqNum: number, changes: Partial<DisplayImage> & { job?: number; detector?: number } = {}) {
  const { job = seqNum, detector = null, ...rest } = changes
  return {
    jobId: jobId(job),
    dataId: { instrument: 'LATISS', obsid: obsid(seqNum), group: null, detector },
    pipeline: 'quicklook',
    dataset: 'preview',
    path: 'preview.png',
    mime: 'image/png',
    ...rest,
  }
}

const obsid = (seqNum: number, night = 20_261_122) => `AT_O_${night}_${String(seqNum).padStart(6, '0')}`
const jobId = (n: number) => `20261122-${String(n).padStart(6, '0')}`
const offer = (one: DisplayImage) => ({ type: 'display.offer', image: one }) as const
const configure = (...interests: Interest[]) => ({ type: 'display.configure', interests }) as const
const display = (...interests: Interest[]) => given('display', { interests })
const requests = (emissions: readonly object[]) => emissions as { key: string; body: { image: DisplayImage | null } }[]

describe('the display', () => {
  test('asks the views that are interested in a dataset to show it, and no other', () => {
    const wall = display(
      interest({ view: 'any' }),
      interest({ view: 'latiss', instrument: 'LATISS' }),
      interest({ view: 'comcam', instrument: 'LSSTComCam' }),
      interest({ view: 'detector4', detector: 4 }),
      interest({ view: 'detector5', detector: 5 }),
      interest({ view: 'residuals', dataset: 'residual' }),
    )
    const said = requests(wall.when(offer(image(1, { detector: 4 }))).emissions)
    expect(said.map(({ key }) => key)).toEqual(['any', 'latiss', 'detector4'])
    expect(said[0]).toEqual({
      type: 'event',
      topic: 'displayRequest',
      key: 'any',
      body: { view: 'any', image: image(1, { detector: 4 }) },
    })
  })

  test('shows the newest exposure: one that comes late does not replace a newer one', () => {
    const after = display(interest()).when(offer(image(18)), offer(image(17, { job: 30 })))
    expect(after.emissions).toHaveLength(1)
    expect(after.context.shown['newest']?.dataId.obsid).toBe(obsid(18))
    const next = after.when(offer(image(19, { job: 2 })))
    expect(next.context.shown['newest']?.dataId.obsid).toBe(obsid(19))
  })

  test('the first exposure of a night is newer than the last one of the night before', () => {
    const before = { ...image(900).dataId, obsid: obsid(900, 20_261_121) }
    const after = display(interest()).when(offer(image(1)), offer(image(900, { dataId: before })))
    expect(after.context.shown['newest']?.dataId.obsid).toBe(obsid(1))
  })

  test('of one exposure the job that was accepted last counts, and of its jobs whichever came last', () => {
    const again = display(interest()).when(offer(image(17, { job: 1_000_000 })), offer(image(17, { job: 999_999 })))
    expect(again.context.shown['newest']?.jobId).toBe(jobId(1_000_000))
    const detectors = display(interest()).when(
      offer(image(17, { jobId: `${jobId(3)}-10`, detector: 10 })),
      offer(image(17, { jobId: `${jobId(3)}-9`, detector: 9 })),
    )
    expect(detectors.context.shown['newest']?.dataId.detector).toBe(9)
  })

  test('where an obsid says nothing of time, the job that was accepted last counts', () => {
    const named = (name: string, job: number) => {
      const one = image(1, { job })
      return { ...one, dataId: { ...one.dataId, obsid: name } }
    }
    const after = display(interest()).when(offer(named('M13_b', 7)), offer(named('M13_a', 6)), offer(named('M13_c', 5)))
    expect(after.context.shown['newest']?.dataId.obsid).toBe('M13_b')
  })

  test('the combined image of a later group replaces that of an earlier one, its second revision the first', () => {
    const combined = (job: number, revision: number) => {
      const one = image(1, { jobId: `${jobId(job)}-g${revision}` })
      return { ...one, dataId: { ...one.dataId, obsid: null, group: `G${job}` } }
    }
    const shown = display(interest()).when(offer(combined(9, 1)), offer(combined(3, 1)), offer(combined(9, 2)))
    expect(shown.context.shown['newest']?.jobId).toBe(`${jobId(9)}-g2`)
  })

  test('a view that is named by two interests shows the newest of both, once', () => {
    const both = display(interest(), interest({ dataset: 'residual' }), interest({ instrument: 'LATISS' }))
    const after = both.when(offer(image(1)), offer(image(2, { dataset: 'residual' })))
    expect(requests(after.emissions).map(({ body }) => body.image?.dataset)).toEqual(['preview', 'residual'])
  })

  test('another configuration begins with empty views; without interests it is over', () => {
    const shown = display(interest()).when(offer(image(17)))
    const afresh = shown.when(configure(interest()))
    expect(requests(afresh.emissions)).toMatchObject([{ key: 'newest', body: { view: 'newest', image: null } }])
    expect(afresh.when(offer(image(2))).context.shown['newest']?.dataId.obsid).toBe(obsid(2))
    const over = shown.when(configure())
    expect(requests(over.emissions)).toMatchObject([{ key: 'newest', body: { image: null } }])
    expect(over.state).toBe('over')
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('display')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('display')).toEqual([])
  })
})

describe('the display of an instance', () => {
  const dataset = (of: string, attempt = 1) =>
    ({ type: 'executor.dataset', jobId: of, attempt, dataset: 'preview', path: 'p.png', mime: 'image/png' }) as const

  async function nightWith(interests: readonly Interest[]) {
    const night = await createNight({
      configuration: aConfiguration({ display: interests }),
      overrides: { 'none.yaml': loaded(aConfiguration({ display: [] })) },
    })
    await night.enable()
    const submit = async (seqNum: number) => {
      const ack = await night.command('processData', { dataId: { obsid: obsid(seqNum) }, pipeline: 'quicklook' })
      const id = ack?.jobIds[0] ?? ''
      await night.started(id)
      return id
    }
    return { night, submit }
  }

  test('is said per view, as soon as the dataset is', async () => {
    const { night, submit } = await nightWith([interest()])
    const job = await submit(17)
    await night.report(dataset(job))
    expect(night.events('displayRequest', 'newest')).toMatchObject([{ image: { jobId: job, path: 'p.png' } }])
    expect(night.said.slice(-2).map(({ announcement: { type } }) => type)).toEqual(['telemetry', 'event'])
  })

  test('is not there without interests, and says nothing', async () => {
    const { night, submit } = await nightWith([])
    await night.report(dataset(await submit(17)))
    expect(night.state('display')).toBeUndefined()
    expect(night.events('displayRequest')).toEqual([])
  })

  test('ends with the interests of a configuration, and comes back with them', async () => {
    const { night, submit } = await nightWith([interest()])
    await night.report(dataset(await submit(17)))
    for (const name of ['disable', 'standby']) await night.command(name)
    await night.command('start', { configurationOverride: 'none.yaml' })
    expect(night.state('display')).toBeUndefined()
    expect(night.events('displayRequest').at(-1)).toEqual({ view: 'newest', image: null })
    await night.command('standby')
    await night.enable()
    expect(night.state('display')).toBe('watching')
  })

  test('remembers through a restart what it shows', async () => {
    const { night, submit } = await nightWith([interest()])
    const [older, newer] = [await submit(17), await submit(18)]
    await night.report(dataset(newer))
    await night.restart()
    await night.report(dataset(older))
    expect(night.events('displayRequest')).toHaveLength(1)
  })

  test('one that breaks touches neither the job nor the CSC', async () => {
    // No loader lets this through; a defect of ours would.
    const { night, submit } = await nightWith([null as unknown as Interest])
    const job = await submit(17)
    await night.report(dataset(job))
    await night.exited(job)
    expect(night.events('jobResult', job)).toMatchObject([
      { outcome: { kind: 'succeeded' }, datasets: [{ path: 'p.png' }] },
    ])
    expect(night.state('csc')).toBe('enabled')
    expect(night.events('displayRequest')).toEqual([])
  })
})
