/// <reference lib="dom" />
/**
 * Jobs in time, a lane each: thin while they waited, full while they ran, ended by the shape of their outcome. Scrolls
 * with the night.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { JobRecord, Night } from '../../night/night.ts'
import { clock, dataName, Empty, jobTone, jobWord, Section, shapeOf } from './parts.tsx'
import { now } from './store.ts'

// A lane can still be told from the next one at this many.
const LANES_MAX = 26
const LANE = 15
const LEFT = 188
// Until its place is known.
const WIDTH = 1_180
const SPANS: readonly (readonly [string, number])[] = [
  ['2 min', 120_000],
  ['10 min', 600_000],
  ['1 h', 3_600_000],
  ['all', 0],
]

export function Timeline({ night: tonight, open }: { night: Night; open: readonly JobRecord[] }) {
  const [asked, choose] = useState<number | null>(null)
  const to = now()
  const last = open.length > 0 ? to : (tonight.settled.at(-1)?.context.times.settled ?? 0)
  // Until someone chooses: the shortest that shows anything.
  const chosen = asked ?? SPANS.findIndex(([, wide]) => wide === 0 || last >= to - wide)
  const wide = SPANS[chosen]?.[1] ?? 0
  const from = wide === 0 ? Math.min(tonight.from || to, to - 1_000) : to - wide
  const { lanes, count } = lanesOf(tonight, open, from)
  const { place, width } = useWidth()
  const x = (at: number) => LEFT + ((Math.max(from, Math.min(to, at)) - from) / (to - from)) * (width - LEFT - 20)
  const height = lanes.length * LANE + 26
  return (
    <Section
      title="Timeline"
      note={
        <span role="group" aria-label="length of the timeline" class="choice">
          {SPANS.map(([name], index) => (
            <button key={name} type="button" aria-pressed={index === chosen} onClick={() => choose(index)}>
              {name}
            </button>
          ))}
          {count > lanes.length && ` ${lanes.length} of ${count} jobs`}
        </span>
      }
    >
      <div ref={place} />
      {lanes.length === 0 ? (
        <Empty>No job in this time.</Empty>
      ) : (
        <svg
          class="timeline"
          height={height}
          role="group"
          aria-label={`${lanes.length} ${lanes.length === 1 ? 'job' : 'jobs'} in time`}
        >
          {ticksOf(from, to).map(at => (
            <g key={at}>
              <line x1={x(at)} x2={x(at)} y1="0" y2={height - 16} class="tick" />
              <text x={x(at)} y={height - 4} class="axis" text-anchor="middle">
                {clock(at)}
              </text>
            </g>
          ))}
          {lanes.map((job, lane) => (
            <Lane key={job.jobId} job={job} y={lane * LANE} x={x} to={to} width={width} />
          ))}
        </svg>
      )}
    </Section>
  )
}

/**
 * Those that started last, and only then those that wait: of thousands that wait there is nothing to be seen. In the
 * order they were accepted.
 */
function lanesOf(tonight: Night, open: readonly JobRecord[], from: number): { lanes: JobRecord[]; count: number } {
  const over = tonight.settled.slice(tonight.settled.findLastIndex(job => job.context.times.settled < from) + 1)
  const started = open.filter(({ context }) => context.times.started !== null)
  const waiting = open.filter(({ context }) => context.times.started === null)
  const ran = [...over.slice(-LANES_MAX), ...started.slice(-LANES_MAX)].sort(byAcceptance).slice(-LANES_MAX)
  const room = LANES_MAX - ran.length
  return {
    lanes: [...ran, ...waiting.slice(0, room)].sort(byAcceptance),
    count: over.length + open.length,
  }
}

function byAcceptance(one: JobRecord, other: JobRecord): number {
  return one.context.times.accepted - other.context.times.accepted || (one.jobId < other.jobId ? -1 : 1)
}

/** Drawn in pixels, so that names stay as large as all other text. */
function useWidth() {
  const place = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(WIDTH)
  useLayoutEffect(() => {
    const element = place.current
    if (!element) return
    const watch = new ResizeObserver(() => setWidth(element.clientWidth))
    watch.observe(element)
    setWidth(element.clientWidth)
    return () => watch.disconnect()
  }, [])
  return { place, width }
}

function Lane({
  job,
  y,
  x,
  to,
  width,
}: {
  job: JobRecord
  y: number
  x: (at: number) => number
  to: number
  width: number
}) {
  const { accepted, started, settled } = job.context.times
  const tone = jobTone(job)
  const end = job.isOpen ? to : settled
  const middle = y + LANE / 2
  return (
    <a href={`#/actor/${encodeURIComponent(`job.${job.jobId}`)}`} class={`lane ${tone}`}>
      <title>{`${dataName(job)}, ${job.context.pipeline.name}: ${jobWord(job)}`}</title>
      <rect x="0" y={y} width={width} height={LANE} class="hit" />
      <text x="0" y={middle + 4} class="name">
        {short(dataName(job))}
      </text>
      <line x1={x(accepted)} x2={x(started ?? end)} y1={middle} y2={middle} class="waited" />
      {started !== null && (
        <rect x={x(started)} y={y + 3} width={Math.max(2, x(end) - x(started))} height={LANE - 6} rx="2" class="ran" />
      )}
      {!job.isOpen && (
        <text x={x(end) + 4} y={middle + 4} class="end">
          {shapeOf(tone)}
        </text>
      )}
    </a>
  )
}

function short(name: string): string {
  return name.length > 26 ? `…${name.slice(-25)}` : name
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200].map(seconds => seconds * 1_000)

function ticksOf(from: number, to: number): number[] {
  const step = STEPS.find(one => (to - from) / one <= 9) ?? 7_200_000
  const first = Math.ceil(from / step) * step
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step)
}
