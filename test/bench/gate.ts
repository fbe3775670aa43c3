/**
 * `npm run bench:gate [-- --rounds N --from FILE --write]`: measures OCPS against the bare loops and compares the ratios with those in
 * baseline.json. Fails where one is worse than before by more than both runs' own noise; `--write` makes what was measured the baseline.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bench } from './bench.ts'
import { optionsOf } from './options.ts'
import { type Ratio, ratiosOf } from './ratios.ts'
import { Sheet, type Spread, spreadOf } from './sheet.ts'
import { FULL } from './sizes.ts'
import { type Document, documentOf, shown } from './table.ts'
import { benchSources } from './tools.ts'

interface Baseline {
  readonly machine: Document['machine']
  readonly versions: Document['versions']
  readonly ratios: Readonly<Record<string, Spread>>
}

/** Two runs of the same code on a quiet machine differ by this much. */
const NOISE_MIN = 0.1
/** More rounds than the bench has, because a gate that cries wolf is switched off; and no more depth than shows a slope. */
const SIZES = { ...FULL, rounds: 5, depthMax: 10_000, batches: 5 }

const file = join(benchSources, 'baseline.json')
const { sizes, only, from, write, json } = optionsOf(process.argv.slice(2), ['rounds', 'from', 'write', 'json'])
const measured: Document =
  from === undefined
    ? documentOf(
        await bench(
          { ...SIZES, rounds: sizes.rounds === FULL.rounds ? SIZES.rounds : sizes.rounds },
          only ?? ['ocps', 'limits'],
        ),
      )
    : (JSON.parse(readFileSync(from, 'utf8')) as Document)
if (json !== undefined) writeFileSync(json, `${JSON.stringify(measured, null, 1)}\n`)
const ratios = ratiosOf(Sheet.from(measured.figures))

if (write) {
  const baseline: Baseline = { machine: measured.machine, versions: measured.versions, ratios: spreads(ratios) }
  writeFileSync(file, `${JSON.stringify(baseline, null, 2)}\n`)
  console.log(`${ratios.length} ratios are the baseline from now on: ${file}`)
} else if (!existsSync(file)) {
  console.error(`bench: there is no ${file} to compare with; npm run bench:gate -- --write makes one`)
  process.exitCode = 2
} else compare(JSON.parse(readFileSync(file, 'utf8')) as Baseline)

function compare(baseline: Baseline): void {
  let regressions = 0
  for (const ratio of ratios) {
    const before = baseline.ratios[ratio.name]
    const now = spreadOf(ratio.values)
    if (before === undefined || now === null) continue
    const worse = worseBy(ratio, before, now)
    const noise = Math.max(NOISE_MIN, halfWidth(before) + halfWidth(now))
    const isRegression = worse > noise
    if (isRegression) regressions += 1
    const verdict = isRegression ? 'WORSE' : 'ok   '
    const change = `${worse > 0 ? 'worse' : 'better'} by ${percent(Math.abs(worse))}, noise ${percent(noise)}`
    console.log(`${verdict} ${ratio.name}: ${shown(now.median)}, was ${shown(before.median)} (${change})`)
  }
  for (const name of Object.keys(baseline.ratios))
    if (!ratios.some(ratio => ratio.name === name)) console.log(`      ${name}: not measured this time`)
  console.log(
    regressions === 0
      ? 'Nothing is slower than the baseline beyond the noise.'
      : `${regressions} of ${ratios.length} ratios are worse than the baseline beyond the noise; measure again on a quiet machine, then look at what changed.`,
  )
  if (regressions > 0) process.exitCode = 1
}

/** As a logarithm, so that half as fast and twice as slow are the same; positive is worse. */
function worseBy({ better }: Ratio, before: Spread, now: Spread): number {
  const change = Math.log(now.median / before.median)
  return better === 'higher' ? -change : change
}

function halfWidth({ min, max }: Spread): number {
  return Math.log(max / min) / 2
}

function percent(logarithm: number): string {
  return `${((Math.exp(logarithm) - 1) * 100).toFixed(0)} %`
}

function spreads(all: readonly Ratio[]): Record<string, Spread> {
  return Object.fromEntries(
    all.flatMap(({ name, values }) => {
      const spread = spreadOf(values)
      return spread === null ? [] : [[name, spread] as const]
    }),
  )
}
