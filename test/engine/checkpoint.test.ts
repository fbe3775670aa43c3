import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/journal/entry.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { createAssembly, inParts } from '../../src/engine/checkpoint.ts'
import { fromSharedJson, toSharedJson } from '../../src/engine/sharing.ts'
import { createWorld, type World } from '../../src/engine/world.ts'
import { readRecording } from '../../src/journal/recording.ts'
import { createNight, type Night } from '../night.ts'

/*
 * A night that never rests: the engine writes down all that is open, and who begins there goes on exactly as who has
 * lived until there.
 */

describe('an object that is held in several places', () => {
  test('is written once, and is one object again when it is read', () => {
    const pipeline = { name: 'quicklook', command: ['/bin/true'], inner: { deep: true } }
    const value = {
      jobs: [
        { pipeline, at: 1 },
        { pipeline, at: 2 },
      ],
      inner: pipeline.inner,
      nothing: null,
    }
    const text = toSharedJson(value)
    expect(text.match(/quicklook/g)).toHaveLength(1)
    const back = fromSharedJson(text) as typeof value
    expect(back).toEqual(value)
    expect(back.jobs[0]?.pipeline).toBe(back.jobs[1]?.pipeline)
    expect(back.inner).toBe(back.jobs[0]?.pipeline.inner)
  })

  test('may have fields of any name', () => {
    const odd = { $: 3, of: 'x' }
    const value = { one: odd, other: odd, alone: { $: { $: 0 } }, list: [[], {}] }
    expect(fromSharedJson(toSharedJson(value))).toEqual(value)
  })
})

const folder = new URL('../scenarios/', import.meta.url).pathname
const CUTS = 12

describe.each(readdirSync(folder).filter(name => name.endsWith('.ndjson.gz')))('%s', name => {
  test('who begins at a checkpoint says what is said by who has lived until there', async () => {
    const entries: Entry[] = []
    for await (const entry of readRecording(folder + name)) entries.push(entry)
    let busy = 0
    for (let cut = 1; cut < CUTS; cut++) {
      const at = Math.floor((entries.length * cut) / CUTS)
      const lived = createWorld({ instance: 'LATISS' })
      for (const entry of entries.slice(0, at)) lived.apply(entry)
      busy += lived.quiet() === null ? 1 : 0
      const parts = checkpointOf(lived, entries[at - 1])
      const begun = createWorld({ instance: 'LATISS' })
      for (const part of parts) {
        expect(lived.apply(part)).toEqual([])
        // What is in a journal has been JSON.
        expect(begun.apply(JSON.parse(JSON.stringify(part)))).toEqual([])
      }
      for (const entry of entries.slice(at)) expect(begun.apply(entry)).toEqual(lived.apply(entry))
      expect(begun.whole()).toEqual(lived.whole())
    }
    // The quietest of the nights rests most of the time.
    expect(busy).toBeGreaterThan(0)
  })
})

describe('an instance that never rests', () => {
  test('writes down all that is open, and a restart begins there and loses nothing', async () => {
    const { night, running, waiting } = await busyNight()
    const [first] = await begun(night)
    expect(first).toMatchObject({ type: 'engine.checkpoint', part: 1 })
    const before = night.engine().world.whole()
    await night.restart()
    expect(dumpOf(night)).toEqual({ ...before })
    expect(night.adopted()).toMatchObject([{ start: { jobId: running }, reportsHeard: REPORTS }])

    await night.exited(running)
    expect(night.state(`job.${waiting}`)).toBe('active.starting')
    await night.succeeds(waiting)
    expect(night.events('jobResult')).toHaveLength(2)
    expect(night.events('groupState', 'G#1').at(-1)?.settled).toBe(1)
  })

  test('answers a command sent again after such a restart, and does not execute it', async () => {
    const { night, running } = await busyNight()
    await night.restart()
    const again = await night.command('processData', ASKED, { id: 'first' })
    expect(again).toMatchObject({ ack: 303, jobIds: [running] })
    expect([...night.engine().world.actors('job')]).toHaveLength(2)
  })

  test('says again what was not known to be heard when it was written', async () => {
    let onTheWay: Numbered[] = []
    const { night, running } = await busyNight(() => onTheWay)
    const events = night.said.filter(({ announcement }) => announcement.type === 'event')
    onTheWay = events.slice(-2)
    // As many entries again, and another checkpoint is due.
    await reports(night, running)
    const told = night.said.length
    await night.restart({ lastSaid: onTheWay[0]?.id ?? null })
    expect(night.said[told]).toEqual(onTheWay[1])
  })

  test('remembers after a checkpoint who ended long before it', async () => {
    const night = await createNight()
    await night.enable()
    const [first = ''] = (await night.command('processData', ASKED))?.jobIds ?? []
    await night.succeeds(first)
    for (let at = 0; at < 1_100; at++) {
      const [jobId = ''] = (await night.command('processData', { ...ASKED, dataId: { obsid: `F${at}` } }))?.jobIds ?? []
      await night.succeeds(jobId)
    }
    const { world } = night.engine()
    for (const part of checkpointOf(world, night.entries().at(-1))) world.apply(part)
    expect(world.ended(`job.${first}`)).toMatchObject({ how: 'done' })
  })

  test('of other machines is passed over, unless it is all there is', () => {
    const other = createWorld({ instance: 'LATISS' })
    const mark = checkpointOf(other, undefined).map(({ what, ...where }) => {
      if (what.type !== 'engine.checkpoint') throw new Error('not a checkpoint')
      return { ...where, what: { ...what, machines: 'other', text: what.text.replace('"standby"', '"elsewhere"') } }
    })
    const lived = createWorld({ instance: 'LATISS' })
    lived.apply({ n: 1, at: 0, door: 'engine', from: 'engine', what: { type: 'engine.said', digests: [] } })
    for (const [at, part] of mark.entries()) lived.apply({ ...part, n: 2 + at })
    expect(lived.actor('csc')?.snapshot.value).toBe('standby')
    const begun = createWorld({ instance: 'LATISS' })
    expect(() => mark.map(part => begun.apply(part))).toThrow('elsewhere')
  })

  test('one that was cut off is not begun at', () => {
    const world = createWorld({ instance: 'LATISS' })
    const [one, two] = inParts({ ...world.whole(), answers: [], unsaid: [] }, 1_200)
    expect(one && two).toBeDefined()
    const assembly = createAssembly()
    const again = inParts({ ...world.whole(), answers: [], unsaid: [] }, 1_200)
    expect(one && assembly.take(one)).toBeNull()
    expect(again.map(part => assembly.take(part)).findIndex(whole => whole !== null)).toBe(again.length - 1)
  })
})

const ASKED = { dataId: { obsid: 'E1' }, group: 'G#1', pipeline: 'quicklook' }
// More than are between two checkpoints.
const REPORTS = 20_500

async function busyNight(
  unsaid?: () => readonly Numbered[],
): Promise<{ night: Night; running: string; waiting: string }> {
  const night = await createNight(unsaid ? { unsaid } : {})
  await night.enable()
  const running = (await night.command('processData', ASKED, { id: 'first' }))?.jobIds[0] ?? ''
  const second = { dataId: { obsid: 'E2' }, pipeline: 'quicklook', after: [running] }
  const waiting = (await night.command('processData', second))?.jobIds[0] ?? ''
  await night.started(running)
  await reports(night, running)
  return { night, running, waiting }
}

async function reports(night: Night, jobId: string): Promise<void> {
  for (let at = 0; at < REPORTS; at++)
    night
      .engine()
      .input({ type: 'executor.metric', jobId, attempt: 1, metric: 'psf.fwhm', value: at, unit: 'pix' }, 'report')
  await night.settled()
}

async function begun(night: Night): Promise<Entry['what'][]> {
  const read: Entry['what'][] = []
  for await (const { what } of night.journal.read('quiescent')) read.push(what)
  return read
}

function dumpOf(night: Night) {
  return night.engine().world.whole()
}

function checkpointOf(world: World, after: Entry | undefined): Entry[] {
  const { n = 0, at = 0 } = after ?? {}
  const parts = inParts({ ...world.whole(), answers: [], unsaid: [] }, 1_600)
  expect(parts.length).toBeGreaterThan(1)
  return parts.map((what, index) => ({ n: n + 1 + index, at, door: 'engine', from: 'engine', what }))
}
