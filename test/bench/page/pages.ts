/**
 * What open pages cost the instance: its jobs per second, its heartbeat and its event loop without and with twenty that
 * read. Rounds are interleaved.
 */
import { cpuMs } from '../processTree.ts'
import { type Bench, type Finding, longest, STAND_IN } from './part.ts'
import { quantile } from '../sheet.ts'
import { calmDown, openPage, openReaders, startWorld, type World } from './setup.ts'
import type { Measured } from './writer.ts'

const PAGES = 20
const SETTLED_MS = 2_000
const CASES = [
  ['no page', 0, false],
  [`${PAGES} pages`, PAGES, false],
  [`${PAGES} pages and one in a browser here`, PAGES, true],
] as const

interface Round extends Measured {
  readonly inspectorCpuShare: number
  readonly readKbPerSecond: number
}

export async function measurePages(bench: Bench): Promise<Finding> {
  const world = await startWorld(bench, 'WATCHED')
  const rounds = new Map<string, Round[]>()
  let late = 0
  for (let round = 0; round < bench.sizes.rounds; round += 1)
    // There and back, so that what changes as a night grows is no difference between them.
    for (const [name, readers, isInBrowser] of round % 2 === 0 ? CASES : CASES.toReversed()) {
      const { measured, isThere } = await one(bench, world, readers, isInBrowser)
      rounds.set(name, [...(rounds.get(name) ?? []), measured])
      if (!isThere) late += 1
    }
  await world.end()
  return finding(rounds, late)
}

/** Pages are opened while the instance rests, so that what is measured is watching, and not reading a night. */
async function one(bench: Bench, world: World, count: number, isInBrowser: boolean) {
  await world.rest()
  const opened = isInBrowser ? await openPage(bench, world) : null
  await world.go()
  const readers = await openReaders(world, count)
  await calmDown(SETTLED_MS)
  const [cpuBefore, readBefore, began] = [cpuMs(world.inspectorPid), readers.bytes(), performance.now()]
  const measured = await world.measure(bench.sizes.measureMs)
  const ms = performance.now() - began
  const round: Round = {
    ...measured,
    inspectorCpuShare: (cpuMs(world.inspectorPid) - cpuBefore) / ms,
    readKbPerSecond: count === 0 ? 0 : (readers.bytes() - readBefore) / ms / count,
  }
  readers.close()
  await opened?.page.context().close()
  return { measured: round, isThere: opened?.isThere ?? true }
}

function finding(rounds: ReadonlyMap<string, readonly Round[]>, late: number): Finding {
  const middle = (name: string, figure: keyof Round) =>
    quantile(
      (rounds.get(name) ?? []).map(round => round[figure]),
      0.5,
    )
  const most = (name: string, figure: keyof Round) => longest((rounds.get(name) ?? []).map(round => round[figure]))
  const [[without], [withPages]] = CASES
  const { difference, spread } = compared(rounds.get(without) ?? [], rounds.get(withPages) ?? [])
  const verdict =
    Math.abs(difference) <= spread
      ? `no more than rounds without any differ among themselves (${percent(spread)})`
      : `more than rounds without any differ among themselves (${percent(spread)})`
  const slow = late === 0 ? '' : ` ${late} times the page in the browser had not read the night when it was measured.`
  return {
    title: 'What open pages cost the instance',
    columns: [
      'jobs/s median',
      'least',
      'most',
      'CPU of OCPS, ms/job',
      'heartbeat late by, ms p50',
      'max',
      'event-loop delay, ms p50',
      'p99',
      'max',
      'CPU of the inspector, % of a core',
      'kB/s a page',
    ],
    rows: CASES.map(([name]) => [
      name,
      middle(name, 'jobsPerSecond'),
      Math.min(...(rounds.get(name) ?? []).map(({ jobsPerSecond }) => jobsPerSecond)),
      most(name, 'jobsPerSecond'),
      middle(name, 'cpuMsPerJob'),
      middle(name, 'heartbeatLateP50Ms'),
      most(name, 'heartbeatLateMaxMs'),
      middle(name, 'delayP50Ms'),
      middle(name, 'delayP99Ms'),
      most(name, 'delayMaxMs'),
      middle(name, 'inspectorCpuShare') * 100,
      middle(name, 'readKbPerSecond'),
    ]),
    meaning: `With ${PAGES} pages open OCPS settles ${middle(withPages, 'jobsPerSecond').toFixed(0)} jobs/s, without any ${middle(without, 'jobsPerSecond').toFixed(0)}: ${percent(Math.abs(difference))} ${difference < 0 ? 'fewer' : 'more'}, ${verdict}. Pages are the inspector’s, a process of its own: what they take from OCPS is what they take from the cores both share. ${STAND_IN} Medians of the rounds, maxima of all.${slow}`,
  }
}

/**
 * Of jobs per second: what the medians differ by, and the spread of the rounds without pages, both as a share of their
 * median.
 */
function compared(without: readonly Round[], withPages: readonly Round[]): { difference: number; spread: number } {
  const [bare, watched] = [without, withPages].map(rounds => rounds.map(({ jobsPerSecond }) => jobsPerSecond))
  const usual = quantile(bare ?? [], 0.5)
  return {
    difference: quantile(watched ?? [], 0.5) / usual - 1,
    spread: (longest(bare ?? []) - Math.min(...(bare ?? []))) / usual,
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
