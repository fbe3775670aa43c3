/**
 * What every journal promises, over a bus's log or in memory.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry } from '../../src/journal/entry.ts'
import type { Journal } from '../../src/journal/port.ts'
import { collect } from '../bus/messages.ts'
import { rejection } from '../bus/eventually.ts'

export interface JournalWorld {
  /** A journal of its own, and how it is opened after a restart. */
  create(): Promise<{ journal: Journal; reopen: () => Promise<Journal> }>
  close(): Promise<void>
}

export function keepsTheJournalContract(kind: string, open: () => Promise<JournalWorld>): void {
  describe(`a journal ${kind}`, () => {
    let world: JournalWorld
    beforeAll(async () => {
      world = await open()
    })
    afterAll(async () => {
      await world.close()
    })

    it('that is new is empty', async () => {
      const { journal } = await world.create()
      expect(await collect(journal.read())).toEqual([])
    })

    it('gives back every entry in order, after a restart too', async () => {
      const { journal, reopen } = await world.create()
      const written = entries(1, 250)
      await journal.append(written.slice(0, 1))
      await journal.append(written.slice(1, 200))
      await journal.append(written.slice(200))
      await journal.append([])
      expect(await collect(journal.read())).toEqual(written)
      const again = await reopen()
      expect(await collect(again.read())).toEqual(written)
      await again.append(entries(251, 260))
      expect(await collect(again.read())).toEqual(entries(1, 260))
    })

    it('is read from its newest quiescent entry on, and from the start where there is none', async () => {
      const { journal, reopen } = await world.create()
      await journal.append(entries(1, 5))
      expect(await collect(journal.read('quiescent'))).toEqual(entries(1, 5))
      const quiescent: Entry = {
        n: 6,
        at: entryOf(6).at,
        door: 'engine',
        from: 'engine',
        what: { type: 'engine.quiescent', machines: '1', actors: [], ended: [], answers: [] },
      }
      await journal.append([quiescent])
      await journal.append(entries(7, 9))
      const again = await reopen()
      expect(await collect(again.read('quiescent'))).toEqual([quiescent, ...entries(7, 9)])
      expect(await collect(again.read())).toHaveLength(9)
    })

    it('finds a quiescent entry that was appended behind others in one go', async () => {
      const { journal, reopen } = await world.create()
      const what = { type: 'engine.quiescent', machines: '1', actors: [], ended: [], answers: [] } as const
      await journal.append([...entries(1, 4), { n: 5, at: entryOf(5).at, door: 'engine', from: 'engine', what }])
      await journal.append(entries(6, 7))
      expect((await collect((await reopen()).read('quiescent'))).map(({ n }) => n)).toEqual([5, 6, 7])
    })

    it('is read from the first part of its newest checkpoint on, if that has all its parts', async () => {
      const { journal, reopen } = await world.create()
      const part = (n: number, at: number, of: number): Entry => ({
        n,
        at: entryOf(n).at,
        door: 'engine',
        from: 'engine',
        what: { type: 'engine.checkpoint', machines: '1', part: at, of, text: 'x'.repeat(100) },
      })
      await journal.append(entries(1, 3))
      await journal.append([part(4, 1, 3), part(5, 2, 3), part(6, 3, 3), ...entries(7, 8)])
      expect((await collect(journal.read('quiescent'))).map(({ n }) => n)).toEqual([4, 5, 6, 7, 8])
      // Its process ended between two parts.
      await journal.append([part(9, 1, 3), part(10, 2, 3)])
      const again = await reopen()
      expect((await collect(again.read('quiescent'))).map(({ n }) => n)).toEqual([4, 5, 6, 7, 8, 9, 10])
      expect(await collect(again.read())).toHaveLength(10)
    })

    it('may leave numbers out before a mark, which needs nothing before it, and nowhere else', async () => {
      const { journal, reopen } = await world.create()
      const mark = (n: number): Entry => ({
        n,
        at: entryOf(n).at,
        door: 'engine',
        from: 'engine',
        what: { type: 'engine.quiescent', machines: '1', actors: [], ended: [], answers: [] },
      })
      await journal.append(entries(1, 3))
      await journal.append([mark(900), ...entries(901, 902)])
      expect(await rejection(journal.append([mark(902)]))).toMatchObject({ code: 'BROKEN' })
      const again = await reopen()
      expect((await collect(again.read('quiescent'))).map(({ n }) => n)).toEqual([900, 901, 902])
      expect((await collect(again.read())).map(({ n }) => n)).toEqual([1, 2, 3, 900, 901, 902])
      await again.append(entries(903, 903))
    })

    it('keeps what was appended, whatever happens to it afterwards', async () => {
      const { journal } = await world.create()
      const configuration = { name: 'before' }
      const entry = { ...entryOf(1), what: { ...entryOf(1).what, configuration } }
      await journal.append([entry])
      configuration.name = 'after'
      expect(JSON.stringify(await collect(journal.read()))).toContain('before')
    })

    it('can be read by several at once, each seeing what was there when it began', async () => {
      const { journal } = await world.create()
      await journal.append(entries(1, 10))
      const reading = Promise.all([collect(journal.read()), collect(journal.read())])
      expect((await reading).map(all => all.length)).toEqual([10, 10])
    })

    it('refuses an entry that does not follow the one before', async () => {
      const { journal } = await world.create()
      await journal.append(entries(1, 3))
      for (const wrong of [entries(3, 3), entries(5, 5), [...entries(4, 4), ...entries(6, 6)]]) {
        expect(await rejection(journal.append(wrong))).toMatchObject({ code: 'BROKEN' })
      }
      expect(await collect(journal.read())).toHaveLength(3)
    })
  })
}

export function entryOf(n: number): Entry {
  return {
    n,
    at: 1_795_000_000_000 + n * 10,
    door: 'clock',
    from: 'clock',
    what: { type: 'clock.due', address: `job.j${n}`, timer: 'µ "limit"\n' },
  }
}

/** Entries `first` to `last`, both included. */
export function entries(first: number, last: number): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, index) => entryOf(first + index))
}
