/**
 * The journal without a server: lines in an array, so that what comes out is what JSON keeps of what went in. Can be told to refuse or
 * to keep its writer waiting. Same contract test as the real one.
 */
import type { Entry } from './entry.ts'
import { createLineReader, toLine } from './lines.ts'
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
      for (const [index, { n }] of appended.entries()) {
        const expected = lines.length + index + 1
        if (n !== expected)
          throw new JournalError('BROKEN', `Entry ${n} was to be appended where entry ${expected} must follow.`)
      }
      lines.push(...added)
    },
    read: (from = 'start') => read(from === 'start' ? lines.slice() : lines.slice(Math.max(0, newestMark(lines)))),
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

/** Where the newest quiescent entry or the first part of the newest complete checkpoint stands; -1 for none. */
function newestMark(lines: readonly string[]): number {
  for (let at = lines.length - 1; at >= 0; at--) {
    const { what } = JSON.parse(lines[at] ?? '') as Entry
    if (what.type === 'engine.quiescent') return at
    if (what.type === 'engine.checkpoint' && what.part === what.of) return at - what.of + 1
  }
  return -1
}

async function* read(lines: readonly string[]): AsyncGenerator<Entry> {
  const reader = createLineReader()
  for (const [index, line] of lines.entries()) yield reader.read(line, `The journal in memory, line ${index + 1},`)
}

function nothing(): void {}
