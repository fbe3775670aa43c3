import type { Checkpoint, Input, Quiescent } from '../../machines/domain/messages.ts'

/**
 * One line of the journal: when, by which door, from whom, what. Everything OCPS ever decides follows from these lines
 * alone, so a recording explains itself and a replay needs nothing else.
 */
export interface Entry {
  /** 1, 2, 3… without holes. */
  readonly n: number
  /** When it came in by the wall clock, milliseconds since 1970-01-01 UTC; never smaller than the entry before. */
  readonly at: number
  /**
   * How far the wall clock has stepped in all since the journal began, milliseconds; absent: not at all. See
   * engine/timeline.ts.
   */
  readonly steppedMs?: number
  /** On those that begin a life or that reading may begin with: how the next process goes on counting. */
  readonly clock?: Anchor
  /**
   * command: asked by someone. report: heard from the executor or the locator. clock: a timer came due. engine: the
   * service about itself.
   */
  readonly door: 'command' | 'report' | 'clock' | 'engine'
  /** Who: a client's identity, `executor`, `clock`, `engine`. */
  readonly from: string
  /** The decoded, checked and complete message, as its machine hears it. */
  readonly what: Input
}

/** Where the elapsed time of the journal lies on the monotonic clock of a machine. */
export interface Anchor {
  /** The run of that machine, from its start to its end. */
  readonly boot: string
  readonly offsetMs: number
}

interface Times {
  readonly at: number
  readonly steppedMs?: number | undefined
}

/** Its time on the scale that durations are measured in: no step of the wall clock is in it. */
export function elapsedAt({ at, steppedMs = 0 }: Times): number {
  return at - steppedMs
}

/** The same on the elapsed scale alone, for who plays a night again and keeps its distances. */
export function withoutSteps(entry: Entry): Entry {
  if (entry.steppedMs === undefined) return entry
  const { steppedMs: _, ...rest } = entry
  return { ...rest, at: elapsedAt(entry) }
}
/**
 * The form of what a mark holds; one without a number is of form 1. To be raised when an OCPS from before could not go
 * on from what is written now: it refuses to begin there, with a sentence, instead of understanding something else.
 */
export const MARK_FORMAT = 1

/** Holds what is open, in whole or in part, so that reading may begin there. */
export function isMark(what: Input): what is Quiescent | Checkpoint {
  return what.type === 'engine.quiescent' || what.type === 'engine.checkpoint'
}

/**
 * Whether reading may begin here, or go on here although entries before it are missing: nothing is open, or all that is
 * open follows at once.
 */
export function mayBegin({ what }: Pick<Entry, 'what'>): boolean {
  return what.type === 'engine.quiescent' || (what.type === 'engine.checkpoint' && what.part === 1)
}

/**
 * The n of the entry with which reading may begin now that this one is there: its own, or that of the first part of the
 * checkpoint it completes; else null.
 */
export function beginsAt({ n, what }: Pick<Entry, 'n' | 'what'>): number | null {
  if (what.type === 'engine.quiescent') return n
  return what.type === 'engine.checkpoint' && what.part === what.of ? n - what.of + 1 : null
}
