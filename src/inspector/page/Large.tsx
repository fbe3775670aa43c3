/// <reference lib="dom" />
/**
 * One image large, with its neighbours at the same place: zoom and pan with wheel, pointer, buttons or keys, and
 * blinking between the exposures of a group. Where people ask for reduced motion nothing moves by itself.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { blinkable, type Picture } from '../../night/pictures.ts'
import { Actor } from './parts.tsx'
import { pictureUrl } from './pictureUrl.ts'

interface LargeProps {
  readonly title: string
  readonly pictures: readonly Picture[]
  /** Which to begin with; null: always the first, whichever that becomes. */
  readonly first: string | null
  readonly isBlinking: boolean
  readonly close: () => void
}

// Images per second. Faster than three flashes per second can provoke seizures (WCAG 2.3.1).
const SPEEDS = [0.5, 1, 2, 3] as const
// What a browser holds decoded without effort at the size of previews.
const BLINKED_MAX = 60

export function Large({ title, pictures, first, isBlinking: begin, close }: LargeProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [key, show] = useState(first)
  const [isBlinking, setBlinking] = useState(begin && !isMotionReduced())
  const [speed, setSpeed] = useState<number>(2)
  const zoom = useZoom()
  const shown = pictures.find(one => one.key === key) ?? pictures[0]
  const others = shown ? blinkable(pictures, shown).slice(-BLINKED_MAX) : []
  const step = (through: readonly Picture[], by: number) => {
    const at = through.findIndex(one => one.key === shown?.key)
    const next = through[at === -1 ? 0 : (at + by + through.length) % through.length]
    if (next) show(next.key)
  }
  const latest = useRef(step)
  latest.current = step
  const blink = () => {
    if (others.length < 2) return
    if (isMotionReduced()) return step(others, 1)
    setBlinking(!isBlinking)
  }
  useEffect(() => dialog.current?.showModal(), [])
  useEffect(() => {
    if (!isBlinking) return
    const timer = setInterval(() => latest.current(others, 1), 1_000 / speed)
    return () => clearInterval(timer)
  }, [isBlinking, speed, others.map(one => one.key).join()])
  const press = (event: KeyboardEvent) => {
    // What a focused list of speeds does with its keys is its own.
    if (event.target instanceof HTMLSelectElement) return
    const act = {
      ArrowRight: () => (event.shiftKey ? zoom.pan(-PAN, 0) : step(pictures, 1)),
      ArrowLeft: () => (event.shiftKey ? zoom.pan(PAN, 0) : step(pictures, -1)),
      ArrowUp: () => zoom.pan(0, PAN),
      ArrowDown: () => zoom.pan(0, -PAN),
      b: blink,
      '+': () => zoom.by(2),
      '=': () => zoom.by(2),
      '-': () => zoom.by(0.5),
      '0': zoom.fit,
    }[event.key]
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    act()
  }
  const mounted = new Set([shown, ...(isBlinking ? others : neighbours(pictures, shown))])
  return (
    <dialog class="large" ref={dialog} aria-label={`images of ${title}`} onClose={close} onKeyDown={press}>
      <div class="large-head">
        <b aria-live={isBlinking ? 'off' : 'polite'}>{shown?.name ?? 'nothing yet'}</b>
        {shown && <Actor address={`job.${shown.jobId}`}>{shown.pipeline}</Actor>}
        <span class="muted">
          {title}
          {shown && pictures.length > 1 && ` · ${pictures.indexOf(shown) + 1} of ${pictures.length}`}
        </span>
        {pictures.length > 1 && (
          <span class="choice">
            <button type="button" onClick={() => step(pictures, -1)} aria-label="previous image">
              ←
            </button>
            <button type="button" onClick={() => step(pictures, 1)} aria-label="next image">
              →
            </button>
          </span>
        )}
        {others.length > 1 && (
          <span class="choice">
            <button type="button" aria-pressed={isBlinking} onClick={blink} title="key B">
              {isMotionReduced() ? 'Next exposure' : 'Blink'}
            </button>
            {!isMotionReduced() && (
              <select
                aria-label="images per second"
                value={speed}
                onChange={({ currentTarget }) => setSpeed(Number(currentTarget.value))}
              >
                {SPEEDS.map(one => (
                  <option key={one} value={one}>
                    {one} / s
                  </option>
                ))}
              </select>
            )}
          </span>
        )}
        <span class="choice" role="group" aria-label="zoom">
          <button type="button" onClick={() => zoom.by(0.5)} aria-label="zoom out">
            −
          </button>
          <button type="button" onClick={zoom.fit} title="key 0">
            {zoom.scale === 1 ? 'fit' : `${Number(zoom.scale.toPrecision(3))} ×`}
          </button>
          <button type="button" onClick={() => zoom.by(2)} aria-label="zoom in">
            +
          </button>
        </span>
        <button type="button" onClick={() => dialog.current?.close()} autofocus>
          Close
        </button>
      </div>
      <div class="stage" ref={zoom.stage} {...zoom.handlers}>
        <div class="stage-moved" style={{ transform: zoom.transform }}>
          {/* All at the same place, one visible: blinking loads nothing and nothing moves. */}
          {[...mounted].map(
            one =>
              one && (
                <img
                  key={one.key}
                  src={pictureUrl(one)}
                  alt={one === shown ? one.name : ''}
                  draggable={false}
                  class={`${one === shown ? 'shown' : 'hidden'}${zoom.scale >= 2 ? ' near' : ''}`}
                />
              ),
          )}
        </div>
      </div>
    </dialog>
  )
}

function isMotionReduced(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches
}

/** They are there when the next arrow is pressed. */
function neighbours(pictures: readonly Picture[], shown: Picture | undefined): (Picture | undefined)[] {
  const at = shown ? pictures.indexOf(shown) : 0
  return [pictures.at(at - 1), pictures[at + 1]]
}

// A single pixel of a preview is then as large as a finger.
const SCALE_MAX = 32
const PAN = 80

interface Viewport {
  readonly scale: number
  readonly x: number
  readonly y: number
}

/** Where the stage is looked at: 1 shows all of it, and nothing beyond its edges is ever shown. */
function useZoom() {
  const stage = useRef<HTMLDivElement>(null)
  const [place, setPlace] = useState<Viewport>({ scale: 1, x: 0, y: 0 })
  const drag = useRef<{ x: number; y: number } | null>(null)
  const inside = ({ scale, x, y }: Viewport): Viewport => {
    const { clientWidth = 0, clientHeight = 0 } = stage.current ?? {}
    const bound = (value: number, size: number) => Math.min(0, Math.max(size * (1 - scale), value))
    return { scale, x: bound(x, clientWidth), y: bound(y, clientHeight) }
  }
  const by = (factor: number, at?: { x: number; y: number }) =>
    setPlace(before => {
      const { clientWidth = 0, clientHeight = 0 } = stage.current ?? {}
      const { x, y } = at ?? { x: clientWidth / 2, y: clientHeight / 2 }
      const scale = Math.min(SCALE_MAX, Math.max(1, before.scale * factor))
      const grown = scale / before.scale
      // What is under the pointer stays there.
      return inside({ scale, x: x - (x - before.x) * grown, y: y - (y - before.y) * grown })
    })
  const pan = (x: number, y: number) =>
    setPlace(before => inside({ scale: before.scale, x: before.x + x, y: before.y + y }))
  useEffect(() => {
    const element = stage.current
    if (!element) return
    const wheel = (event: WheelEvent) => {
      event.preventDefault()
      const { left, top } = element.getBoundingClientRect()
      by(2 ** (-event.deltaY / (event.deltaMode === 0 ? 240 : 6)), { x: event.clientX - left, y: event.clientY - top })
    }
    // Preact's own would be passive, and the page would scroll as well.
    element.addEventListener('wheel', wheel, { passive: false })
    return () => element.removeEventListener('wheel', wheel)
  }, [])
  return {
    stage,
    by,
    pan,
    fit: () => setPlace({ scale: 1, x: 0, y: 0 }),
    scale: place.scale,
    transform: `translate(${place.x}px, ${place.y}px) scale(${place.scale})`,
    handlers: {
      onPointerDown: (event: PointerEvent) => {
        drag.current = { x: event.clientX, y: event.clientY }
        stage.current?.setPointerCapture(event.pointerId)
      },
      onPointerMove: ({ clientX: x, clientY: y }: PointerEvent) => {
        if (drag.current === null) return
        pan(x - drag.current.x, y - drag.current.y)
        drag.current = { x, y }
      },
      onPointerUp: () => {
        drag.current = null
      },
      onDblClick: () => setPlace({ scale: 1, x: 0, y: 0 }),
    },
  }
}
