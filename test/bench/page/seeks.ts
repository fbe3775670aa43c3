/**
 * How long it takes in the browser until another moment of a long night is drawn: by clicking into the scrubber, and by
 * drawing it along.
 */
import { createRandom } from '../../../src/sim/random.ts'
import { click, scrub } from './looking.ts'
import { type Bench, type Finding, longest } from './part.ts'
import { quantile } from '../sheet.ts'
import { openPage, profile, startWorld } from './setup.ts'

const WANTED_MS = 200
const VIEWS = [
  ['the night', ''],
  ['live chart of all jobs', 'charts/job'],
] as const

export async function measureSeeks(bench: Bench): Promise<Finding> {
  const { entries, seeks } = bench.sizes
  const world = await startWorld(bench, 'LONG')
  await world.fill(entries)
  const { page, isThere } = await openPage(bench, world)
  const random = createRandom(1, 'seek')
  const shares = () => Array.from({ length: seeks }, () => random.uniform())
  const rows: Finding['rows'][number][] = []
  const all: number[] = []
  for (const [view, hash] of VIEWS) {
    await page.evaluate(to => void (location.hash = `#/${to}`), hash)
    for (const [how, seek] of [
      ['click', click],
      ['scrub', scrub],
    ] as const) {
      const stop = await profile(bench, page, `seek-${view}-${how}`)
      const took = await seek(page, shares())
      await stop()
      all.push(...took)
      rows.push([`${how}, ${view}`, quantile(took, 0.5), quantile(took, 0.9), longest(took)])
    }
  }
  const held = await page.evaluate(() => Number(document.querySelector<HTMLInputElement>('.scrubber input')?.max))
  await page.context().close()
  await world.end()
  const within = longest(all) < WANTED_MS ? 'all' : `${all.filter(ms => ms < WANTED_MS).length} of them`
  return {
    title: 'Another moment of a long night',
    columns: ['drawn after ms p50', 'p90', 'max'],
    rows,
    meaning: `Of ${all.length} random moments among ${held} entries ${within} are drawn within ${WANTED_MS} ms, from the pointer’s event to the frame after the one that draws it.${isThere ? '' : ' The page had not read them all yet: it was too busy here.'}`,
  }
}
