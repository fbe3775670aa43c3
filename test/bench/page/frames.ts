/**
 * One page in a browser while 5 000 actors live and 1 000 jobs a second change them: how regular its frames are, and
 * how little of the journal it is sent.
 */
import { connectNats } from '../../../src/bus/nats.ts'
import { openJournal } from '../../../src/journal/log.ts'
import { type Looked, lookFor } from './looking.ts'
import { type Bench, type Finding, LOAD, longest, STAND_IN } from './part.ts'
import { quantile } from '../sheet.ts'
import { calmDown, openPage, profile, startWorld } from './setup.ts'
import type { Measured } from './writer.ts'

const VIEWS = [
  ['the night', ''],
  ['live chart of all jobs', 'charts/job'],
  ['live chart of the queue', 'actor/queue'],
  ['metrics', 'metrics'],
] as const

const WANTED_FPS = 30
// A view that was just opened is drawn once, which is no part of how it goes on.
const FIRST_DRAWN_MS = 1_500

interface Seen {
  readonly view: string
  readonly looked: Looked
  readonly wrote: Measured
  readonly ages: readonly number[]
}

export async function measureFrames(bench: Bench): Promise<Finding> {
  const world = await startWorld(bench, 'BUSY')
  const { page } = await openPage(bench, world)
  await world.go()
  await calmDown(FIRST_DRAWN_MS)
  const all: Seen[] = []
  for (const [view, hash] of VIEWS) {
    await page.evaluate(to => void (location.hash = `#/${to}`), hash)
    await calmDown(FIRST_DRAWN_MS)
    const stop = await profile(bench, page, view)
    const { lookMs } = bench.sizes
    const [looked, wrote] = await Promise.all([lookFor(page, lookMs), world.measure(lookMs)])
    await stop()
    all.push({ view, looked, wrote, ages: [] })
  }
  await page.context().close()
  await world.rest()
  const ages = await agesOf(
    bench.url,
    all.flatMap(({ looked }) => looked.seen),
  )
  await world.end()
  return finding(all.map(one => ({ ...one, ages: one.looked.seen.flatMap(({ n }) => ages.get(n) ?? []) })))
}

function finding(all: readonly Seen[]): Finding {
  const slowest = all.reduce((least, { looked }) => Math.min(least, fps(looked)), Number.POSITIVE_INFINITY)
  const jobs = all.reduce((least, { wrote }) => Math.min(least, wrote.jobsPerSecond), Number.POSITIVE_INFINITY)
  const actors = all.reduce((least, { wrote }) => Math.min(least, wrote.actors), Number.POSITIVE_INFINITY)
  const wordsMax = longest(all.map(({ looked }) => looked.messagesPerSecond))
  const reached =
    jobs >= LOAD.jobsPerSecond * 0.95
      ? ''
      : ` Fewer than ${LOAD.jobsPerSecond} jobs/s is the engine, which was held up for as long as ${longest(all.map(({ wrote }) => wrote.delayMaxMs)).toFixed(0)} ms at once: it shares its cores.`
  return {
    title: 'A page while the night is busy',
    columns: [
      'frames/s median',
      'p95 gap ms',
      'longest gap ms',
      'gaps > 33 ms, %',
      'jobs/s',
      'entries/s written',
      'engine held up ms max',
      'messages/s',
      'kB/s',
      'shown after ms p50',
      'p99',
    ],
    rows: all.map(({ view, looked, wrote, ages }) => [
      view,
      fps(looked),
      quantile(looked.gapsMs, 0.95),
      longest(looked.gapsMs),
      latePercent(looked),
      wrote.jobsPerSecond,
      wrote.entriesPerSecond,
      wrote.delayMaxMs,
      looked.messagesPerSecond,
      looked.bytesPerSecond / 1_000,
      quantile(ages, 0.5),
      quantile(ages, 0.99),
    ]),
    meaning: `With ${actors} actors live and ${jobs.toFixed(0)} jobs/s or more the slowest view draws ${slowest.toFixed(0)} frames/s (${slowest >= WANTED_FPS ? 'above' : 'BELOW'} the ${WANTED_FPS} that are asked for) in the middle, at most ${longest(all.map(({ looked }) => latePercent(looked))).toFixed(0)} % of its gaps are longer than that and none than ${longest(all.flatMap(({ looked }) => looked.gapsMs)).toFixed(0)} ms; what changes comes in at most ${wordsMax.toFixed(0)} messages/s. ${STAND_IN}${reached}`,
  }
}

function fps({ gapsMs }: Looked): number {
  return 1_000 / quantile(gapsMs, 0.5)
}

/** Of gaps, those longer than a page with the frames that are asked for would have. */
function latePercent({ gapsMs }: Looked): number {
  return (100 * gapsMs.filter(gap => gap > 1_000 / WANTED_FPS).length) / gapsMs.length
}

/** By entry, from the time it came in to the time the page showed it, milliseconds; both clocks are this machine's. */
async function agesOf(url: string, seen: Looked['seen']): Promise<ReadonlyMap<number, number>> {
  const wanted = new Map(seen.map(({ n, at: shownAt }) => [n, shownAt]))
  const bus = await connectNats({ url, name: 'bench' })
  const { journal } = await openJournal({ bus, instance: 'BUSY' })
  const ages = new Map<number, number>()
  for await (const { n, at: cameAt } of journal.read()) {
    const shownAt = wanted.get(n)
    if (shownAt !== undefined) ages.set(n, shownAt - cameAt)
    if (ages.size === wanted.size) break
  }
  await bus.close()
  return ages
}
