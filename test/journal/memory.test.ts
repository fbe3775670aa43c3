import { describe, expect, it } from 'vitest'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { collect } from '../bus/messages.ts'
import { rejection } from '../bus/eventually.ts'
import { entries, keepsTheJournalContract } from './contract.ts'

keepsTheJournalContract('in memory', async () => ({
  create: async () => {
    const journal = createMemoryJournal()
    return { journal, reopen: async () => createMemoryJournal(await collect(journal.read())) }
  },
  close: async () => {},
}))

describe('the journal in memory', () => {
  it('told to be full refuses once, writes nothing, and takes the same entries again', async () => {
    const journal = createMemoryJournal()
    journal.failNext('FULL')
    expect(await rejection(journal.append(entries(1, 2)))).toMatchObject({ code: 'FULL' })
    expect(journal.lines).toHaveLength(0)
    await journal.append(entries(1, 2))
    expect(journal.lines).toHaveLength(2)
  })

  it('told that it was taken over refuses for good', async () => {
    const journal = createMemoryJournal()
    journal.failNext('FENCED')
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await rejection(journal.append(entries(1, 1)))).toMatchObject({ code: 'FENCED' })
    }
  })

  it('held neither stores nor answers until it is released', async () => {
    const journal = createMemoryJournal()
    journal.hold()
    let answered = false
    const appending = journal.append(entries(1, 1)).finally(() => {
      answered = true
    })
    await new Promise(resolve => setImmediate(resolve))
    expect([answered, journal.lines.length]).toEqual([false, 0])
    journal.release()
    await appending
    expect(journal.lines).toHaveLength(1)
  })
})
