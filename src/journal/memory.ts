/**
 * The journal without a server: lines in an array, so that what comes out is what JSON keeps of what went in. Can be
 * told to refuse or to keep its writer waiting. Same contract test as the real one.
 */
import { beginsAt, type Entry } from './entry.ts'
import { checkFollows, createLineReader, toLine } from './lines.ts'
import { type Journal, JournalError } from './port.ts'

export interface MemoryJournal extends Journal {
  /** What is stored, one line per entry. */
  readonly lines: readonly string[]
  /** FULL: the next append is refused, nothing is written. FENCED: this and every later one. */
  failNext(how: 'FULL' | 'FENCED'): void
  /** Appends are neither stored nor answered until `release`. */
  hold(): void
  release(): void
}

/** A journal that holds these entries already, such as one that survived a crash. */
export function createMemoryJournal(entries: readonly Entry[] = []): MemoryJournal {
  const lines = entries.map(toLine)
  // Noted as it grows: looking for it would parse everything written since, at every start.
  let mark = 0
  for (const [at, entry] of entries.entries()) mark = markAt(entry, at) ?? mark
  let lastN = entries.at(-1)?.n ?? 0
  let failure: 'FULL' | 'FENCED' | null = null
  let held: Promise<void> | null = null
  let release = nothing

  return {
    lines,
    append: async appended => {
      const added = appended.map(toLine)
      if (held !== null) await held
      if (failure === 'FENCED') throw new JournalError('FENCED', 'Another orchestrator has taken over the journal.')
      if (failure === 'FULL') {
        failure = null
        throw new JournalError('FULL', 'The journal is full; nothing was written.')
      }
      checkFollows(appended, lastN)
      lastN = appended.at(-1)?.n ?? lastN
      for (const [index, entry] of appended.entries()) mark = markAt(entry, lines.length + index) ?? mark
      lines.push(...added)
    },
    read: (from = 'start') => read(lines.slice(from === 'start' ? 0 : mark)),
    entryMax: () => ENTRY_MAX,
    failNext: how => {
      failure = how
    },
    hold: () => {
      held ??= new Promise(resolve => {
        release = resolve
      })
    },
    release: () => {
      held = null
      release()
    },
  }
}

// As nats-server has it unless told otherwise.
const ENTRY_MAX = 1_048_576

/** The line with which reading may begin once this entry is line `at`; null: not for its sake. */
function markAt(entry: Entry, at: number): number | null {
  const begins = beginsAt(entry)
  return begins === null ? null : at - (entry.n - begins)
}

async function* read(lines: readonly string[]): AsyncGenerator<Entry> {
  const reader = createLineReader()
  for (const [index, line] of lines.entries()) yield reader.read(line, `The journal in memory, line ${index + 1},`)
}

function nothing(): void {}
