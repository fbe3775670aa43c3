import { describe, expect, test } from 'vitest'
import { createSteppedClock } from '../../src/engine/clock.ts'
import { createWorld } from '../../src/engine/world.ts'
import { elapsedAt, isMark } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { aConfiguration, aPipeline, NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/* Someone sets the wall clock while jobs run and groups wait: a whole instance in memory. */

const HOUR = 3_600_000
const STEPS = [
  ['back an hour', -HOUR],
  ['forward an hour', HOUR],
] as const

/** Lets everything run that needs no clock. */
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

const configuration = aConfiguration({
  pipelines: {
    quicklook: aPipeline('quicklook', { timeLimitMs: 5_000, graceMs: 1_000 }),
    stack: aPipeline('stack', { scope: 'group' }),
  },
})

async function running(options: Parameters<typeof createNight>[0] = {}): Promise<{ night: Night; jobId: string }> {
  const night = await createNight({ configuration, ...options })
  await night.enable()
  const ack = await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'quicklook' })
  const jobId = ack?.jobIds[0] ?? ''
  await night.started(jobId)
  return { night, jobId }
}

describe('a clock that steps changes no duration', () => {
  test.each(STEPS)('the clock steps %s: a time limit of 5 s is kept to the millisecond', async (_, ms) => {
    const { night, jobId } = await running()
    night.clock.step(ms)
    await night.advance(4_999)
    expect(night.state(`job.${jobId}`)).toBe('active.running')
    await night.advance(1)
    expect(night.state(`job.${jobId}`)).toBe('stopping')
  })

  test.each(STEPS)('the clock steps %s before a job begins and back again while it runs', async (_, ms) => {
    const { night, jobId } = await running()
    await night.exited(jobId)
    night.clock.step(ms)
    const ack = await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook' })
    const second = ack?.jobIds[0] ?? ''
    await night.started(second)
    night.clock.step(-ms)
    await night.metric(second, 'psf', 1)
    await night.advance(4_999)
    expect(night.state(`job.${second}`)).toBe('active.running')
    await night.advance(1)
    expect(night.state(`job.${second}`)).toBe('stopping')
  })

  test.each(STEPS)('the clock steps %s while the journal is full: it is tried again after a second', async (_, ms) => {
    const { night, jobId } = await running()
    night.clock.step(ms)
    night.journal.failNext('FULL')
    const metric = { type: 'executor.metric', jobId, attempt: 1, metric: 'psf', value: 1, unit: '' } as const
    const reported = night.report(metric)
    await turn()
    night.clock.step(ms)
    night.clock.advance(999)
    await turn()
    expect(night.entries().at(-1)?.what.type).not.toBe('executor.metric')
    night.clock.advance(1)
    await reported
    expect(night.entries().at(-1)?.what.type).toBe('executor.metric')
  })

  test.each(STEPS)('the clock steps %s and OCPS is restarted: what is due later is not due at once', async (_, ms) => {
    const { night, jobId } = await running()
    night.clock.step(ms)
    await night.advance(1_000)
    await night.metric(jobId, 'psf', 1)
    await night.restart()
    await night.advance(3_999)
    expect(night.state(`job.${jobId}`)).toBe('active.running')
    await night.advance(1)
    expect(night.state(`job.${jobId}`)).toBe('stopping')
  })

  test.each(STEPS)('the clock steps %s while no process runs: the machine knows how long it was', async (_, ms) => {
    const { night, jobId } = await running({ clock: createSteppedClock(NIGHTFALL, 'boot 1') })
    night.engine().stop()
    night.clock.step(ms)
    night.clock.advance(1_000)
    await night.restart()
    await night.advance(3_999)
    expect(night.state(`job.${jobId}`)).toBe('active.running')
    await night.advance(1)
    expect(night.state(`job.${jobId}`)).toBe('stopping')
  })

  test('a process that begins at a mark knows how long it was, too', async () => {
    const clock = createSteppedClock(NIGHTFALL, 'boot 1')
    const marked = { quietAfter: 4, checkpointAfter: 4, entriesPerActor: 0 }
    const { night, jobId } = await running({ clock, marked })
    for (let n = 0; n < 10; n++) await night.command('setLogLevel', { level: 20 })
    const beginning = night.entries().findLast(({ what }) => isMark(what))?.n ?? 0
    expect(beginning).toBeGreaterThan(2)
    night.engine().stop()
    clock.step(HOUR)
    clock.advance(1_000)
    await night.restart()
    await night.advance(3_999)
    expect(night.state(`job.${jobId}`)).toBe('active.running')
    await night.advance(1)
    expect(night.state(`job.${jobId}`)).toBe('stopping')
  })

  test.each(STEPS)('the clock steps %s while a group waits: it closes with its patience', async (_, ms) => {
    const { night } = await running()
    await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook', group: 'G' })
    await night.command('closeGroup', { group: 'G', patience: 3 })
    night.clock.step(ms)
    await night.advance(2_999)
    expect(night.events('groupResult')).toEqual([])
    await night.advance(1)
    expect(night.events('groupResult')).toMatchObject([{ missing: ['E2'] }])
  })

  test('a late clock is corrected: events and job ids have the true time with the next command', async () => {
    const { night } = await running()
    night.clock.step(20 * HOUR)
    const ack = await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook' })
    expect(ack?.jobIds[0]).toMatch(/^20261123-/)
    expect(night.entries().at(-1)).toMatchObject({ at: NIGHTFALL + 20 * HOUR, steppedMs: 20 * HOUR })
  })

  test('a deadline is told to people by the wall clock', async () => {
    const { night, jobId } = await running()
    night.clock.step(HOUR)
    await night.metric(jobId, 'psf', 1)
    const [due] = night.engine().world.actor(`job.${jobId}`)?.timers.values() ?? []
    expect(night.engine().world.onTheWall(due ?? 0)).toBe(NIGHTFALL + HOUR + 5_000)
  })

  test('a journal with steps replays to the same announcements, and from any of its entries on', async () => {
    const { night, jobId } = await running()
    night.clock.step(-HOUR)
    await night.metric(jobId, 'psf', 1)
    night.clock.step(2 * HOUR)
    await night.advance(10_000)
    await night.exited(jobId, { signal: 'SIGTERM' })
    const entries = night.entries()
    const said = (life: Night) => life.said.filter(({ id }) => id !== '').map(one => JSON.stringify(one))
    const world = createWorld({ instance: 'LATISS' })
    const again = entries.flatMap(entry => world.apply(entry)).filter(effect => effect.do === 'announce')
    expect(again.map(({ id, at, announcement }) => JSON.stringify({ id, at, announcement }))).toEqual(
      said(night).map(one => {
        const { id, at, announcement } = JSON.parse(one) as { id: string; at: number; announcement: unknown }
        return JSON.stringify({ id, at, announcement })
      }),
    )
    expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).toSorted((a, b) => a - b))
    for (let cut = 1; cut < entries.length; cut++) {
      const last = entries[cut - 1]
      if (last === undefined) throw new Error(`no entry ${cut}`)
      const clock = createSteppedClock(last.at)
      const next = await createNight({ configuration, journal: createMemoryJournal(entries.slice(0, cut)), clock })
      const first = next.entries()[cut]
      expect(first && elapsedAt(first), `after entry ${cut}`).toBe(elapsedAt(last))
    }
  })
})
