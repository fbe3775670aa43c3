import type { Checkpoint, Quiescent, Said } from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { type Entry, isMark, MARK_FORMAT } from '../journal/entry.ts'
import type { Answers } from './answers.ts'
import { inParts } from './checkpoint.ts'
import type { DigestBook } from './digestBook.ts'
import type { Numbered } from '../../machines/ports.ts'
import type { Effect, World } from './world.ts'

/** So many entries after the last mark the next one may be written. */
export interface Marked {
  /** A quiescent entry. */
  readonly quietAfter: number
  /** A checkpoint: after this many, and so many for every actor there is. */
  readonly checkpointAfter: number
  readonly entriesPerActor: number
}

// One line of the journal for so many others; a difference in a replay is still placed to the entry.
const SAID_MAX = 500
// And for so many once no job is open: who records a short session can compare it.
const SAID_AT_REST = 20
// Folding takes some 15 µs an entry: an instance that was quiet lately starts at once, and one that never is quiet
// within half a second all the same. The larger the state, the rarer it is written: about a tenth of what is journaled
// anyway.
const MARKED: Marked = { quietAfter: 1_000, checkpointAfter: 20_000, entriesPerActor: 10 }
// Writing 2 000 actors down and living on from them keeps the event loop for a quarter of a second, 5 000 for nearly a
// whole one, and the lease lasts two; an instance with more of them starts more slowly instead.
const CHECKPOINT_ACTORS_MAX = 2_000
// What is on its way to the stream at one moment; more means that it stores nothing.
const UNSAID_MAX = 1_000
// A message holds 1 MiB; what needs more than this is written in parts.
const QUIET_SIZE_MAX = 700_000

export interface HousekeepingOptions {
  readonly world: World
  readonly answers: Answers
  readonly digests: DigestBook
  /** Bytes of one entry of the journal. */
  readonly entryMax: () => number
  /** Events that were said and are not known to be stored; null: it is not known now. */
  readonly unsaid: () => readonly Numbered[] | null
  /** A mark holds what has not been said; so first everything is. */
  readonly sayAll: () => void
  readonly marked?: Marked
}

/**
 * What the engine itself writes to the journal, and when: digests of what was said, and marks that reading may begin
 * at.
 */
export class Housekeeping {
  readonly #options: HousekeepingOptions
  readonly #marked: Marked
  #sinceMark = 0

  constructor(options: HousekeepingOptions) {
    this.#options = options
    this.#marked = options.marked ?? MARKED
  }

  /** Notes an entry and what it led to. */
  note({ n, what }: Entry, effects: readonly Effect[]): void {
    const { digests } = this.#options
    this.#sinceMark = isMark(what) ? 0 : this.#sinceMark + 1
    if (what.type === 'engine.said') digests.forget(what.digests.at(-1)?.[0] ?? 0)
    if (effects.length > 0) digests.note(n, effects)
    if (digests.due >= SAID_MAX) digests.makeAll()
  }

  /** What is to be written down now. */
  due(): readonly (Said | Quiescent | Checkpoint)[] {
    const { digests, world } = this.#options
    const unwritten = digests.size
    if (unwritten >= SAID_MAX || (unwritten >= SAID_AT_REST && this.#isAtRest())) return digests.take()
    if (this.#sinceMark < this.#marked.quietAfter) return []
    this.#options.sayAll()
    const unstored = this.#options.unsaid()
    if (unstored === null) return []
    const quiet = unstored.length === 0 ? this.#quiescent() : null
    const { checkpointAfter, entriesPerActor } = this.#marked
    const isDue = this.#sinceMark >= Math.max(checkpointAfter, world.size * entriesPerActor)
    if (quiet !== null && JSON.stringify(quiet).length <= QUIET_SIZE_MAX) return [...digests.take(), quiet]
    return quiet !== null || (isDue && world.size <= CHECKPOINT_ACTORS_MAX && unstored.length <= UNSAID_MAX)
      ? [...digests.take(), ...this.checkpoint(unstored)]
      : []
  }

  checkpoint(unsaid: readonly Numbered[]): Checkpoint[] {
    const { world, answers, entryMax } = this.#options
    return inParts({ ...world.whole(), answers: answers.quiet(), unsaid }, entryMax())
  }

  #quiescent(): Quiescent | null {
    const { world, answers } = this.#options
    const quiet = world.quiet()
    return (
      quiet && {
        type: 'engine.quiescent',
        machines: MACHINES_VERSION,
        format: MARK_FORMAT,
        ...quiet,
        answers: answers.quiet(),
      }
    )
  }

  #isAtRest(): boolean {
    for (const _ of this.#options.world.actors('job')) return false
    return true
  }
}
