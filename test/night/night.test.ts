import { describe, expect, test } from 'vitest'
import { inParts } from '../../src/engine/checkpoint.ts'
import { explain, explainJobBriefly } from '../../src/night/explain.ts'
import { createNight as createShown, leafOf, type Night as Shown } from '../../src/night/night.ts'
import { reservedIn } from '../../src/night/slots.ts'
import { edgesTaken, legalNext } from '../../src/inspector/page/taken.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { aConfiguration, aPipeline, NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/*
 * What the page and `ocps explain` know is folded from the journal alone: here against a whole instance in memory, on a
 * stepped clock.
 */

async function enabled(options: Parameters<typeof createNight>[0] = {}): Promise<Night> {
  const night = await createNight(options)
  await night.enable()
  return night
}

async function process(night: Night, obsid: string, more: object = {}): Promise<string> {
  const ack = await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook', ...more })
  const [jobId] = ack?.jobIds ?? []
  if (jobId === undefined) throw new Error(`${obsid} was refused: ${ack?.result}`)
  return jobId
}

function shown(night: Night, count?: number): Shown {
  const page = createShown('LATISS')
  for (const entry of night.entries().slice(0, count)) page.apply(entry)
  return page
}

function jobOf(page: Shown, jobId: string) {
  const job = page.jobs.get(jobId)
  if (!job) throw new Error(`the page does not know ${jobId}`)
  return job
}

/** All that a page shows of it, as plain data. */
function pictureOf({ world, jobs, groups, histories, lines, refusals, n, at, from }: Shown) {
  const heard = [...histories].map(([address, steps]) => [address, steps.map(step => [step.n, step.event.type])])
  return JSON.stringify([world.whole(), [...jobs.keys()], [...groups.keys()], heard, lines, refusals, n, at, from])
}

// More than a page keeps.
const JOBS = 26_000

const oneSlot = () => aConfiguration({ slots: 1 })

describe('a night folded for the page', () => {
  test('that forks goes on as the one it came from, which does not notice', async () => {
    const night = await enabled()
    const first = await process(night, 'AT_O_20261122_000017', { group: 'night#1' })
    await process(night, 'AT_O_20261122_000018', { group: 'night#1', after: [{ jobId: first, requires: 'success' }] })
    const half = shown(night)
    const before = pictureOf(half)
    const fork = half.fork()
    const since = night.entries().length
    await night.succeeds(first)
    await night.command('closeGroup', { group: 'night#1', patience: 1 })
    await night.advance(2_000)
    for (const entry of night.entries().slice(since)) fork.apply(entry)
    expect(pictureOf(half)).toEqual(before)
    expect(pictureOf(fork)).toEqual(pictureOf(shown(night)))
    expect(fork.world.nextDue()).toEqual(shown(night).world.nextDue())
  })

  test('of two hundred thousand jobs keeps those that are open and the last ones, and says since when', async () => {
    const night = await enabled()
    const waits = await process(night, 'AT_O_20261122_000001', { readiness: { waitFor: 80_000 } })
    const before = night.entries().length
    const jobId = await process(night, 'AT_O_20261122_000002', { group: 'visit' })
    await night.succeeds(jobId)
    const job = JSON.stringify(night.entries().slice(before))
    const page = shown(night, before)
    let n = before
    for (let count = 0; count < JOBS; count += 1)
      for (const entry of JSON.parse(job.replaceAll(jobId, `20261122-1${count}`)) as Entry[])
        page.apply({ ...entry, n: ++n })
    expect(page.tally).toEqual({ over: JOBS, succeeded: JOBS })
    expect(page.jobs.get(waits)?.isOpen).toBe(true)
    expect(page.jobs.has(`20261122-1${JOBS - 1}`)).toBe(true)
    expect(page.jobs.has('20261122-10')).toBe(false)
    expect(page.forgottenUntil).not.toBeNull()
    for (const kept of [page.jobs, page.histories]) expect(kept.size).toBeLessThan(JOBS * 0.9)
    expect(page.fork().jobs.size).toBe(page.jobs.size)
  })

  test('that passes over a part of the journal does not go on showing as open what ended there', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000001')
    const page = shown(night)
    expect(page.jobs.get(jobId)?.isOpen).toBe(true)
    await night.succeeds(jobId)
    const quiet = night.engine().world.quiet()
    if (quiet === null) throw new Error('the instance is not quiet')
    const what = { type: 'engine.quiescent', machines: MACHINES_VERSION, ...quiet, answers: [] } as const
    page.apply({ n: night.entries().length + 1, at: NIGHTFALL, door: 'engine', from: 'engine', what })
    expect(page.jobs.get(jobId)).toMatchObject({ isOpen: false, state: 'unknown' })
  })

  test('that lives on past a mark is the same as one that begins there, and a leap makes it need the next one', async () => {
    const night = await enabled()
    const first = await process(night, 'AT_O_20261122_000001', { group: 'visit' })
    await night.started(first)
    await process(night, 'AT_O_20261122_000002', { group: 'visit', readiness: { waitFor: 600 } })
    const livesOn = shown(night)
    const begins = createShown('LATISS')
    const n = night.entries().length
    const parts = inParts({ ...night.engine().world.whole(), answers: [], unsaid: [] }, 4_000)
    expect(parts.length).toBeGreaterThan(1)
    for (const [at, what] of parts.entries())
      begins.apply({ n: n + 1 + at, at: NIGHTFALL, door: 'engine', from: 'engine', what })
    expect([livesOn.needsMark, begins.needsMark, createShown('LATISS').needsMark]).toEqual([false, false, true])
    await night.exited(first, { exitCode: 1 })
    await night.command('closeGroup', { group: 'visit', patience: 1 })
    await night.advance(2_000)
    for (const entry of night.entries().slice(n)) for (const page of [livesOn, begins]) page.apply(entry)
    expect(livesOn.world.whole()).toEqual(begins.world.whole())
    livesOn.leap()
    expect([livesOn.needsMark, livesOn.fork().needsMark]).toEqual([true, true])
  })

  test('is in the same states as the engine that wrote the journal', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017', { group: 'night#1' })
    await night.started(jobId)
    const page = shown(night)
    for (const address of ['csc', 'queue', `job.${jobId}`]) {
      const there = night.engine().world.actor(address)
      expect(page.world.actor(address)?.snapshot.value, address).toEqual(there?.snapshot.value)
      expect([...(page.world.actor(address)?.timers ?? [])], address).toEqual([...(there?.timers ?? [])])
    }
    expect([...page.groups.keys()]).toEqual(['night#1'])
  })

  test('remembers a job that is over, its metrics, and everything it heard, in order', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    await night.started(jobId)
    await night.metric(jobId, 'psf.fwhm', 2.8, 'pix')
    await night.exited(jobId)
    const page = shown(night)
    const job = page.jobs.get(jobId)
    expect(job?.isOpen).toBe(false)
    expect(job?.context.metrics).toEqual([{ metric: 'psf.fwhm', value: 2.8, unit: 'pix' }])
    expect(page.histories.get(`job.${jobId}`)?.map(({ event, after }) => [event.type, leafOf(after)])).toEqual([
      ['xstate.init', 'queued'],
      ['slot.granted', 'starting'],
      ['executor.started', 'running'],
      ['executor.metric', 'running'],
      ['executor.exited', 'settled'],
    ])
  })

  test('shows an earlier moment as it was then, whatever came after', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    const before = night.entries().length
    await night.succeeds(jobId)
    expect(shown(night, before).jobs.get(jobId)?.state).toBe('starting')
    expect(shown(night).jobs.get(jobId)?.context.outcome?.kind).toBe('succeeded')
  })

  test('names the edge of the chart that a step took, and what would be heard next', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    await night.started(jobId)
    const page = shown(night)
    const steps = page.histories.get(`job.${jobId}`) ?? []
    expect(steps.map(edgesTaken)).toEqual([
      ['job.arriving||0'],
      ['job.queued|slot.granted|0'],
      ['job.active.starting|executor.started|0'],
    ])
    const last = steps.at(-1)
    expect(last && legalNext(last.after)).toContain('job.abort')
    expect(last && legalNext(last.after)).toContain('after timeLimit')
  })

  test('keeps who was refused, and why', async () => {
    const night = await enabled()
    await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'nosuch' })
    expect(shown(night).refusals).toMatchObject([{ code: 'UNKNOWN_PIPELINE' }])
  })
})

describe('explain says in one sentence', () => {
  test('at which place a job waits, and who has the slots', async () => {
    const night = await enabled({ configuration: oneSlot() })
    const first = await process(night, 'E1')
    await night.started(first)
    const second = await process(night, 'E2')
    expect(explain(shown(night), second)).toBe(
      `Job ${second} waits in the queue, place 1 of 1: 1 of 1 slots are taken by ${first}.`,
    )
  })

  test('that a job was handed over before a slot is free, and who has the slots', async () => {
    const night = await enabled({ configuration: aConfiguration({ slots: 1, prefetch: 1 }) })
    const first = await process(night, 'E1')
    await night.started(first)
    const second = await process(night, 'E2')
    const third = await process(night, 'E3')
    expect(explain(shown(night), second)).toMatch(
      new RegExp(
        `^Job ${second} was handed to the launcher at .*, attempt 1, and begins as soon as it fits: 1 of 1 slots are taken by ${first}.$`,
        'u',
      ),
    )
    expect(explain(shown(night), third)).toContain(`place 1 of 1: 1 of 1 slots are taken by ${first}.`)
  })

  describe('of jobs that need several slots', () => {
    async function blocked(more: object = {}) {
      const pipelines = { quicklook: aPipeline('quicklook'), wide: aPipeline('wide', { slots: 3 }) }
      const night = await enabled({ configuration: aConfiguration({ slots: 4, pipelines, ...more }) })
      const runs = [await process(night, 'E1'), await process(night, 'E2')]
      for (const jobId of runs) await night.started(jobId)
      const wide = await process(night, 'E3', { pipeline: 'wide' })
      return { night, runs: runs.join(', '), wide, small: await process(night, 'E4') }
    }

    test('what the first needs, and that the free ones are kept for it', async () => {
      const { night, runs, wide } = await blocked()
      expect(explain(shown(night), wide)).toBe(
        `Job ${wide} waits in the queue, place 1 of 2: it needs 3 slots; the 2 that are free are kept for it; 2 of 4 slots are taken by ${runs}.`,
      )
    })

    test('why one that would fit is not started: who is ahead, and that nobody overtakes', async () => {
      const { night, runs, wide, small } = await blocked()
      const page = shown(night)
      expect(explain(page, small)).toBe(
        `Job ${small} waits in the queue, place 2 of 2 behind ${wide}: it needs 1 slot; 2 that are free are kept for ${wide}, which is first and needs 3; none overtakes it, or it might wait for ever; 2 of 4 slots are taken by ${runs}.`,
      )
      expect(page.jobs.get(small)?.state).toBe('queued')
      const briefly = [wide, small].map(jobId => explainJobBriefly(page, jobOf(page, jobId)))
      expect(briefly).toEqual([
        'place 1 of 2 · needs 3 slots · 2 kept free for it · 2 of 4 slots are taken',
        `place 2 of 2 · 2 kept free for ${wide} · 2 of 4 slots are taken`,
      ])
    })

    test('the same of those that were handed to the launcher, whose slots are kept before those of the queue', async () => {
      const { night, runs, wide, small } = await blocked({ prefetch: 1 })
      const page = shown(night)
      expect(page.jobs.get(wide)?.state).toBe('starting')
      expect(explain(page, wide)).toContain(
        `begins as soon as it fits: it needs 3 slots; the 2 that are free are kept for it; 2 of 4 slots are taken by ${runs}.`,
      )
      expect(explain(page, small)).toContain(
        `place 1 of 1: it needs 1 slot; 2 that are free are kept for ${wide}, which is first and needs 3; none overtakes`,
      )
      await night.exited(runs.split(', ')[0] ?? '')
      expect(reservedIn(shown(night))).toEqual([])
    })

    test('nothing is kept where the queue does not flow, or nothing is free', async () => {
      const { night, wide } = await blocked()
      await night.command('pause')
      expect(reservedIn(shown(night))).toEqual([])
      expect(explain(shown(night), wide)).toContain('the queue is paused')
      const full = await blocked({ slots: 3 })
      await full.night.exited(full.runs.split(', ')[0] ?? '')
      await full.night.exited(full.runs.split(', ')[1] ?? '')
      const page = shown(full.night)
      expect(page.jobs.get(full.wide)?.state).toBe('starting')
      expect(reservedIn(page)).toEqual([])
      expect(explain(page, full.small)).toContain(`place 1 of 1: 3 of 3 slots are taken by ${full.wide}.`)
    })
  })

  test('why a job waits in a pool of its own: that of its pool, not of others', async () => {
    const pool = { name: 'heavy', slots: 2, runner: { kind: 'none' } } as const
    const night = await enabled({
      configuration: aConfiguration({
        slots: 1,
        pools: { heavy: pool },
        pipelines: { quicklook: aPipeline('quicklook'), deep: aPipeline('deep', { pool, slots: 2 }) },
      }),
    })
    const submit = async (obsid: string, pipeline: string) =>
      (await night.command('processData', { dataId: { obsid }, pipeline }))?.jobIds[0] ?? ''
    const light = await submit('E1', 'quicklook')
    const behind = await submit('E2', 'quicklook')
    const deep = await submit('E3', 'deep')
    const next = await submit('E4', 'deep')
    const page = shown(night)
    expect(explain(page, next)).toBe(
      `Job ${next} waits in the queue, place 1 of 1: it needs 2 slots; 2 of 2 slots of pool heavy are taken by ${deep}.`,
    )
    expect(explain(page, behind)).toBe(
      `Job ${behind} waits in the queue, place 1 of 1: 1 of 1 slots of pool default are taken by ${light}.`,
    )
    expect(explainJobBriefly(page, jobOf(page, next))).toBe(
      'place 1 of 1 · needs 2 slots · 2 of 2 slots of pool heavy are taken',
    )
  })

  test('that nothing is started while the queue is paused, or the instance is not enabled', async () => {
    const night = await enabled({ configuration: oneSlot() })
    await night.command('pause')
    const jobId = await process(night, 'E1')
    expect(explain(shown(night), jobId)).toContain('the queue is paused')
    await night.command('resume')
    const other = await process(night, 'E2')
    await night.command('disable')
    expect(explain(shown(night), other)).toContain('the instance is not ENABLED')
  })

  test('which job another one waits for', async () => {
    const night = await enabled()
    const first = await process(night, 'E1')
    await night.started(first)
    const second = await process(night, 'E2', { after: [{ jobId: first, requires: 'success' }] })
    expect(explain(shown(night), second)).toBe(`Job ${second} waits for job ${first} (running, must succeed).`)
  })

  test('how a job failed, with the words of its pipeline', async () => {
    const night = await enabled()
    const jobId = await process(night, 'E1')
    await night.started(jobId)
    await night.exited(jobId, { exitCode: 7, stderrTail: 'the dome is closed' })
    expect(explain(shown(night), jobId)).toMatch(
      /^Job \S+ failed at \d\d:\d\d:\d\d UTC: .*exit code 7.*the dome is closed\.$/,
    )
  })

  test('when a job is tried again', async () => {
    const retries = { attemptsMax: 3, backoffMs: 5_000, on: [7] }
    const night = await enabled({
      configuration: aConfiguration({ pipelines: { quicklook: aPipeline('quicklook', { retries }) } }),
    })
    const jobId = await process(night, 'E1')
    await night.started(jobId)
    await night.exited(jobId, { exitCode: 7 })
    expect(explain(shown(night), jobId)).toMatch(/failed in attempt 1 with exit code 7 and is tried again at .* UTC/)
  })

  test('for which members a closed group waits, by name', async () => {
    const night = await enabled()
    const jobId = await process(night, 'E1', { group: { id: 'g', expected: 1 } })
    await night.started(jobId)
    const page = shown(night)
    expect(explain(page, 'g')).toMatch(
      /^Group g is closed and waits for 1 of 1 members: E1 \(running\); its patience ends at/,
    )
    expect(explain(page, 'gather.g')).toBe(explain(page, 'g'))
  })

  test('nothing about what the journal does not know', async () => {
    expect(explain(shown(await enabled()), '20261122-999999')).toBeNull()
  })
})
