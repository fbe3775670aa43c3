import { setImmediate as nextTurn } from 'node:timers/promises'
import { MACHINES_VERSION } from '../../machines/index.ts'
import type { Numbered } from '../../machines/ports.ts'
import { isAfter } from '../engine/announcementIds.ts'
import { createWorld } from '../engine/world.ts'
import { beginsAt, isMark } from '../journal/entry.ts'
import type { Journal } from '../journal/port.ts'

/**
 * What an instance said after a certain announcement, made again from its journal: the same entries lead to the same
 * announcements under the same ids. It begins at the newest mark that lies before, and lets the event loop turn as it
 * goes.
 */
export async function* announcementsAfter(
  { instance, journal }: { instance: string; journal: Pick<Journal, 'read'> },
  after: string,
): AsyncGenerator<Numbered> {
  const n = Number.parseInt(after, 10)
  const { from, begin } = await beginning(journal, n)
  const world = createWorld({ instance })
  let folded = 0
  for await (const entry of journal.read(from)) {
    if (entry.n < begin) continue
    const effects = world.apply(entry)
    if (entry.n >= n)
      for (const effect of effects)
        if (effect.do === 'announce' && isAfter(effect.id, after))
          yield { id: effect.id, at: effect.at, announcement: effect.announcement }
    folded += 1
    if (folded % FOLDED_AT_ONCE === 0) await nextTurn()
  }
}

// At some 15 µs each: a few milliseconds, then whoever else waits.
const FOLDED_AT_ONCE = 200

/** Where a fold may begin that is to know all that was open at entry `n`. */
async function beginning(
  journal: Pick<Journal, 'read'>,
  n: number,
): Promise<{ from: 'start' | 'quiescent'; begin: number }> {
  // Mostly it was away for a moment only.
  for await (const { n: newest, what } of journal.read('quiescent')) {
    if (newest <= n && isMark(what) && what.machines === MACHINES_VERSION) return { from: 'quiescent', begin: newest }
    break
  }
  let begin = 0
  for await (const entry of journal.read('start')) {
    if (entry.n > n) break
    // What other machines wrote down may not be what these expect.
    if (isMark(entry.what) && entry.what.machines === MACHINES_VERSION) begin = beginsAt(entry) ?? begin
  }
  return { from: 'start', begin }
}
