/// <reference lib="dom" />
/**
 * One metric plotted: a line per pipeline, units on its axes, and a ring around what is out of the ordinary that leads
 * to the job.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { type Axis, type Outlier, outliersOf, type Point, type Series } from '../../night/series.ts'
import { clock, dataName } from './parts.tsx'

export function Plot({ series, axis }: { series: Series; axis: Axis }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const { metric, unit, pipelines, points, perDetector } = series
  const outliers = outliersOf(series)
  const latest = useRef({ points, outliers })
  latest.current = { points, outliers }
  const theme = useTheme()
  const shape = `${pipelines.join(' ')} ${perDetector.join(' ')}`
  useEffect(() => {
    const element = place.current
    if (!element) return
    const size = () => ({ width: element.clientWidth, height: HEIGHT })
    const options = optionsOf(series, axis, getComputedStyle(element))
    const hooks = { draw: [(drawn: uPlot) => ring(drawn, latest.current.outliers.slice(0, RINGED_MAX))] }
    const made = new uPlot({ ...options, ...size(), hooks }, dataOf(series), element)
    made.over.addEventListener('click', event => openNearest(made, event, latest.current.points))
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize(size()))
    watch.observe(element)
    return () => {
      watch.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [metric, shape, axis, theme])
  const content = `${points.length} ${points.reduce((sum, { value }) => sum + (value ?? 0), 0)}`
  useEffect(() => plot.current?.setData(dataOf(series)), [content])
  const last = points.at(-1)
  const withUnit = unit === '' ? '' : ` in ${unit}`
  return (
    <figure class="plot">
      <figcaption>
        <b>{metric}</b> {unit !== '' && <span class="muted">{unit}</span>}
        <span class="number">{last ? short(last.value) : ''}</span>
      </figcaption>
      <div
        ref={place}
        role="group"
        aria-label={`${metric}${withUnit}: ${points.length} values of ${pipelines.join(', ')}, the last ${last?.value ?? 'not measured'} of ${last ? dataName(last.job) : ''}`}
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
      {outliers.length > 0 && <Outliers outliers={outliers} unit={unit} />}
    </figure>
  )
}

// What a plot of this size can ring before rings cover each other.
const RINGED_MAX = 40
const LISTED_MAX = 4

function Outliers({ outliers, unit }: { outliers: readonly Outlier[]; unit: string }) {
  return (
    <ul class="outliers" aria-label="out of the ordinary">
      {outliers.slice(0, LISTED_MAX).map(({ point: { job }, value, sigmas }) => (
        <li key={job.jobId}>
          <a href={jobHref(job)}>{dataName(job)}</a>{' '}
          <span class="number">
            {short(value)} {unit}
          </span>{' '}
          <span class="muted" title="of the median, in standard deviations as the others scatter">
            {Math.abs(sigmas) >= 100 ? 'far' : `${Math.abs(sigmas).toFixed(0)} σ`} {sigmas > 0 ? 'above' : 'below'}
          </span>{' '}
          {job.context.datasets.some(({ mime }) => mime.startsWith('image/')) && (
            <a href={`#/images/${encodeURIComponent(job.jobId)}`} aria-label={`image of ${dataName(job)}`}>
              image
            </a>
          )}
        </li>
      ))}
      {outliers.length > LISTED_MAX && <li class="muted">and {outliers.length - LISTED_MAX} more, ringed</li>}
    </ul>
  )
}

const HEIGHT = 190
const LINES = ['--accent', '--warn', '--good', '--muted']

function optionsOf({ pipelines, unit, perDetector }: Series, axis: Axis, css: CSSStyleDeclaration) {
  const colour = (name: string) => css.getPropertyValue(name).trim()
  const common = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
    labelFont: '11px system-ui',
    labelSize: 16,
    labelGap: 0,
  }
  const times = (ticks: number[]) => ticks.map(at => clock(at * 1000))
  const numbers = (ticks: number[]) => ticks.map(at => (Number.isInteger(at) ? String(at) : ''))
  return {
    tzDate: (at: number) => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
    legend: { show: false },
    scales: {
      x: { time: axis === 'time', range: (drawn: uPlot): uPlot.Range.MinMax => around(drawn.data[0], axis) },
      // Of nothing but zeros there would be a scale up to a hundred.
      y: {
        range: (_drawn: uPlot, min: number, max: number): uPlot.Range.MinMax =>
          min === 0 && max === 0 ? [0, 1] : uPlot.rangeNum(min, max, 0.1, true),
      },
    },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    axes: [
      {
        ...common,
        size: 24,
        space: axis === 'time' ? 70 : 40,
        label: axis === 'time' ? 'time, UTC' : 'sequence number',
        values: (_drawn: uPlot, ticks: number[]) => (axis === 'time' ? times(ticks) : numbers(ticks)),
      },
      { ...common, size: 52, label: unit === '' ? 'no unit' : unit },
    ],
    series: [
      {},
      ...pipelines.map((label, index) => ({
        label,
        stroke: colour(LINES[index % LINES.length] ?? '--accent'),
        width: 1.5,
        points: { show: true, size: 5 },
        // Between detectors of one exposure a line would mean nothing.
        ...(perDetector.includes(label) ? { paths: () => null } : {}),
        spanGaps: true,
      })),
    ],
  } satisfies Omit<uPlot.Options, 'width' | 'height'>
}

function dataOf({ pipelines, points }: Series): uPlot.AlignedData {
  return [
    points.map(({ x }) => x),
    ...pipelines.map(name => points.map(({ pipeline, value }) => (pipeline === name ? value : null))),
  ]
}

/** From the first to the last; a single one has some room around it. */
function around(all: ArrayLike<number> | undefined, axis: Axis): [number, number] {
  const from = all?.[0] ?? 0
  const to = all?.[all.length - 1] ?? 0
  if (axis === 'sequence') return [from - 0.5, to + 0.5]
  return to - from < 1 ? [from - 5, to + 5] : [from, to]
}

/** Links above the drawing, so that they can be clicked, reached with Tab and read out. */
function ring(drawn: uPlot, outliers: readonly Outlier[]): void {
  for (const old of drawn.over.querySelectorAll('.outlier')) old.remove()
  for (const { point, value } of outliers) {
    const link = document.createElement('a')
    link.className = 'outlier'
    link.href = jobHref(point.job)
    link.title = `${dataName(point.job)}: ${short(value)}`
    link.setAttribute('aria-label', `out of the ordinary: ${dataName(point.job)}, ${short(value)}`)
    link.style.left = `${drawn.valToPos(point.x, 'x')}px`
    link.style.top = `${drawn.valToPos(value, 'y')}px`
    drawn.over.append(link)
  }
}

// A finger's width; further away nobody meant the point.
const NEAR_PX = 14

function openNearest(drawn: uPlot, event: MouseEvent, points: readonly Point[]): void {
  const { left, top } = drawn.over.getBoundingClientRect()
  const [x, y] = [event.clientX - left, event.clientY - top]
  let nearest: { point: Point; distance: number } | null = null
  for (const point of points) {
    if (point.value === null) continue
    const distance = Math.hypot(drawn.valToPos(point.x, 'x') - x, drawn.valToPos(point.value, 'y') - y)
    if (distance <= NEAR_PX && (nearest === null || distance < nearest.distance)) nearest = { point, distance }
  }
  if (nearest) location.hash = jobHref(nearest.point.job)
}

function jobHref({ jobId }: Point['job']): string {
  return `#/actor/${encodeURIComponent(`job.${jobId}`)}`
}

function short(value: number | null): string {
  return value === null ? '' : String(Number(value.toPrecision(4)))
}

/** Changes with light and dark: what is drawn on a canvas has to be drawn again. */
function useTheme(): string {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const read = () => `${document.documentElement.dataset['theme'] ?? ''} ${dark.matches}`
  const [theme, setTheme] = useState(read)
  useEffect(() => {
    const changed = () => setTheme(read())
    const watch = new MutationObserver(changed)
    watch.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    dark.addEventListener('change', changed)
    return () => {
      watch.disconnect()
      dark.removeEventListener('change', changed)
    }
  }, [])
  return theme
}
