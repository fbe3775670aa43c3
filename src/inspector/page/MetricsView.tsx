/// <reference lib="dom" />
/** Every metric over the night, one plot each, a line per pipeline. Numbers only; a value that was not measured leaves a gap. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import type { JobRecord } from '../night.ts'
import { clock, dataName, Empty, Section } from './parts.tsx'
import { night, version } from './store.ts'

// A plot of this many points is drawn in a frame.
const POINTS_MAX = 5_000

interface Series {
  readonly metric: string
  readonly unit: string
  readonly pipelines: readonly string[]
  readonly points: readonly {
    readonly at: number
    readonly pipeline: string
    readonly value: number | null
    readonly name: string
  }[]
}

export function MetricsView() {
  void version.value
  const all = seriesOf([...night().jobs.values()])
  return (
    <Section
      title="Metrics"
      note={all.length === 0 ? '' : `${all.length}, each over the time its job was accepted (UTC)`}
    >
      {all.length === 0 && <Empty>No job has said a metric yet.</Empty>}
      <div class="plots">
        {all.map(series => (
          <Plot key={series.metric} series={series} />
        ))}
      </div>
    </Section>
  )
}

function seriesOf(jobs: readonly JobRecord[]): Series[] {
  const byMetric = new Map<string, { unit: string; pipelines: Set<string>; points: Series['points'][number][] }>()
  for (const job of jobs.slice(-POINTS_MAX))
    for (const { metric, value, unit } of job.context.metrics) {
      const series = byMetric.get(metric) ?? { unit, pipelines: new Set(), points: [] }
      byMetric.set(metric, series)
      const pipeline = job.context.pipeline.name
      series.pipelines.add(pipeline)
      series.points.push({
        at: job.context.times.accepted,
        pipeline,
        value: typeof value === 'number' ? value : null,
        name: dataName(job),
      })
    }
  return [...byMetric]
    .map(([metric, { unit, pipelines, points }]) => ({
      metric,
      unit,
      pipelines: [...pipelines],
      points: points.sort((a, b) => a.at - b.at),
    }))
    .sort((a, b) => (a.metric < b.metric ? -1 : 1))
}

const HEIGHT = 150

function Plot({ series }: { series: Series }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const { metric, unit, pipelines, points } = series
  const last = points.at(-1)
  const shape = pipelines.join(' ')
  useEffect(() => {
    const element = place.current
    if (!element) return
    const css = getComputedStyle(element)
    const colour = (name: string) => css.getPropertyValue(name).trim()
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    }
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        tzDate: at => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
        legend: { show: false },
        scales: { x: { range: plot => around(plot.data[0]) } },
        cursor: { y: false, points: { size: 7 } },
        axes: [
          { ...axis, size: 24, space: 70, values: (_plot, ticks) => ticks.map(at => clock(at * 1000)) },
          { ...axis, size: 52 },
        ],
        series: [
          {},
          ...pipelines.map((label, index) => ({
            label,
            stroke: colour(LINES[index % LINES.length] ?? '--accent'),
            width: 1.5,
            points: { show: true, size: 5 },
            spanGaps: true,
          })),
        ],
      },
      dataOf(series),
      element,
    )
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    watch.observe(element)
    return () => {
      watch.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [metric, shape])
  useEffect(() => plot.current?.setData(dataOf(series)), [points.length, last?.at, last?.value])
  return (
    <figure class="plot">
      <figcaption>
        <b>{metric}</b> {unit !== '' && <span class="muted">{unit}</span>}
        <span class="number">
          {last?.value === undefined || last.value === null ? '' : Number(last.value.toPrecision(4))}
        </span>
      </figcaption>
      <div
        ref={place}
        role="img"
        aria-label={`${metric}${unit === '' ? '' : ` in ${unit}`}: ${points.length} values of ${pipelines.join(', ')}, the last ${last?.value ?? 'not measured'} of ${last?.name ?? ''}`}
      />
      {pipelines.length > 1 && (
        <p class="keys">
          {pipelines.map((name, index) => (
            <span key={name}>
              <i style={{ background: `var(${LINES[index % LINES.length] ?? '--accent'})` }} /> {name}
            </span>
          ))}
        </p>
      )}
    </figure>
  )
}

const LINES = ['--accent', '--warn', '--good', '--muted']

function dataOf({ pipelines, points }: Series): uPlot.AlignedData {
  return [
    points.map(({ at }) => at / 1000),
    ...pipelines.map(name => points.map(({ pipeline, value }) => (pipeline === name ? value : null))),
  ]
}

/** From the first to the last moment; a single one has some time around it. */
function around(times: ArrayLike<number>): [number, number] {
  const from = times[0] ?? 0
  const to = times[times.length - 1] ?? 0
  return to - from < 1 ? [from - 5, to + 5] : [from, to]
}
