/// <reference lib="dom" />
/**
 * A statechart as it was drawn once for its kind, lit for one actor: its active states and the edge it took last. Large
 * ones scroll and zoom.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { StepRecord } from '../../night/night.ts'
import { activeStates, edgesTaken } from './taken.ts'
import { charts } from './store.ts'
import { Empty } from './parts.tsx'

export function Chart({
  kind,
  snapshot,
  step,
}: {
  kind: string
  snapshot: StepRecord['after'] | null
  step: StepRecord | null
}) {
  const frame = useRef<HTMLDivElement>(null)
  const [zoom, setZoom] = useState(0)
  const chart = charts.value[kind]
  // As text, so that what did not change is not lit again. Ids of edges hold spaces: `job.active|after timeLimit|0`.
  const active = (snapshot ? activeStates(snapshot) : []).join('\n')
  const taken = (step ? edgesTaken(step) : []).join('\n')
  useLayoutEffect(() => {
    light(frame.current, 'state', 'is-active', new Set(active.split('\n')))
    light(frame.current, 'edge', 'is-taken', new Set(taken.split('\n')))
  }, [active, taken, chart])
  useLayoutEffect(() => show(frame.current), [active, zoom, chart])
  if (!chart) return <Empty>The chart of {kind} is not there: the inspector was started without charts.</Empty>
  const [, width = '800'] = /viewBox="0 0 ([\d.]+)/.exec(chart.svg) ?? []
  const scale = ZOOMS[zoom] ?? null
  return (
    <div class="chart-box">
      <div class="choice zoom" role="group" aria-label="size of the chart">
        {['fit', '100 %', '150 %'].map((name, index) => (
          <button key={name} type="button" aria-pressed={zoom === index} onClick={() => setZoom(index)}>
            {name}
          </button>
        ))}
      </div>
      <div class="chart" tabIndex={0} role="region" aria-label={`statechart of ${kind}`}>
        {/* Drawn by our own gateway from our own machines; nothing a client sent is in it. */}
        <div
          ref={frame}
          style={scale === null ? {} : { width: `${Number(width) * scale}px` }}
          dangerouslySetInnerHTML={{ __html: chart.svg }}
        />
      </div>
    </div>
  )
}

const ZOOMS = [null, 1, 1.5] as const

function light(root: HTMLElement | null, what: 'state' | 'edge', name: string, lit: ReadonlySet<string>): void {
  for (const element of root?.querySelectorAll<SVGElement>(`[data-${what}]`) ?? [])
    element.classList.toggle(name, lit.has(element.dataset[what] ?? ''))
}

/** Scrolls the chart, and nothing around it, to the innermost active state. */
function show(root: HTMLElement | null): void {
  const box = root?.parentElement
  const lit = [...(root?.querySelectorAll<SVGElement>('[data-state].is-active') ?? [])].at(-1)
  if (!box || !lit) return
  const outer = box.getBoundingClientRect()
  const inner = lit.getBoundingClientRect()
  if (inner.top < outer.top || inner.bottom > outer.bottom)
    box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2
  if (inner.left < outer.left || inner.right > outer.right)
    box.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2
}
