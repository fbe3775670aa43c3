/**
 * A beginning for readers of a journal that gives none: an instance with thousands of open jobs writes no checkpoint.
 * What is dropped from the front of the lines is folded instead, a little at a time, and then stands in their place as
 * one line. It is never written anywhere.
 */
import { inParts } from '../engine/checkpoint.ts'
import { createWorld } from '../engine/world.ts'
import type { Entry } from '../journal/entry.ts'
import { toLine } from '../journal/lines.ts'

export interface Beginning {
  /** How many lines are folded, from the first one on. */
  readonly folded: number
  /** Folds one more. Throws where the machines of this version cannot hear it. */
  fold(line: string): void
  /**
   * All that is open after what was folded, as a line under the number of the last one. It stands for them all: the
   * next to be folded follows it.
   */
  asLine(): { readonly n: number; readonly line: string }
}

/** The first line that is folded must be one that reading may begin with. */
export function createBeginning(instance: string): Beginning {
  const world = createWorld({ instance })
  let folded = 0
  let last: Pick<Entry, 'n' | 'at'> = { n: 0, at: 0 }
  return {
    get folded() {
      return folded
    },
    fold(line) {
      const entry = JSON.parse(line) as Entry
      world.apply(entry)
      last = entry
      folded += 1
    },
    asLine() {
      // In one part: it goes over no wire that would cut it.
      const [what] = inParts({ ...world.whole(), answers: [], unsaid: [] }, Number.MAX_SAFE_INTEGER)
      if (what === undefined) throw new Error('impossible: a whole without a part')
      folded = 1
      return { n: last.n, line: toLine({ n: last.n, at: last.at, door: 'engine', from: 'inspector', what }) }
    },
  }
}
