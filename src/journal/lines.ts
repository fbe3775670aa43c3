/**
 * Entries as lines of JSON, strictly: what does not parse, has the wrong shape, leaves a hole or runs backwards in time is an error that
 * names the place. Messages inside an entry are checked by whoever folds them.
 */
import type { Anchor, Entry } from './entry.ts'
import { JournalError } from './port.ts'

const doors: ReadonlySet<string> = new Set<Entry['door']>(['command', 'report', 'clock', 'engine'])

export function toLine(entry: Entry): string {
  return JSON.stringify(entry)
}

export interface LineReader {
  /** Throws JournalError BROKEN, naming the place. */
  read(line: string, place: string): Entry
}

/** Reads lines that follow one another from entry 1, or from an entry that needs nothing before it. */
export function createLineReader(from: 'beginning' | 'anywhere' = 'beginning'): LineReader {
  let before: Entry | null = null
  return {
    read: (line, place) => {
      const entry = parse(line, place)
      const expected = before === null ? (from === 'anywhere' || mayBegin(entry) ? entry.n : 1) : before.n + 1
      if (entry.n !== expected) broken(place, `holds entry ${entry.n} where entry ${expected} must follow`)
      if (before !== null && entry.at < before.at)
        broken(place, `holds a time (${entry.at}) before that of the entry before (${before.at})`)
      before = entry
      return entry
    },
  }
}

/** Whether reading may begin here: nothing is open, or all that is open follows at once. */
function mayBegin({ what }: Pick<Entry, 'what'>): boolean {
  return what.type === 'engine.quiescent' || (what.type === 'engine.checkpoint' && what.part === 1)
}

function parse(line: string, place: string): Entry {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    broken(place, `is not JSON (${error instanceof Error ? error.message : 'unreadable'})`)
  }
  if (!isEntry(value)) broken(place, 'is not an entry {n, at, door, from, what: {type}}')
  return value
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false
  if (!('n' in value && 'at' in value && 'door' in value && 'from' in value && 'what' in value)) return false
  const { n, at, door, from, what } = value
  if ('steppedMs' in value && !Number.isFinite(value.steppedMs)) return false
  if ('clock' in value && !isAnchor(value.clock)) return false
  return (
    Number.isSafeInteger(n) &&
    Number.isFinite(at) &&
    typeof door === 'string' &&
    doors.has(door) &&
    typeof from === 'string' &&
    typeof what === 'object' &&
    what !== null &&
    'type' in what &&
    typeof what.type === 'string'
  )
}

function isAnchor(value: unknown): value is Anchor {
  if (typeof value !== 'object' || value === null || !('boot' in value && 'offsetMs' in value)) return false
  return typeof value.boot === 'string' && Number.isFinite(value.offsetMs)
}

function broken(place: string, why: string): never {
  throw new JournalError('BROKEN', `${place} ${why}; the journal cannot be read beyond it.`)
}
