import { describe, expect, test } from 'vitest'
import type { MachineKind } from '../../machines/index.ts'
import { createSteppedClock } from '../../src/engine/clock.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { isAfter } from '../../src/engine/announcementIds.ts'
import { createWorld, type World } from '../../src/engine/world.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { aConfiguration, aPipeline, breaking, NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import { asked, enabled, journaled } from './engineGiven.ts'

// ── a night with some of everything ──────────────────────────────────────────────────────────────────────────────────────────────────

const retries = { attemptsMax: 2, backoffMs: 1_000, on: [7, 'lost'] as const }

const SETUP = {
  configuration: aConfiguration({
    pipelines: { ...aConfiguration().pipelines, quicklook: aPipeline('quicklook', { retries }) },
  }),
}

describe('engine: the journal is everything', () => {
  test('a replay of the journal gives the same announcements, byte for byte', async () => {
    const { night } = await busyNight()
    const world = createWorld({ instance: 'LATISS' })
    const again = night.entries().flatMap(entry => announced(world, entry))
    expect(again.join('\n')).toBe(journaled(night.said).map(line).join('\n'))
  })

  test('a journal cut after any entry gives back the same world, and every accepted job settles exactly once', async () => {
    const { night, originals } = await busyNight()
    const first = journaled(night.said)
    for (let cut = 1; cut <= originals.length; cut++) {
      const at = `after entry ${cut}, ${originals[cut - 1]?.what.type}`
      const clock = createSteppedClock(originals[cut - 1]?.at ?? NIGHTFALL)
      const again = await createNight({ ...SETUP, journal: createMemoryJournal(originals.slice(0, cut)), clock })
      // The entries as they were delivered live, then what the new process added; not what the journal made of them.
      const world = createWorld({ instance: 'LATISS' })
      for (const entry of [...originals.slice(0, cut), ...again.entries().slice(cut)]) world.apply(entry)
      expect(dump(again.engine().world), at).toEqual(dump(world))

      await finish(again)
      const before = first.filter(({ id }) => !isAfter(id, `${cut}.999999`))
      const said = new Map([...before, ...journaled(again.said)].map(one => [one.id, one]))
      const accepted = [...said.values()].flatMap(({ announcement: one }) =>
        one.type === 'ack' ? one.body.jobIds : [],
      )
      const settled = [...said.values()].flatMap(({ announcement: one }) =>
        one.type === 'event' && one.topic === 'jobResult' ? [one.key] : [],
      )
      expect(new Set(settled).size, at).toBe(settled.length)
      for (const jobId of accepted) expect(settled, at).toContain(jobId)
      expect([...again.engine().world.actors('job')], at).toEqual([])
    }
  })

  test('announcements are in order of entry, then of place, also of one whose id says more', () => {
    expect(isAfter('9.0', null)).toBe(true)
    expect(isAfter('10.0', '9.12')).toBe(true)
    expect(isAfter('9.12', '9.2')).toBe(true)
    expect(isAfter('9.2', '9.2')).toBe(false)
    expect(isAfter('9.2', '10.0')).toBe(false)
    expect(isAfter('9.3', '9.2.job_result')).toBe(true)
    expect(isAfter('9.2', '9.2.job_result')).toBe(false)
    expect(isAfter('9.0', '9.-1.job_result')).toBe(true)
    expect(() => isAfter('', '9.2')).toThrow('invariant: announcement ids')
  })

  test('events that may not have been heard are said again with the same id, and no others', async () => {
    const { night } = await busyNight()
    const events = journaled(night.said).filter(({ announcement }) => announcement.type === 'event')
    for (const heard of [0, 1, Math.floor(events.length / 2), events.length - 1]) {
      const lastSaid = events[heard]?.id ?? null
      const again = await createNight({ ...SETUP, lastSaid, journal: createMemoryJournal(night.entries()) })
      const repeated = again.said.slice(0, events.length - heard - 1)
      expect(repeated.map(line)).toEqual(events.slice(heard + 1).map(line))
      expect(
        again.said.slice(repeated.length).every(({ id }) => isAfter(id, `${night.journal.lines.length}.999999`)),
      ).toBe(true)
    }
    const all = await createNight({ ...SETUP, lastSaid: null, journal: createMemoryJournal(night.entries()) })
    expect(all.said.slice(0, events.length).map(line)).toEqual(events.map(line))
  })

  test('after a restart running jobs are adopted with what was heard of them, and stopping ones told again to stop', async () => {
    const night = await enabled()
    const [a = '', b = ''] =
      (await night.command('processData', { ...asked(), dataId: { obsid: 'E1', detector: [1, 2] } }))?.jobIds ?? []
    await night.started(a)
    await night.metric(a, 'psf', 1.2)
    await night.command('abortJob', { jobId: b })
    await night.restart()
    expect(night.adopted()).toMatchObject([
      { type: 'executor.adopt', start: { jobId: a, attempt: 1 }, reportsHeard: 1, started: true },
      { start: { jobId: b } },
    ])
    expect(night.orders()).toMatchObject([{ type: 'executor.stop', jobId: b }])
  })

  test('after a restart jobs that were handed over are handed over again in the order they were granted slots', async () => {
    const night = await enabled({ configuration: aConfiguration({ slots: 1, prefetch: 2 }) })
    await night.command('pause')
    const submit = async (obsid: string, priority: number) =>
      (await night.command('processData', asked(obsid, { priority })))?.jobIds[0] ?? ''
    const [low, usual, high] = [await submit('E1', -1), await submit('E2', 0), await submit('E3', 1)]
    await night.command('resume')
    await night.restart()
    expect(night.adopted().map(({ start }) => start.jobId)).toEqual([high, usual, low])
  })

  test('data that were waited for are looked for again after a restart', async () => {
    const night = await enabled()
    const jobId = (await night.command('processData', asked('E1', { readiness: 'skip' })))?.jobIds[0] ?? ''
    await night.restart()
    expect(night.orders()).toMatchObject([{ type: 'data.look', jobId }])
  })
})

async function busyNight(): Promise<{ night: Night; originals: Entry[] }> {
  const journal = createMemoryJournal()
  const originals: Entry[] = []
  const night = await createNight({
    ...SETUP,
    journal: {
      ...journal,
      append: entries => {
        originals.push(...entries)
        return journal.append(entries)
      },
    },
  })
  const job = async (obsid: string, rest: object = {}) =>
    (await night.command('processData', asked(obsid, rest)))?.jobIds[0] ?? ''
  await night.command('processData', asked())
  await night.enable()
  const group = { id: 'G#1', expected: 2, pipeline: 'stack' }
  const a = await job('E1', { group })
  const b = await job('E2', { group, after: [a] })
  const c = await job('E3', { readiness: { waitFor: 20 }, priority: 3 })
  await night.started(a)
  await night.metric(a, 'psf', 1.2, 'arcsec')
  await night.exited(a, { exitCode: 7 })
  await night.advance(1_000)
  await night.succeeds(a)
  await night.started(b)
  await night.report({ type: 'data.present', jobId: c })
  await night.started(c)
  await night.command('abortJob', { jobId: c })
  await night.command('abortJob', { jobId: 'nobody' })
  await night.exited(c, { signal: 'SIGTERM' })
  await night.succeeds(b)
  await night.succeeds(`${a}-g1`)
  await night.command('pause')
  const d = await job('E4', { group })
  await job('E5', { readiness: { waitFor: 5 } })
  await night.advance(6_000)
  await night.command('resume')
  await night.started(d)
  await night.advance(61_000)
  await night.exited(d, { signal: 'SIGKILL' })
  const e = await job('E6')
  await night.started(e)
  await night.report(breaking(e))
  await night.command('standby')
  await night.enable()
  const f = await job('E7', { group: 'G2' })
  await job('E8', { after: [f] })
  await night.started(f)
  await night.command('closeGroup', { group: 'G2', policy: 'fail' })
  await night.command('disable')
  await night.command('enable')
  return { night, originals }
}

/** Everything that is open comes to its end: what an earlier process left running is lost, all else succeeds. */
async function finish(night: Night): Promise<void> {
  for (const { start } of night.adopted())
    await night.report({ type: 'executor.lost', jobId: start.jobId, attempt: start.attempt, reason: 'gone' })
  for (const command of ['standby', 'start', 'enable', 'resume'] as const) await night.command(command)
  const done = new Set<string>()
  // Each round ends what was ordered in the one before; a retry, a prerequisite and a gather are three, ten are plenty.
  for (let round = 0; round < 10; round++) {
    // A copy: what ends here may order more.
    for (const order of Array.from(night.orders())) {
      const key = 'attempt' in order ? `${order.jobId} ${order.attempt}` : ''
      if (order.type !== 'executor.start' || done.has(key)) continue
      done.add(key)
      await night.exited(order.jobId)
    }
    await night.advance(400_000)
  }
}

function dump(world: World): unknown {
  const kinds: readonly MachineKind[] = ['csc', 'queue', 'job', 'gather', 'reply']
  return kinds.flatMap(kind =>
    [...world.actors(kind)].map(({ address, snapshot: { value, context }, timers }) =>
      JSON.stringify({ address, value, context, timers: [...timers] }),
    ),
  )
}

function line({ id, at, announcement }: Numbered): string {
  return JSON.stringify({ id, at, announcement })
}

function announced(world: World, entry: Entry): string[] {
  return world.apply(entry).flatMap(effect => (effect.do === 'announce' ? [line(effect)] : []))
}
