/**
 * Entries as lines of JSON, strictly: what does not parse, has the wrong shape, leaves a hole or runs backwards in time
 * is an error that names the place. Messages inside an entry are checked by whoever folds them.
 */
import { type Anchor, type Entry, isMark, MARK_FORMAT, mayBegin } from './entry.ts'
import { type DamageCode, JournalError } from './port.ts'

const doors: ReadonlySet<string> = new Set<Entry['door']>(['command', 'report', 'clock', 'engine'])

export function toLine(entry: Entry): string {
  return JSON.stringify(entry)
}

/** The entry, or why the line is none. */
export function parseLine(line: string): Entry | string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return `is not JSON (${error instanceof Error ? error.message : 'unreadable'})`
  }
  return isEntry(value) ? value : 'is not an entry {n, at, door, from, what: {type}}'
}

export interface Fault {
  readonly code: DamageCode
  /** Follows the name of the place in a sentence. */
  readonly why: string
}

/**
 * What is wrong with an entry behind the one before; null: nothing. `anywhere`: it may be any where it is the first.
 */
export function faultBehind(
  before: Entry | null,
  entry: Entry,
  from: 'beginning' | 'anywhere' = 'beginning',
): Fault | null {
  const { n, at, what } = entry
  if (isMark(what) && (what.format ?? 1) > MARK_FORMAT)
    return {
      code: 'NEWER',
      why: `holds entry ${n}, which a newer OCPS wrote (format ${what.format}, and this one reads ${MARK_FORMAT})`,
    }
  const expected = before === null ? (from === 'anywhere' ? n : 1) : before.n + 1
  if (n !== expected && !(n > expected && mayBegin(entry)))
    return before === null && n > expected
      ? { code: 'NO_BEGINNING', why: `holds entry ${n} where entry 1 must follow; those before it are missing` }
      : { code: 'HOLE', why: `holds entry ${n} where entry ${expected} must follow` }
  if (before !== null && at < before.at)
    return { code: 'GARBLED', why: `holds a time (${at}) before that of the entry before (${before.at})` }
  return null
}

/** Of what is to be appended only what needs nothing before it may leave numbers out. Throws JournalError BROKEN. */
export function checkFollows(entries: readonly Entry[], lastN: number): void {
  let before = lastN
  for (const entry of entries) {
    const { n } = entry
    if (n !== before + 1 && !(n > before && mayBegin(entry)))
      throw new JournalError('BROKEN', `Entry ${n} was to be appended where entry ${before + 1} must follow.`)
    before = n
  }
}

export interface LineReader {
  /** Throws JournalError, naming the place: BROKEN for what is no entry, else as faultBehind says. */
  read(line: string, place: string): Entry
}

/** Reads lines that follow one another from entry 1, or from an entry that needs nothing before it. */
export function createLineReader(from: 'beginning' | 'anywhere' = 'beginning'): LineReader {
  let before: Entry | null = null
  return {
    read: (line, place) => {
      const entry = parseLine(line)
      if (typeof entry === 'string') throw new JournalError('BROKEN', `${place} ${entry}; it cannot be read beyond it.`)
      const fault = faultBehind(before, entry, from)
      if (fault !== null) throw new JournalError(fault.code, `${place} ${fault.why}; it cannot be read beyond it.`)
      before = entry
      return entry
    },
  }
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
