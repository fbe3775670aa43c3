/// <reference lib="dom" />
/**
 * The detectors of an exposure at their places, coloured by how far their jobs are or by a metric of theirs; each leads
 * to its job.
 */
import { useState } from 'preact/hooks'
import { explainJob } from '../../night/explain.ts'
import { type DetectorExposure, detectorExposures, type Place, planeOf } from '../../night/focalPlane.ts'
import type { JobRecord } from '../../night/night.ts'
import { colourAt, GRADIENT, inkOn } from './colours.ts'
import { Actor, Chip, Empty, jobTone, jobWord, Section, shapeOf, type Tone } from './parts.tsx'
import { night } from './store.ts'
import { slowVersion } from './frames.ts'

// What a list to choose from can hold; older ones are reached by their address.
const EXPOSURES_MAX = 200
// A row for each would be longer than the picture.
const LISTED_MAX = 12

const STATE = 'state'

/** `obsid`: which exposure, or '' for whichever is the newest. */
export function FocalPlaneView({ obsid }: { obsid: string }) {
  void slowVersion.value
  const [wanted, wantPipeline] = useState('')
  const [colour, colourBy] = useState(STATE)
  const exposures = detectorExposures(night())
  const exposure = obsid === '' ? exposures[0] : exposures.find(one => one.obsid === obsid)
  if (!exposure)
    return (
      <Section title="Focal plane">
        <Empty>
          {obsid === ''
            ? 'No exposure was processed detector by detector. A processData that names detectors makes one job for each.'
            : `No detector of ${obsid} was processed at this moment of the night.`}
        </Empty>
      </Section>
    )
  const pipelines = [...exposure.pipelines.keys()]
  const pipeline = pipelines.includes(wanted) ? wanted : (pipelines.at(-1) ?? '')
  const jobs = exposure.pipelines.get(pipeline) ?? new Map<number, JobRecord>()
  const metrics = [
    ...new Set([...jobs.values()].flatMap(job => job.context.metrics.map(({ metric }) => metric))),
  ].sort()
  const by = metrics.includes(colour) ? colour : STATE
  return (
    <div class="focal">
      <Section
        title="Focal plane"
        note={
          <span class="choice">
            <Choice label="exposure" value={obsid} choose={one => (location.hash = `#/focal/${one}`)}>
              {[
                ['', `newest (${exposures[0]?.obsid ?? ''})`],
                ...exposures.slice(0, EXPOSURES_MAX).map(one => [one.obsid, one.obsid] as const),
              ]}
            </Choice>
            {pipelines.length > 1 && (
              <Choice label="pipeline" value={pipeline} choose={wantPipeline}>
                {pipelines.map(name => [name, name])}
              </Choice>
            )}
            <Choice label="colour by" value={by} choose={colourBy}>
              {[[STATE, 'state'], ...metrics.map(name => [name, name] as const)]}
            </Choice>
          </span>
        }
      >
        {by === STATE ? (
          <ByState exposure={exposure} jobs={jobs} />
        ) : (
          <ByMetric exposure={exposure} jobs={jobs} metric={by} />
        )}
      </Section>
    </div>
  )
}

function Choice({
  label,
  value,
  choose,
  children,
}: {
  label: string
  value: string
  choose: (value: string) => void
  children: readonly (readonly [value: string, text: string] | readonly string[])[]
}) {
  return (
    <label>
      <span class="muted">{label}</span>{' '}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        {children.map(([one = '', text = one]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

type Jobs = ReadonlyMap<number, JobRecord>

interface Cell {
  readonly tone: Tone | 'measured'
  /** Inside the detector. */
  readonly mark: string
  /** For who hovers or listens. */
  readonly text: string
  readonly fill?: string
  readonly ink?: string
}

function ByState({ exposure, jobs }: { exposure: DetectorExposure; jobs: Jobs }) {
  const tonight = night()
  const counts = new Map<string, { tone: Tone; count: number }>()
  for (const job of jobs.values()) {
    const word = jobWord(job)
    counts.set(word, { tone: jobTone(job), count: (counts.get(word)?.count ?? 0) + 1 })
  }
  const odd = [...jobs].filter(([, job]) => jobTone(job) === 'bad' || jobTone(job) === 'warn')
  const words = [...counts].map(([word, { count }]) => `${count} ${word}`).join(', ')
  return (
    <div class="columns wide-left">
      <Plane
        exposure={exposure}
        jobs={jobs}
        summary={words}
        cellOf={job => ({ tone: jobTone(job), mark: shapeOf(jobTone(job)), text: jobWord(job) })}
      />
      <div>
        <ul class="words legend" aria-label="legend">
          {[...counts].map(([word, { tone, count }]) => (
            <li key={word}>
              <Chip tone={tone}>{word}</Chip> <span class="number">{count}</span>
            </li>
          ))}
        </ul>
        {odd.length > 0 && <h3>Did not succeed</h3>}
        <ul class="odd">
          {odd.slice(0, LISTED_MAX).map(([detector, job]) => (
            <li key={detector}>
              <Actor address={`job.${job.jobId}`}>detector {detector}</Actor>{' '}
              <span class="why">{explainJob(tonight, job).replace(`Job ${job.jobId} `, '')}</span>
            </li>
          ))}
        </ul>
        {odd.length > LISTED_MAX && <p class="more">and {odd.length - LISTED_MAX} more</p>}
      </div>
    </div>
  )
}

function ByMetric({ exposure, jobs, metric }: { exposure: DetectorExposure; jobs: Jobs; metric: string }) {
  const found = new Map(
    [...jobs.values()].flatMap(job => {
      const one = job.context.metrics.find(({ metric: name }) => name === metric)
      return one ? [[job.jobId, one] as const] : []
    }),
  )
  const unit = [...found.values()].find(one => one.unit !== '')?.unit ?? ''
  const values = [...found.values()].flatMap(({ value }) => (typeof value === 'number' ? [value] : []))
  const sorted = values.toSorted((a, b) => a - b)
  const range = rangeOf(sorted)
  const middle = sorted[sorted.length >> 1] ?? 0
  const withUnit = (value: number) => `${short(value)}${unit === '' ? '' : ` ${unit}`}`
  const cellOf = (job: JobRecord): Cell => {
    const value = found.get(job.jobId)?.value
    if (typeof value !== 'number')
      return { tone: jobTone(job), mark: shapeOf(jobTone(job)), text: `not measured, ${jobWord(job)}` }
    const share = range.to === range.from ? 0.5 : (value - range.from) / (range.to - range.from)
    return { tone: 'measured', mark: short(value), text: withUnit(value), fill: colourAt(share), ink: inkOn(share) }
  }
  const far = [...jobs]
    .flatMap(([detector, job]) => {
      const value = found.get(job.jobId)?.value
      return typeof value === 'number' ? [{ detector, job, value }] : []
    })
    .sort((one, other) => Math.abs(other.value - middle) - Math.abs(one.value - middle))
  const summary = `${metric} of ${values.length}, median ${withUnit(middle)}, from ${withUnit(sorted[0] ?? 0)} to ${withUnit(sorted.at(-1) ?? 0)}`
  return (
    <div class="columns wide-left">
      <Plane exposure={exposure} jobs={jobs} summary={summary} cellOf={cellOf} />
      <div>
        <figure class="scale" aria-label={`legend: ${summary}`}>
          <figcaption>
            <b>{metric}</b> <span class="muted">{unit === '' ? 'without a unit' : unit}</span>
          </figcaption>
          <div class="gradient" style={{ background: GRADIENT }} />
          <div class="ends number">
            <span>
              {range.isClipped && '≤ '}
              {withUnit(range.from)}
            </span>
            <span>median {withUnit(middle)}</span>
            <span>
              {range.isClipped && '≥ '}
              {withUnit(range.to)}
            </span>
          </div>
        </figure>
        <h3>Farthest from the median</h3>
        <table>
          <tbody>
            {far.slice(0, LISTED_MAX).map(({ detector, job, value }) => (
              <tr key={detector}>
                <th>
                  <Actor address={`job.${job.jobId}`}>detector {detector}</Actor>
                </th>
                <td class="number">{short(value)}</td>
                <td>{unit}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  )
}

// One detector that went wrong must not take the colours from all others.
const CLIPPED = 0.02
const CLIPPED_FROM = 20

function rangeOf(sorted: readonly number[]): { from: number; to: number; isClipped: boolean } {
  const isClipped = sorted.length >= CLIPPED_FROM
  const cut = isClipped ? Math.floor(sorted.length * CLIPPED) : 0
  return { from: sorted[cut] ?? 0, to: sorted[sorted.length - 1 - cut] ?? 0, isClipped: cut > 0 }
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)))
}

// Fewer detectors are large enough to hold their number and what is measured.
const LARGE_MAX = 36

function Plane({
  exposure: { obsid, instrument },
  jobs,
  summary,
  cellOf,
}: {
  exposure: DetectorExposure
  jobs: Jobs
  summary: string
  cellOf: (job: JobRecord) => Cell
}) {
  const { width, height, places } = planeOf(instrument, [...jobs.keys()])
  const isLarge = places.length <= LARGE_MAX
  return (
    <svg
      class={`plane${isLarge ? '' : ' many'}`}
      viewBox={`-0.05 -0.05 ${width + 0.1} ${height + 0.1}`}
      role="group"
      aria-label={`${jobs.size} detectors of ${obsid}: ${summary}`}
    >
      {places.map(place => {
        const job = jobs.get(place.detector)
        return job ? (
          <Detector key={place.detector} place={place} job={job} cell={cellOf(job)} isLarge={isLarge} />
        ) : (
          <rect key={place.detector} class="absent" x={place.x + 0.05} y={place.y + 0.05} width="0.9" height="0.9">
            <title>{`${place.name || `detector ${place.detector}`}: no job`}</title>
          </rect>
        )
      })}
    </svg>
  )
}

function Detector({
  place: { detector, name, x, y },
  job,
  cell: { tone, mark, text, fill, ink },
  isLarge,
}: {
  place: Place
  job: JobRecord
  cell: Cell
  isLarge: boolean
}) {
  const label = `detector ${detector}${name === '' ? '' : ` (${name})`}: ${text}`
  return (
    <a
      href={`#/actor/${encodeURIComponent(`job.${job.jobId}`)}`}
      class={`detector ${tone}`}
      aria-label={label}
      data-detector={detector}
    >
      <title>{label}</title>
      <rect x={x + 0.04} y={y + 0.04} width="0.92" height="0.92" rx="0.08" style={fill ? { fill } : {}} />
      <text class="what" x={x + 0.5} y={y + (isLarge ? 0.62 : 0.72)} style={ink ? { fill: ink } : {}}>
        {mark}
      </text>
      <text
        class="which"
        x={x + (isLarge ? 0.12 : 0.5)}
        y={y + (isLarge ? 0.22 : 0.34)}
        style={ink ? { fill: ink } : {}}
      >
        {detector}
      </text>
    </a>
  )
}
