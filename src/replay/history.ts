import type { DataId } from '../../machines/domain/dataId.ts'
import type { Located } from '../../machines/domain/located.ts'
import type { Input, LocatorAnswer, Quiescent } from '../../machines/domain/messages.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { DataOrder, StartOrder, StopOrder } from '../../machines/ports.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { createCapacityBook } from '../../machines/domain/capacity.ts'
import { type Entry, isMark, withoutSteps } from '../journal/entry.ts'
import { createTallying, type Tallying } from './tally.ts'
import { createWorld, type Effect, type World } from '../engine/world.ts'

/**
 * What really happened in a recording, taken apart: what was asked and when, how each attempt of each job went, when
 * data came. It is what a supposed night with another configuration is made of; it supposes nothing itself.
 */
export interface History {
  readonly instance: string
  /** Where the recording begins at rest; null: at the start of the journal. */
  readonly rest: (Entry & { readonly what: Quiescent }) | null
  /** What came from outside and does not depend on what OCPS did, in order. */
  readonly asked: readonly RecordedInput[]
  /** `<jobId>/<attempt>` → what happened. */
  readonly attempts: ReadonlyMap<string, Attempt>
  /** dataKey, pipeline and attempt → what happened the last time. */
  readonly attemptsOfData: ReadonlyMap<string, Attempt>
  readonly looks: ReadonlyMap<string, Look>
  readonly looksOfData: ReadonlyMap<string, Look>
  /**
   * Address, timer and due moment → when it really fired, and as which entry: a real clock is some milliseconds late.
   */
  readonly firings: ReadonlyMap<string, { readonly at: number; readonly n: number }>
  readonly tallying: Tallying
  readonly lastAt: number
}

export interface RecordedInput {
  readonly n: number
  readonly at: number
  readonly door: Entry['door']
  readonly from: string
  readonly what: Input
}

/** One run of a pipeline, as it was reported. Times in milliseconds after it began. */
export interface Attempt {
  readonly pipeline: string
  /** Which pool's slots it took, and how many. */
  readonly place: Pick<Pipeline, 'slots' | 'pool'>
  /**
   * Ordered, and a slot free for it, as far as was known: it begins then. Milliseconds since 1970 UTC; null: it never
   * did.
   */
  begunAt: number | null
  readonly reports: TimedReport[]
  end: TimedReport | null
  /** When it was told to stop, and whether that was because its time was up. */
  stop: { readonly afterMs: number; readonly timeWasUp: boolean } | null
}

export interface TimedReport {
  readonly afterMs: number
  /** The entry's number: the order of what happened at the same moment. */
  readonly n: number
  readonly what: ExecutorReport
}

/** How the locator answered. Milliseconds since 1970 UTC; null: it did not say so. */
export interface Look {
  readonly lookedAt: number
  absent: { readonly at: number; readonly n: number } | null
  present: { readonly at: number; readonly n: number; readonly inputs?: Located } | null
}

export async function historyOf(entries: AsyncIterable<Entry>, instance: string): Promise<History> {
  const world = createWorld({ instance })
  const asked: RecordedInput[] = []
  const attempts = new Map<string, Attempt>()
  const attemptsOfData = new Map<string, Attempt>()
  const book = createCapacityBook<Attempt>()
  const looks = new Map<string, Look>()
  const looksOfData = new Map<string, Look>()
  const firings = new Map<string, { at: number; n: number }>()
  const tallying = createTallying()
  let rest: History['rest'] = null
  let lastAt = 0
  let isFirst = true

  for await (const recorded of entries) {
    const entry = withoutSteps(recorded)
    const { what, ...where } = entry
    if (isFirst && what.type === 'engine.quiescent') rest = { ...where, what }
    isFirst = false
    lastAt = entry.at
    if (isReport(what)) hear(what, entry)
    else if (what.type === 'data.present' || what.type === 'data.absent' || what.type === 'data.located')
      answered(what, entry)
    else if (what.type === 'clock.due') fired(what, entry)
    else if (!isNote(what)) asked.push({ ...where, what })
    const effects = world.apply(entry)
    tallying.take(effects)
    for (const effect of effects) ordered(effect, entry)
  }
  return { instance, rest, asked, attempts, attemptsOfData, looks, looksOfData, firings, tallying, lastAt }

  function hear(what: ExecutorReport, { n, at }: Entry): void {
    const attempt = attempts.get(attemptKey(what))
    if (attempt === undefined || attempt.end !== null) return
    const neverRan = attempt.begunAt === null && attempt.stop !== null && what.type === 'executor.startFailed'
    // The launcher knew of a free slot before it was said here that one is.
    if (attempt.begunAt === null && !neverRan) {
      book.begin(attempt, attempt.place)
      began([attempt], at)
    }
    const heard = { afterMs: at - (attempt.begunAt ?? at), n, what }
    if (!isEnd(what)) return void attempt.reports.push(heard)
    attempt.end = heard
    began(book.end(attempt), at)
  }

  function began(all: readonly Attempt[], at: number): void {
    for (const attempt of all) attempt.begunAt = at
  }

  function answered(what: LocatorAnswer, { n, at }: Entry): void {
    const look = looks.get(what.jobId)
    if (look === undefined) return
    if (what.type === 'data.absent') look.absent ??= { at, n }
    else look.present ??= { at, n, ...(what.inputs && { inputs: what.inputs }) }
  }

  function fired({ address, timer }: Extract<Input, { type: 'clock.due' }>, { n, at }: Entry): void {
    const due = dueOf(world, address, timer)
    if (due !== null) firings.set(firingKey(address, timer, due), { at, n })
  }

  function ordered(effect: Effect, entry: Entry): void {
    if (effect.do !== 'order') return
    switch (effect.order.type) {
      case 'executor.start':
        return begun(effect.order, entry)
      case 'executor.stop':
        return stopped(effect.order, entry)
      case 'data.look':
        return looked(effect.order, entry)
      case 'data.forget':
      case 'data.follow':
    }
  }

  function begun(order: StartOrder, { at }: Entry): void {
    const { name: pipeline } = order.pipeline
    const attempt: Attempt = { pipeline, place: order.pipeline, begunAt: null, reports: [], end: null, stop: null }
    attempts.set(attemptKey(order), attempt)
    attemptsOfData.set(dataAttemptKey(order), attempt)
    began(book.order(attempt, order.pipeline, order.capacity), at)
  }

  function stopped(order: StopOrder, { at, what }: Entry): void {
    const attempt = attempts.get(attemptKey(order))
    if (attempt === undefined || attempt.end !== null || attempt.stop !== null) return
    attempt.stop = { afterMs: at - (attempt.begunAt ?? at), timeWasUp: what.type === 'clock.due' }
    // One that waits is taken off and will not begin.
    if (attempt.begunAt === null) began(book.end(attempt), at)
  }

  function looked({ jobId, dataId }: Extract<DataOrder, { type: 'data.look' }>, { at }: Entry): void {
    const look: Look = { lookedAt: at, absent: null, present: null }
    looks.set(jobId, look)
    looksOfData.set(dataKey(dataId), look)
  }
}

export function attemptKey({ jobId, attempt }: { readonly jobId: string; readonly attempt: number }): string {
  return `${jobId}/${attempt}`
}

export function dataAttemptKey({ dataId, pipeline, attempt }: StartOrder): string {
  return `${dataKey(dataId)} ${pipeline.name} ${attempt}`
}

export function dataKey({ obsid, group, detector }: DataId): string {
  return `${obsid ?? `group ${group}`}/${detector}`
}

export function firingKey(address: string, timer: string, due: number): string {
  return `${address} ${timer} ${due}`
}

function dueOf(world: World, address: string, timer: string): number | null {
  return world.actor(address)?.timers.get(timer) ?? null
}

/** What the engine wrote for itself; nobody asked for it and nothing follows from it. */
function isNote(what: Input): boolean {
  return what.type === 'engine.said' || isMark(what)
}

function isReport(what: Input): what is ExecutorReport {
  return what.type.startsWith('executor.') && what.type !== 'executor.unreachable'
}

export function isEnd({ type }: ExecutorReport): boolean {
  return type === 'executor.exited' || type === 'executor.startFailed' || type === 'executor.lost'
}
