/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What the page knows: the entries it was given, the night folded from them up to the moment that is shown, and where both come from. Redraws at most once
 * per frame. Shows the newest moment until someone travels.
 */
import { computed, signal } from '@preact/signals'
import type { Entry } from '../../journal/entry.ts'
import { createLineReader } from '../../journal/lines.ts'
import { createNight, type Night } from '../night.ts'
import type { Charts } from '../pageFiles.ts'
import type { Status } from '../tail.ts'

export type Source = 'live' | 'recording'

export interface Live extends Status {
  /** Of the gateway's clock over ours, milliseconds. */
  readonly skew: number
  /** The gateway itself cannot be reached. */
  readonly isCut: boolean
}

export const source = signal<Source>('live')
export const recordingName = signal('')
export const live = signal<Live>({
  link: 'away',
  problem: 'connecting',
  heartbeatAt: null,
  facts: null,
  skew: 0,
  isCut: true,
})
export const charts = signal<Charts>({})
export const caughtUp = signal(false)
export const problem = signal('')
/** How many entries are shown; null: all there are. */
export const place = signal<number | null>(null)
/** True while what is shown is not yet what is wanted. */
export const folding = signal(false)
/** Raised whenever what is shown has changed. */
export const version = signal(0)
/** Raised every second, for ages and countdowns. */
export const second = signal(Date.now())

export const isTravelling = computed(() => place.value !== null)

// Drawing a busy night takes as long: more would make the slider lag, less would spend the time on drawing.
const SLICE_MS = 40
// Folding takes some 20 µs an entry in a browser, so any moment is there within a tenth of a second; a mark of a whole night's jobs takes 2 MB.
const MARK_EVERY = 4_000

let instance = ''
let entries: Entry[] = []
let shown = createNight('')
let applied = 0
/** Nights on the way, to begin from when someone goes back. */
let marks: { readonly applied: number; readonly night: Night }[] = []
let isPursuing = false
let isDue = false

/** The night up to the moment that is shown. Read `version` to be drawn again. */
export function night(): Night {
  return shown
}

export function entryCount(): number {
  return entries.length
}

export function entryAt(index: number): Entry | undefined {
  return entries[index]
}

/** The moment that is shown, milliseconds since 1970 UTC: the present while live. */
export function now(): number {
  if (source.value === 'live' && place.value === null) return second.value + live.value.skew
  return shown.at
}

export function begin(name: string): void {
  instance = name
  entries = []
  restart()
  place.value = null
  caughtUp.value = false
  draw()
}

/** More of the journal. Entries known already are passed over. */
export function take(lines: string): void {
  for (const line of lines.split('\n')) {
    const entry = JSON.parse(line) as Entry
    if (entry.n > (entries.at(-1)?.n ?? 0)) entries.push(entry)
  }
  pursue()
}

/** Shows the night after `count` entries; null: follows the newest. */
export function travel(count: number | null): void {
  place.value = count
  const wanted = target()
  // From the nearest mark on; from where it stands if that is nearer.
  const mark = marks.findLast(one => one.applied <= wanted)
  if (wanted < applied || (mark && mark.applied > applied)) goTo(mark)
  pursue()
}

function goTo(mark: (typeof marks)[number] | undefined): void {
  shown = mark?.night.fork() ?? createNight(instance)
  applied = mark?.applied ?? 0
}

function target(): number {
  return Math.max(0, Math.min(entries.length, place.value ?? entries.length))
}

/** Folds towards the moment that is wanted, a slice per frame; a page nobody sees has no frames and catches up when it is seen. */
function pursue(): void {
  draw()
  folding.value = applied < target()
  if (!folding.value || isPursuing) return
  isPursuing = true
  requestAnimationFrame(() => {
    isPursuing = false
    const until = performance.now() + SLICE_MS
    while (applied < target() && performance.now() < until) fold(Math.min(target(), applied + 10))
    pursue()
  })
}

/** Shows a recording instead of what is live. Throws with a sentence where it is none. */
export function openRecording(name: string, text: string, of?: string): void {
  const reader = createLineReader()
  const read = text
    .split('\n')
    .filter(line => line !== '')
    .map((line, index) => reader.read(line, `${name}, line ${index + 1},`))
    .filter(({ what }) => what.type !== 'engine.said')
  if (read.length === 0) throw new Error(`${name} holds no entry; a recording is made with "ocps record".`)
  source.value = 'recording'
  recordingName.value = name
  caughtUp.value = true
  instance = instanceIn(read) ?? of ?? instance
  entries = read
  place.value = null
  restart()
  travel(null)
}

export function draw(): void {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    version.value += 1
  })
}

function fold(until: number): void {
  try {
    while (applied < until) {
      const entry = entries[applied]
      applied += 1
      if (entry) shown.apply(entry)
      if (applied >= (marks.at(-1)?.applied ?? 0) + MARK_EVERY) marks.push({ applied, night: shown.fork() })
    }
  } catch (error) {
    const n = entries[applied - 1]?.n ?? 0
    problem.value = `Entry ${n} cannot be folded (${error instanceof Error ? error.message : String(error)}); this page and the journal are of different versions, or it was edited. What follows may be wrong.`
  }
}

function restart(): void {
  marks = []
  goTo(undefined)
  problem.value = ''
}

function instanceIn(read: readonly Entry[]): string | undefined {
  for (const { what } of read) {
    if (what.type !== 'engine.quiescent') continue
    const csc = what.actors.find(({ kind }) => kind === 'csc')
    return (csc?.context as { instance?: string } | undefined)?.instance
  }
  return undefined
}
