/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What the page knows: the entries it holds, the night folded from them up to the newest, the night up to the moment
 * that is shown, and where both come from. Shows the newest moment until someone travels. Whatever comes, frames stay
 * short: folding and drawing have their share of each and no more.
 */
import { computed, signal } from '@preact/signals'
import type { Entry } from '../../journal/entry.ts'
import { createLineReader } from '../../journal/lines.ts'
import { headOf } from '../../night/head.ts'
import { createNight, type Night } from '../../night/night.ts'
import type { Charts } from '../pageFiles.ts'
import type { Status } from '../../night/tail.ts'
import { draw } from './frames.ts'

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
/** How many of the entries that are held are shown; null: all there are. */
export const place = signal<number | null>(null)
/** True while what is shown is not yet what is wanted. */
export const folding = signal(false)
/** The entries this page passed over because it could not keep up; null: none. */
export const skipped = signal<{ readonly from: number; readonly to: number } | null>(null)
/** Raised every second, for ages and countdowns. */
export const second = signal(Date.now())

export const isTravelling = computed(() => place.value !== null)

/**
 * An entry as it came: parsed when it is folded, since text takes a third of the memory and nothing of the garbage
 * collector's time.
 */
interface Held {
  readonly n: number
  readonly at: number
  readonly mayBegin: boolean
  readonly isMark: boolean
  /** What came before it is not held. */
  readonly isAfterGap: boolean
  readonly line: string
}

interface Mark {
  readonly applied: number
  readonly night: Night
}

// As many as the gateway holds for who comes.
const HELD_MAX = 100_000
const SLACK = 1.25
// Folding takes some 20 µs an entry in a browser, so any moment is there within a twentieth of a second; a mark of a
// whole night's jobs takes 2 MB.
const MARK_EVERY = 2_000
// Of a frame of 16 ms: what is left is for drawing.
const SLICE_LIVE_MS = 12
// While nothing can be seen yet, or someone waits for a moment, frames may be long.
const SLICE_SEEKING_MS = 40
// Whoever seeks is shown what lies between only when it takes longer than this: drawing it would make it take longer.
const SEEK_UNSEEN_MS = 150
// A page nobody sees folds in the background, a message at a time.
const SLICE_HIDDEN_MS = 500
// A page that is so far behind shows what was half a minute ago: better to pass over it.
const BEHIND_MAX = 60_000
const BEHIND_WITHOUT_BEGINNING_MAX = 250_000
// Less than a second of the busiest night: that is the present.
const NEAR = 2_000
// Between two looks at the clock.
const FOLD_ENTRIES = 10

let instance = ''
let entries: Held[] = []
/** Up to the newest entry, also while another moment is shown: so the way back is short. */
let head = createNight('')
let headApplied = 0
let shown = head
let applied = 0
/** Nights on the way, to begin from when someone goes back. */
let marks: Mark[] = []
let seekingSince = 0
let isPursuing = false
let isGapNext = false
/** Until the newest entry was reached once. */
let isFirstReading = true
/** What is seldom drawn was drawn last before anything was there. */
let isFirstDrawDue = false

/** The night up to the moment that is shown. Read `version` to be drawn again. */
export function night(): Night {
  return shown
}

export function entryCount(): number {
  return entries.length
}

export function entryAt(index: number): Entry | undefined {
  const held = entries[index]
  return held && (JSON.parse(held.line) as Entry)
}

export function timeAt(index: number): number | undefined {
  return entries[index]?.at
}

/** n of the newest entry; 0: there is none. */
export function newest(): number {
  return entries.at(-1)?.n ?? 0
}

/** Where entry n is among those that are held, or null: numbers have holes where digests were left out. */
export function indexOf(n: number): number | null {
  let low = 0
  let high = entries.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const there = entries[middle]?.n ?? 0
    if (there === n) return middle
    if (there < n) low = middle + 1
    else high = middle - 1
  }
  return null
}

/** From when on moments can be shown; null: from the very first entry on. */
export function reach(): number | null {
  const [first] = entries
  return first === undefined || first.n === 1 ? null : first.at
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
  caughtUp.value = false
  draw('now')
}

/** More of the journal, or '' when there is no more for now. Entries known already are passed over. */
export function take(lines: string): void {
  for (const line of lines === '' ? [] : lines.split('\n')) {
    const { n, at, begins, isMark } = headOf(line)
    if (n <= newest()) continue
    entries.push({ n, at, mayBegin: false, isMark, isAfterGap: isGapNext, line })
    isGapNext = false
    const first = begins === null ? -1 : entries.length - 1 - (n - begins)
    const held = entries[first]
    if (held && held.n === begins) entries[first] = { ...held, mayBegin: true }
  }
  if (entries.length - headApplied > BEHIND_MAX && !isFirstReading) jump()
  if (document.hidden) foldFor(SLICE_HIDDEN_MS)
  drop()
  pursue()
}

/** Nothing that is held leads to the newest entry any more within reason. */
export function tooFarBehind(): boolean {
  return entries.length - headApplied > BEHIND_WITHOUT_BEGINNING_MAX
}

/** These entries will not come. */
export function passOver(from: number, to: number): void {
  isGapNext = true
  saySkipped(from, to)
}

function saySkipped(from: number, to: number): void {
  skipped.value = { from: Math.min(from, skipped.value?.from ?? from), to }
}

/** Shows the night after `count` entries; null: follows the newest. */
export function travel(count: number | null): void {
  const wasLive = place.value === null
  place.value = count
  if (count === null) {
    shown = head
  } else {
    const wanted = wantedOf(count)
    // From the nearest mark on; from where it stands if that is nearer.
    const mark = marks.findLast(one => one.applied <= wanted)
    const goesOn = !wasLive && wanted >= applied && applied >= (mark?.applied ?? 0)
    if (!goesOn) goTo(wanted >= headApplied ? { applied: headApplied, night: head } : mark)
  }
  seekingSince = performance.now()
  // At once, and not with the next frame: most moments are there by then.
  if (count !== null) seekFor(SLICE_SEEKING_MS)
  pursue()
  if (!folding.value) draw('now')
}

function goTo(mark: Mark | undefined): void {
  shown = mark?.night.fork() ?? createNight(instance)
  applied = mark?.applied ?? 0
}

function wantedOf(count: number): number {
  return Math.max(0, Math.min(entries.length, count))
}

/** Folds towards the newest entry, and towards the moment that is wanted, a slice per frame. */
function pursue(): void {
  const isBehind = headApplied < entries.length
  const wanted = place.value === null ? null : wantedOf(place.value)
  const isBegun = headApplied > 0 || entries.length === 0
  if (isFirstReading && isBegun && caughtUp.value && entries.length - headApplied <= NEAR) {
    isFirstReading = false
    isFirstDrawDue = true
    draw('now')
  }
  folding.value = wanted === null ? isBehind && isFirstReading : applied < wanted
  if ((!isBehind && !folding.value) || isPursuing) return
  isPursuing = true
  requestAnimationFrame(() => {
    isPursuing = false
    if (place.value !== null) seekFor(SLICE_SEEKING_MS)
    foldFor(isFirstReading && place.value === null ? SLICE_SEEKING_MS : SLICE_LIVE_MS)
    pursue()
  })
}

function seekFor(ms: number): void {
  const wanted = wantedOf(place.value ?? 0)
  if (applied >= wanted) return
  const until = performance.now() + ms
  while (applied < wanted && performance.now() < until)
    for (let count = 0; count < FOLD_ENTRIES && applied < wanted; count += 1) foldInto(shown, entries[applied++])
  if (applied >= wanted) draw('now')
  else if (performance.now() - seekingSince > SEEK_UNSEEN_MS) draw()
}

function foldFor(ms: number): void {
  const from = headApplied
  const until = performance.now() + ms
  while (headApplied < entries.length && performance.now() < until)
    for (let count = 0; count < FOLD_ENTRIES && headApplied < entries.length; count += 1) {
      foldInto(head, entries[headApplied++])
      if (headApplied >= (marks.at(-1)?.applied ?? 0) + MARK_EVERY)
        marks.push({ applied: headApplied, night: head.fork() })
    }
  const isAllThere = isFirstDrawDue && headApplied >= entries.length
  if (isAllThere) isFirstDrawDue = false
  // Who travels sees how far it could go.
  if (headApplied > from || isAllThere) draw(isAllThere ? 'now' : 'soon')
}

function foldInto(folded: Night, held: Held | undefined): void {
  if (held === undefined) return
  if (held.isAfterGap) folded.leap()
  if (held.isMark && !folded.needsMark) return folded.passMark(held)
  try {
    folded.apply(JSON.parse(held.line) as Entry)
  } catch (error) {
    problem.value = `Entry ${held.n} cannot be folded (${error instanceof Error ? error.message : String(error)}); this page and the journal are of different versions, or it was edited. What follows may be wrong.`
  }
}

/** To the newest entry that holds all that is open. */
function jump(): void {
  const to = entries.findLastIndex(({ mayBegin }) => mayBegin)
  const from = entries[headApplied]
  const last = entries[to - 1]
  if (to <= headApplied || !from || !last) return
  saySkipped(from.n, last.n)
  head.leap()
  headApplied = to
}

/** What is too old to be shown again. The first mark that stays is where the page then begins. */
function drop(): void {
  if (entries.length <= HELD_MAX * SLACK || source.value === 'recording') return
  const first = marks.find(({ applied: at }) => entries.length - at <= HELD_MAX)
  if (first === undefined) return
  const by = first.applied
  entries = entries.slice(by)
  marks = marks.flatMap(one => (one.applied < by ? [] : [{ ...one, applied: one.applied - by }]))
  headApplied -= by
  if (place.value === null) return
  // Whoever looks at what is dropped goes on seeing it until the next step, which begins at the first mark.
  applied = applied < by ? Number.POSITIVE_INFINITY : applied - by
  place.value = Math.max(0, place.value - by)
}

/** Shows a recording instead of what is live. Throws with a sentence where it is none. */
export function openRecording(name: string, text: string, of?: string): void {
  const reader = createLineReader()
  let found: string | undefined
  const read = text
    .split('\n')
    .filter(line => line !== '')
    .flatMap((line, index) => {
      const entry = reader.read(line, `${name}, line ${index + 1},`)
      found ??= instanceIn(entry)
      const { n, at, isDigest, isMark } = headOf(line)
      return isDigest ? [] : [{ n, at, mayBegin: false, isMark, isAfterGap: false, line }]
    })
  if (read.length === 0) throw new Error(`${name} holds no entry; a recording is made with "ocps record".`)
  source.value = 'recording'
  recordingName.value = name
  caughtUp.value = true
  instance = found ?? of ?? instance
  entries = read
  restart()
  draw('now')
  pursue()
}

function restart(): void {
  marks = []
  head = createNight(instance)
  headApplied = 0
  shown = head
  applied = 0
  place.value = null
  problem.value = ''
  skipped.value = null
  isGapNext = false
  isFirstReading = true
}

function instanceIn({ what }: Entry): string | undefined {
  if (what.type !== 'engine.quiescent') return undefined
  const csc = what.actors.find(({ kind }) => kind === 'csc')
  return (csc?.context as { instance?: string } | undefined)?.instance
}
