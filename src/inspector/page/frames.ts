/// <reference lib="dom" />
/**
 * When the page is drawn: soon after something changed, as often as an eye follows, and never so often that drawing
 * takes more than its share of the time. What someone asked for is drawn with the next frame.
 */
import { signal } from '@preact/signals'

/** Raised whenever what is shown has changed. */
export const version = signal(0)
/**
 * Raised with it, but at most once a second while nobody asks: for what takes long to draw and is looked at for longer.
 */
export const slowVersion = signal(0)

// Numbers that change more often than this cannot be read.
const DRAW_EVERY_MS = 200
const DRAW_SLOWLY_EVERY_MS = 1_000
// Drawing takes a quarter of the time at most.
const REST_PER_DRAW = 3

let isDue = false
let isAskedFor = false
let timer: ReturnType<typeof setTimeout> | null = null
let restUntil = 0
let slowAgainAt = 0

export function draw(when: 'now' | 'soon' = 'soon'): void {
  if (when === 'now') {
    isAskedFor = true
    if (timer) clearTimeout(timer)
    timer = null
  }
  if (isDue || timer) return
  const wait = isAskedFor ? 0 : restUntil - performance.now()
  if (wait <= 0) return atNextFrame()
  timer = setTimeout(() => {
    timer = null
    atNextFrame()
  }, wait)
}

function atNextFrame(): void {
  isDue = true
  requestAnimationFrame(() => {
    const began = performance.now()
    const isSlow = isAskedFor || began >= slowAgainAt
    isDue = false
    isAskedFor = false
    version.value += 1
    if (isSlow) slowVersion.value += 1
    if (isSlow) slowAgainAt = began + DRAW_SLOWLY_EVERY_MS
    else drawSlowlyLater(slowAgainAt - began)
    afterFrame(() => {
      const ended = performance.now()
      restUntil = Math.max(began + DRAW_EVERY_MS, ended + (ended - began) * REST_PER_DRAW)
    })
  })
}

let slowTimer: ReturnType<typeof setTimeout> | null = null

function drawSlowlyLater(ms: number): void {
  slowTimer ??= setTimeout(() => {
    slowTimer = null
    draw()
  }, ms)
}

// A message comes when all that follows from a frame is done, layout and painting included.
const { port1, port2 } = new MessageChannel()
let waiting: (() => void)[] = []
port1.addEventListener('message', () => {
  const all = waiting
  waiting = []
  for (const one of all) one()
})
port1.start()

function afterFrame(then: () => void): void {
  waiting.push(then)
  port2.postMessage(null)
}
