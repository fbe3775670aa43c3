import type { Checkpoint, Input, Quiescent } from '../../machines/domain/messages.ts'

/**
 * One line of the journal: when, by which door, from whom, what. Everything OCPS ever decides follows from these lines alone, so a
 * recording explains itself and a replay needs nothing else.
 */
export interface Entry {
  /** 1, 2, 3… without holes. */
  readonly n: number
  /** When it came in, milliseconds since 1970-01-01 UTC; never smaller than the entry before. */
  readonly at: number
  /** command: asked by someone. report: heard from the executor or the data's side. clock: a timer came due. engine: the service about itself. */
  readonly door: 'command' | 'report' | 'clock' | 'engine'
  /** Who: a client's identity, `executor`, `clock`, `engine`. */
  readonly from: string
  /** The decoded, checked and complete message, as its machine hears it. */
  readonly what: Input
}

/** Holds what is open, in whole or in part, so that reading may begin there. */
export function isMark(what: Input): what is Quiescent | Checkpoint {
  return what.type === 'engine.quiescent' || what.type === 'engine.checkpoint'
}

/** The n of the entry with which reading may begin now that this one is there: its own, or that of the first part of the checkpoint it completes; else null. */
export function beginsAt({ n, what }: Pick<Entry, 'n' | 'what'>): number | null {
  if (what.type === 'engine.quiescent') return n
  return what.type === 'engine.checkpoint' && what.part === what.of ? n - what.of + 1 : null
}
