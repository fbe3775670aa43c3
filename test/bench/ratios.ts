/**
 * The figures that hold from one machine and one hour to the next: ratios within one round. Shown in the table,
 * compared by the gate.
 */
import type { Sheet } from './sheet.ts'

export interface Ratio {
  readonly name: string
  readonly better: 'higher' | 'lower'
  /** One per round, or per batch; empty where something of it was not measured. */
  readonly values: readonly number[]
}

const NODE = 'node-spawn'
const C = 'c-posix_spawn'
const SERVER = 'nats-server'

export function ratiosOf(sheet: Sheet): Ratio[] {
  const ocps = (figure: string): readonly number[] => sheet.values('ocps', figure)
  const higher = (name: string, values: readonly number[]): Ratio => ({ name, better: 'higher', values })
  const lower = (name: string, values: readonly number[]): Ratio => ({ name, better: 'lower', values })
  const stored = sheet.values(SERVER, 'publish ms p50')
  const all = [
    ...['c2', 'c8'].flatMap(c => [
      higher(
        `/bin/true at ${c}, jobs/s ÷ bare Node loop`,
        divided(ocps(`true ${c} jobs/s`), sheet.values(NODE, `true ${c} jobs/s`)),
      ),
      higher(
        `/bin/true at ${c}, jobs/s ÷ bare C loop`,
        divided(ocps(`true ${c} jobs/s`), sheet.values(C, `true ${c} jobs/s`)),
      ),
      higher(`sleep 0.05 at ${c}, of ideal`, ocps(`sleep ${c} of ideal`)),
      higher(
        `quicklook at ${c}, jobs/s ÷ bare Node loop`,
        divided(ocps(`quicklook ${c} jobs/s`), sheet.values(NODE, `quicklook ${c} jobs/s`)),
      ),
    ]),
    lower(
      'submit → accepted p50 ÷ the server alone asked, storing and answering',
      divided(ocps('submit → accepted ms p50'), sheet.values(SERVER, 'chain ms p50')),
    ),
    lower(
      'submit → started p50 ÷ the server alone storing a message',
      divided(ocps('submit → started ms p50'), stored),
    ),
    lower('end → seen p50 ÷ the server alone storing a message', divided(ocps('end → seen ms p50'), stored)),
    lower(
      'last member → gather p50 ÷ the server alone storing a message',
      divided(ocps('last member → gather ms p50'), stored),
    ),
    lower(
      'cost of a job, 10 000 queued ÷ 1 000 queued',
      divided(ocps('jobs/s, 1000 queued'), ocps('jobs/s, 10000 queued')),
    ),
    lower(
      'cost of accepting, 10 000 queued ÷ 1 000 queued',
      divided(ocps('accepted/s, 1000 queued'), ocps('accepted/s, 10000 queued')),
    ),
    lower(
      'cost of a job, 100 000 queued ÷ 1 000 queued',
      divided(ocps('jobs/s, 1000 queued'), ocps('jobs/s, 100000 queued')),
    ),
    lower(
      'cost of accepting, 100 000 queued ÷ 1 000 queued',
      divided(ocps('accepted/s, 1000 queued'), ocps('accepted/s, 100000 queued')),
    ),
  ]
  return all.filter(({ values }) => values.length > 0)
}

/** Round by round, as far as both were measured. */
export function divided(above: readonly number[], below: readonly number[]): number[] {
  return above.slice(0, below.length).map((value, at) => value / (below[at] ?? Number.NaN))
}
