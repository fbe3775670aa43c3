import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type Observation, OBSERVATIONS, type Observe, type Observed } from '../observer.ts'
import type { Answer } from './listener.ts'

/**
 * What observer.ts can count and time, as Prometheus reads it: counts as counters, values as histograms, levels as
 * gauges; milliseconds become seconds, as Prometheus has them. Beside them a few facts that are taken when asked for.
 */
export interface Metrics {
  readonly observe: Observe
  readonly answer: () => Promise<Answer>
  /** Facts are taken at each question, while there are any to take. */
  readonly facts: (take: () => Facts) => void
}

export interface Facts {
  readonly summaryState: string
  readonly waiting: number
  readonly running: number
  readonly held: number
  readonly slots: number
  readonly slotsTaken: number
  readonly groups: number
  readonly shelf: number
}

const MS = /Ms$/
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
const STATES = ['STANDBY', 'DISABLED', 'ENABLED', 'FAULT', 'OFFLINE']

const GAUGES: Readonly<Record<Exclude<keyof Facts, 'summaryState'>, string>> = {
  waiting: 'Jobs that wait for a slot.',
  running: 'Jobs that have their slots.',
  held: 'Jobs that wait for data or for other jobs.',
  slots: 'Slots of all pools.',
  slotsTaken: 'Slots that running jobs take.',
  groups: 'Groups that are open or remembered.',
  shelf: 'Jobs that ended without success and can be retried.',
}

export function createMetrics(instance: string): Metrics {
  const register = new Registry()
  register.setDefaultLabels({ instance })
  const note = new Map(
    Object.entries<Observation>(OBSERVATIONS).map(([name, one]) => [name, noting(register, name, one)]),
  )
  let take: (() => Facts) | null = null
  const gauges = Object.entries(GAUGES).map(([name, help]) => {
    return [name, new Gauge({ name: `ocps_${snake(name)}`, help, registers: [register] })] as const
  })
  const state = new Gauge({
    name: 'ocps_summary_state',
    help: '1 for the state the CSC is in.',
    labelNames: ['state'],
    registers: [register],
  })
  return {
    observe: (name: Observed, value: number, ...labels: string[]) => note.get(name)?.(value, labels[0]),
    facts(from) {
      take = from
    },
    async answer() {
      if (take !== null) {
        const facts = take()
        for (const [name, gauge] of gauges) gauge.set(facts[name as keyof typeof GAUGES])
        for (const one of STATES) state.set({ state: one }, one === facts.summaryState ? 1 : 0)
      }
      return { status: 200, type: register.contentType, body: await register.metrics() }
    },
  }
}

type Note = (value: number, label: string | undefined) => void

function noting(register: Registry, name: string, { as, by, says }: Observation): Note {
  const isTime = MS.test(name)
  const help = isTime ? says.replace(', milliseconds', ', seconds') : says
  const shared = { help, labelNames: by === null ? [] : [by], registers: [register] }
  const stem = `ocps_${snake(name.replace(MS, ''))}`
  const scale = isTime ? 1 / 1_000 : 1
  if (as === 'count') {
    const counter = new Counter({ ...shared, name: `${stem}_total` })
    return (value, label) => (by === null ? counter.inc(value) : counter.inc({ [by]: label ?? '' }, value))
  }
  if (as === 'level') {
    const gauge = new Gauge({ ...shared, name: stem })
    return value => gauge.set(value)
  }
  const buckets = isTime ? SECONDS : SIZES
  const histogram = new Histogram({ ...shared, name: isTime ? `${stem}_seconds` : stem, buckets })
  return value => histogram.observe(value * scale)
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
