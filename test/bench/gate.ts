/**
 * `npm run bench:gate [-- --rounds N --from FILE --write]`: measures OCPS against the bare loops and compares the
 * ratios with those in baseline.json. Fails where one is worse than before by more than both runs' own noise; `--write`
 * makes what was measured the baseline.
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
/**
 * More rounds than the bench has, because a gate that cries wolf is switched off; and no more depth than shows a slope.
 */
const SIZES = { ...FULL, rounds: 5, depthMax: 10_000, batches: 5 }

/** Where two runs differ by more than a factor of two nothing can be judged. */
const NOISE_MAX = Math.log(2)

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
    : (read(from) as Document)
if (json !== undefined) writeFileSync(json, `${JSON.stringify(measured, null, 1)}\n`)
// A whole bench fills queues deeper than the gate does.
const ratios = ratiosOf(Sheet.from(measured.figures)).filter(({ name }) => !name.includes('100 000'))

if (write) {
  const baseline: Baseline = { machine: measured.machine, versions: measured.versions, ratios: spreads(ratios) }
  writeFileSync(file, `${JSON.stringify(baseline, null, 2)}\n`)
  console.log(`${ratios.length} ratios are the baseline from now on: ${file}`)
} else if (!existsSync(file)) {
  console.error(`bench: there is no ${file} to compare with; npm run bench:gate -- --write makes one`)
  process.exitCode = 2
} else compare(read(file) as Baseline)

function compare(baseline: Baseline): void {
  const verdicts = Object.entries(baseline.ratios).map(([name, before]) => {
    const ratio = ratios.find(one => one.name === name)
    const now = spreadOf(ratio?.values ?? [])
    if (ratio === undefined || now === null) return said('MISSING', `${name}: not measured this time`)
    const worse = worseBy(ratio, before, now)
    const noise = Math.max(NOISE_MIN, halfWidth(before) + halfWidth(now))
    const change = `${worse > 0 ? 'worse' : 'better'} by ${percent(Math.abs(worse))}, noise ${percent(noise)}`
    const verdict = worse > noise ? 'WORSE' : noise > NOISE_MAX ? 'noisy' : 'ok'
    return said(verdict, `${name}: ${shown(now.median)}, was ${shown(before.median)} (${change})`)
  })
  const count = (verdict: Verdict): number => verdicts.filter(one => one === verdict).length
  if (count('noisy') > 0)
    console.log(`${count('noisy')} of ${verdicts.length} could not be judged; measure again on a quiet machine.`)
  if (count('WORSE') + count('MISSING') === 0) console.log('Nothing is worse than the baseline beyond the noise.')
  else {
    console.log(
      `${count('WORSE')} of ${verdicts.length} are worse than the baseline beyond the noise, ${count('MISSING')} are missing.`,
    )
    process.exitCode = 1
  }
}

type Verdict = 'ok' | 'noisy' | 'WORSE' | 'MISSING'

function said(verdict: Verdict, sentence: string): Verdict {
  console.log(`${verdict.padEnd(7)} ${sentence}`)
  return verdict
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    console.error(`bench: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(2)
  }
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
