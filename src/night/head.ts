/**
 * The head of a journal line: what has to be known of an entry before anybody folds it. Read without parsing the line
 * where it was written by OCPS, since most lines are only kept and passed on. Throws SyntaxError for what is not JSON.
 */
import { beginsAt, type Entry, isMark } from '../journal/entry.ts'

export interface Head {
  readonly n: number
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  /** With which entry reading may begin, now that this one is there: itself, or the first part of what it completes. */
  readonly begins: number | null
  /** Holds digests only: nobody folds it. */
  readonly isDigest: boolean
  /** Holds what whoever read everything before it knows already. */
  readonly isMark: boolean
}

// As JSON.stringify writes an entry; what only the engine writes is parsed whole.
const HEAD = /^\{"n":(\d+),"at":(\d+),"door":"(?:command|report|clock)",/

// Together the parts of a checkpoint may be as long as ten thousand other lines.
const PART =
  /^\{"n":(\d+),"at":(\d+),"door":"engine","from":"\w+","what":\{"type":"engine.checkpoint","machines":"[^"]*","part":(\d+),"of":(\d+),/

export function headOf(line: string): Head {
  const found = HEAD.exec(line)
  if (found) return { n: Number(found[1]), at: Number(found[2]), begins: null, isDigest: false, isMark: false }
  const [, ...numbers] = PART.exec(line) ?? []
  const [n = 0, at = 0, part = 0, of = 0] = numbers.map(Number)
  if (of > 0) return { n, at, begins: part === of ? n - of + 1 : null, isDigest: false, isMark: true }
  const entry = JSON.parse(line) as Entry
  const { n: number, at: time, what } = entry
  return { n: number, at: time, begins: beginsAt(entry), isDigest: what.type === 'engine.said', isMark: isMark(what) }
}
