/**
 * Metrics as series: of each metric and unit every value with the job it is of, over time or sequence number, and which
 * of them are out of the ordinary. Ordinary is what the pipeline's other values are; whether a value is good is not
 * decided here.
 */
import { exposureNumbers } from '../../machines/domain/dataId.ts'
import type { JobRecord } from './night.ts'

export type Axis = 'time' | 'sequence'

export interface Point {
  /** Seconds since 1970 UTC when the job was accepted, or the exposure's sequence number. */
  readonly x: number
  /** null: not measured, or not a number. */
  readonly value: number | null
  readonly pipeline: string
  readonly job: JobRecord
}

export interface Series {
  readonly metric: string
  /** '' for none. */
  readonly unit: string
  readonly pipelines: readonly string[]
  /** Pipelines whose values at one x belong to different detectors, so that a line through them would mean nothing. */
  readonly perDetector: readonly string[]
  /** By x. */
  readonly points: readonly Point[]
}

export interface Outlier {
  readonly point: Point
  readonly value: number
  /**
   * How far from the median of its pipeline, in standard deviations as the median absolute deviation estimates them;
   * signed.
   */
  readonly sigmas: number
}

/**
 * Every metric there is, by name. Over sequence numbers only exposures of the newest observing day, for those begin
 * anew every day.
 */
export function seriesOf(jobs: readonly JobRecord[], axis: Axis): readonly Series[] {
  const day = axis === 'time' ? null : newestDay(jobs)
  const all = new Map<string, { metric: string; unit: string; points: Point[] }>()
  for (const job of jobs) {
    const x = axis === 'time' ? job.context.times.accepted / 1_000 : seqNumOn(day, job)
    if (x === null) continue
    for (const { metric, value, unit } of job.context.metrics) {
      const key = `${metric}\n${unit}`
      const series = all.get(key) ?? { metric, unit, points: [] }
      all.set(key, series)
      const pipeline = job.context.pipeline.name
      series.points.push({ x, value: typeof value === 'number' ? value : null, pipeline, job })
    }
  }
  return [...all.values()]
    .map(({ metric, unit, points }) => ({
      metric,
      unit,
      pipelines: pipelinesOf(points),
      perDetector: pipelinesOf(points.filter(({ job }) => job.context.dataId.detector !== null)),
      points: points.sort((one, other) => one.x - other.x),
    }))
    .sort((one, other) => (one.metric < other.metric ? -1 : 1))
}

/** The observing day over whose sequence numbers series go; null where no obsid has one. */
export function newestDay(jobs: readonly JobRecord[]): number | null {
  return jobs.reduce<number | null>((newest, { context }) => {
    const numbers = exposureNumbers(context.dataId.obsid ?? '')
    return numbers !== null && (newest === null || numbers.dayObs > newest) ? numbers.dayObs : newest
  }, null)
}

// Of fewer values nobody can say which one is odd.
const ORDINARY_MIN = 8
// As image-quality plots commonly clip: of a thousand ordinary values none is so far out.
const SIGMAS_MIN = 5
// The median absolute deviation of a normal distribution, in its standard deviations.
const MAD_SIGMA = 1.4826

/** The farthest out first. */
export function outliersOf({ points, pipelines }: Pick<Series, 'points' | 'pipelines'>): readonly Outlier[] {
  const found = pipelines.flatMap(name => {
    const of = points.flatMap(point =>
      point.pipeline === name && point.value !== null ? [{ point, value: point.value }] : [],
    )
    if (of.length < ORDINARY_MIN) return []
    const middle = median(of.map(({ value }) => value))
    const sigma = MAD_SIGMA * median(of.map(({ value }) => Math.abs(value - middle)))
    // More than half of them are the same: then any other is far out, and that says nothing.
    if (sigma === 0) return []
    return of
      .map(one => ({ ...one, sigmas: (one.value - middle) / sigma }))
      .filter(({ sigmas }) => Math.abs(sigmas) >= SIGMAS_MIN)
  })
  return found.sort((one, other) => Math.abs(other.sigmas) - Math.abs(one.sigmas))
}

/** NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

function pipelinesOf(points: readonly Point[]): readonly string[] {
  return [...new Set(points.map(({ pipeline }) => pipeline))]
}

function seqNumOn(day: number | null, { context }: JobRecord): number | null {
  const numbers = exposureNumbers(context.dataId.obsid ?? '')
  return numbers !== null && numbers.dayObs === day ? numbers.seqNum : null
}
