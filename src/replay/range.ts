import type { Entry } from '../journal/entry.ts'
import type { Journal } from '../journal/port.ts'

/**
 * A part of a journal that explains itself: it begins at the newest quiescent entry that is not later than the range,
 * or at the very beginning, so that whoever folds it is in the right state when the range begins. Reads only; asks for
 * no lease and appends nothing.
 */
export interface Range {
  /** Milliseconds since 1970 UTC; null: from the beginning. */
  readonly from: number | null
  /** The first moment that is not in it any more; null: up to the present. */
  readonly to: number | null
}

/**
 * Reads the journal twice where the range begins late: keeping a night's entries until the right one comes would need
 * its size in memory.
 */
export async function* entriesIn(journal: Pick<Journal, 'read'>, { from, to }: Range): AsyncGenerator<Entry> {
  const firstN = from === null ? 0 : await beginningFor(journal, from)
  for await (const entry of journal.read('start')) {
    if (to !== null && entry.at >= to) return
    if (entry.n >= firstN) yield entry
  }
}

async function beginningFor(journal: Pick<Journal, 'read'>, from: number): Promise<number> {
  let n = 0
  for await (const entry of journal.read('start')) {
    if (entry.at > from) break
    if (entry.what.type === 'engine.quiescent') n = entry.n
  }
  return n
}

/** The observing day YYYYMMDD: noon to noon UTC, as dayObs counts. null for what is no day. */
export function rangeOfDay(day: string): Range | null {
  const parts = /^(\d{4})(\d{2})(\d{2})$/.exec(day)
  if (parts === null) return null
  const [year, month, date] = parts.slice(1).map(Number)
  if (year === undefined || month === undefined || date === undefined) return null
  const noon = new Date(Date.UTC(year, month - 1, date, 12))
  const isReal = noon.getUTCMonth() === month - 1 && noon.getUTCDate() === date
  return isReal ? { from: noon.getTime(), to: noon.getTime() + DAY_MS } : null
}

const DAY_MS = 24 * 3_600_000
