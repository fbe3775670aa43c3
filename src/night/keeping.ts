/**
 * The newest lines of a journal, so many that memory has an end, and always from a line on that reading may begin with.
 * Where the journal gives no such line in time, what is dropped is folded into one that stands for it.
 */
import { type Beginning, createBeginning } from './beginning.ts'
import { headOf } from './head.ts'

export interface Kept {
  readonly n: number
  readonly line: string
  /** Reading may begin with it. */
  readonly isQuiescent: boolean
}

export interface Keeping {
  /** Oldest first. Another array whenever the oldest were dropped. Entries that only hold digests are left out. */
  readonly lines: readonly Kept[]
  /** n of the newest line, digests included; 0: none. */
  readonly lastN: number
  /** Passes over what is known already. `hole`: it is not taken, since something is missing before it. */
  keep(line: string, mayFollowHole?: boolean): 'kept' | 'hole'
}

export interface Bounds {
  /** What is kept once the oldest are dropped. */
  readonly linesMax: number
  readonly foldedAtOnce: number
  readonly dropEvery: number
}

const BOUNDS: Bounds = {
  // A browser folds some 30 000 entries per second: a page is there within seconds. As lines they are some 60 MB.
  linesMax: 100_000,
  // Where the journal gives nowhere to begin; more at a time would be felt as a pause.
  foldedAtOnce: 50_000,
  // Looking for where to begin goes over all of them.
  dropEvery: 5_000,
}

// What is too old is dropped so many at a time, and not one by one.
const SLACK = 1.25
// Of each new line: so the front is folded before as much has come again.
const FOLDED_PER_LINE = 2
// Machines of another version cannot fold it: then readers wait for the next mark.
const WITHOUT_BEGINNING = 4

export function createKeeping(instance: string, { linesMax, foldedAtOnce, dropEvery } = BOUNDS): Keeping {
  let lines: Kept[] = []
  let lastN = 0
  let beginning: Beginning | 'impossible' | null = null

  return {
    get lines() {
      return lines
    },
    get lastN() {
      return lastN
    },
    keep(line, mayFollowHole = true) {
      const { n, begins, isDigest } = headOf(line)
      if (n > lastN + 1 && !mayFollowHole) return 'hole'
      if (n <= lastN) return 'kept'
      lastN = n
      if (isDigest) return 'kept'
      lines.push({ n, line, isQuiescent: false })
      if (begins !== null) markBeginning(lines.length - 1 - (n - begins), begins)
      if (lines.length <= linesMax * SLACK) return 'kept'
      if (lines.length % dropEvery === 0) drop()
      foldFront()
      return 'kept'
    },
  }

  /** The parts of a checkpoint follow one another; what began before these lines do is none. */
  function markBeginning(at: number, n: number): void {
    const first = lines[at]
    if (first?.n === n) lines[at] = { ...first, isQuiescent: true }
  }

  /** Who looks already has these; only who comes later begins further on. */
  function drop(): void {
    const from = lines.findIndex((one, at) => one.isQuiescent && lines.length - at <= linesMax)
    if (from > 0) {
      lines = lines.slice(from)
      beginning = null
    } else if (lines.length > linesMax * WITHOUT_BEGINNING) {
      lines = lines.slice(-linesMax)
      beginning = 'impossible'
    }
  }

  function foldFront(): void {
    if (beginning === 'impossible') return
    beginning ??= createBeginning(instance)
    try {
      for (let count = 0; count < FOLDED_PER_LINE; count += 1) beginning.fold(lines[beginning.folded]?.line ?? '')
      const { folded } = beginning
      if (folded >= foldedAtOnce) lines = [{ ...beginning.asLine(), isQuiescent: true }, ...lines.slice(folded)]
    } catch {
      beginning = 'impossible'
    }
  }
}
