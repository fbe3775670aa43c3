import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { BusError, type Log, type LogOptions } from '../../src/bus/port.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { openJournal } from '../../src/journal/log.ts'
import { toLine } from '../../src/journal/lines.ts'
import { survey } from '../../src/journal/survey.ts'
import { collect } from '../bus/messages.ts'
import { rejection } from '../bus/eventually.ts'
import { entries, entryOf, keepsTheJournalContract } from './contract.ts'

keepsTheJournalContract('over a log in memory', async () => {
  const network = createMemoryNetwork()
  let used = 0
  return {
    create: async () => {
      const instance = `I${(used += 1)}`
      const opened = async () => (await openJournal({ bus: network.connect('test'), instance })).journal
      return { journal: await opened(), reopen: opened }
    },
    close: async () => {},
  }
})

keepsTheJournalContract('over NATS', async () => {
  const storeDir = await mkdtemp(join(tmpdir(), 'ocps-journal-'))
  const server = await startEmbeddedServer({ storeDir })
  const bus = await connectNats({ url: server.url, name: 'test' })
  let used = 0
  return {
    create: async () => {
      const instance = `I${(used += 1)}`
      const opened = async () => (await openJournal({ bus, instance })).journal
      return { journal: await opened(), reopen: opened }
    },
    close: async () => {
      await bus.close()
      await server.stop()
      await rm(storeDir, { recursive: true })
    },
  }
})

describe('a journal over a log', () => {
  const instance = 'LATISS'
  const options = { name: 'OCPS_LATISS_JOURNAL', subject: 'ocps.LATISS.journal' }

  it('opens at its newest entry, under an epoch of its own', async () => {
    const bus = createMemoryNetwork().connect('test')
    const first = await openJournal({ bus, instance })
    expect(first).toMatchObject({ lastN: 0, epoch: expect.stringMatching(/^1-[0-9a-f]{8}$/) })
    await first.journal.append(entries(1, 7))
    expect(await openJournal({ bus, instance })).toMatchObject({
      lastN: 7,
      epoch: expect.stringMatching(/^2-[0-9a-f]{8}$/),
    })
    expect((await openJournal({ bus, instance, epoch: 'e' })).epoch).toBe('e')
  })

  it('the writer before is fenced off by the first append after it', async () => {
    const bus = createMemoryNetwork().connect('test')
    const old = await openJournal({ bus, instance })
    await old.journal.append(entries(1, 3))
    const young = await openJournal({ bus, instance })
    await old.journal.append(entries(4, 4))
    expect(await rejection(young.journal.append(entries(4, 4)))).toMatchObject({ code: 'FENCED' })
    const younger = await openJournal({ bus, instance })
    await younger.journal.append(entries(5, 5))
    expect(await rejection(old.journal.append(entries(5, 5)))).toMatchObject({ code: 'FENCED' })
    expect(await collect(younger.journal.read())).toEqual(entries(1, 5))
  })

  it('of two that start at the same moment one writes and the other is told', async () => {
    const bus = createMemoryNetwork().connect('test')
    const both = await Promise.all([openJournal({ bus, instance }), openJournal({ bus, instance })])
    const results = await Promise.all(both.map(async ({ journal }) => await rejection(journal.append(entries(1, 1)))))
    expect(results).toEqual(['it did not reject', expect.objectContaining({ code: 'FENCED' })])
  })

  it('one append is one message, unless it is larger than the server takes', async () => {
    const bus = createMemoryNetwork({ maxPayload: 4096 + 1000 }).connect('test')
    const log = await bus.log(options)
    const { journal, epoch } = await openJournal({ bus, instance })
    await journal.append(entries(1, 3))
    await journal.append(entries(4, 20))
    const messages = await collect(log.read())
    expect(messages[0]).toMatchObject({ id: `${epoch}:3`, body: entries(1, 3).map(toLine).join('\n') })
    expect(messages.length).toBeGreaterThan(2)
    expect(messages.at(-1)?.id).toBe(`${epoch}:20`)
    expect(await collect(journal.read())).toEqual(entries(1, 20))
  })

  it('an entry larger than the server takes is refused by name, and nothing of its append is written', async () => {
    const bus = createMemoryNetwork({ maxPayload: 4096 + 1000 }).connect('test')
    const { journal } = await openJournal({ bus, instance })
    const large = { ...entryOf(2), from: 'x'.repeat(2000) }
    expect(await rejection(journal.append([entryOf(1), large]))).toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringContaining('Entry 2'),
    })
    expect(await collect(journal.read())).toEqual([])
  })

  it('a full disk refuses the append and takes it when there is space', async () => {
    const network = createMemoryNetwork({ maxPayload: 4096 + 1000 })
    const bus = network.connect('test')
    const { journal } = await openJournal({ bus, instance })
    network.failAppends('FULL')
    expect(await rejection(journal.append(entries(1, 20)))).toMatchObject({ code: 'FULL' })
    network.failAppends('none')
    await journal.append(entries(1, 20))
  })

  it('an append of several messages whose second finds the disk full waits and is finished', async () => {
    const bus = createMemoryNetwork({ maxPayload: 4096 + 1000 }).connect('test')
    const tries: string[] = []
    const fullAtSecond = async (logOptions: LogOptions): Promise<Log> => {
      const log = await bus.log(logOptions)
      return {
        ...log,
        append: async message => {
          tries.push(message.id)
          if (tries.length === 2) throw new BusError('FULL', 'no space')
          await log.append(message)
        },
      }
    }
    const { journal } = await openJournal({ bus: { ...bus, log: fullAtSecond }, instance })
    await journal.append(entries(1, 20))
    expect(tries[2]).toBe(tries[1])
    expect(await collect(journal.read())).toEqual(entries(1, 20))
  })

  it.each([
    ['holds entry 3 where entry 2 must follow', 'HOLE', [toLine(entryOf(1)), toLine(entryOf(3))], '1-a:3'],
    ['holds entry 7 where entry 1 must follow', 'NO_BEGINNING', [toLine(entryOf(7))], '1-a:7'],
    ['holds a time', 'GARBLED', [toLine(entryOf(1)), toLine({ ...entryOf(2), at: 5 })], '1-a:2'],
    ['which a newer OCPS wrote (format 2', 'NEWER', [toLine(markOf(1, { format: 2 }))], '1-a:1'],
  ])('that is damaged says where, and what to do: %s', async (said, code, lines, id) => {
    const bus = createMemoryNetwork().connect('test')
    const log = await bus.log(options)
    await log.append({ body: lines.join('\n'), id, after: '' })
    const { journal } = await openJournal({ bus, instance })
    const error = await rejection(collect(journal.read()))
    expect(error).toMatchObject({
      code,
      message: expect.stringContaining(`OCPS_LATISS_JOURNAL, message 1 (${id})`),
    })
    expect(String(error)).toContain(said)
    expect(String(error)).toContain(code === 'NEWER' ? 'Run the OCPS that wrote it' : 'ocps journal renew')
  })

  it.each([
    ['without an id', undefined, toLine(entryOf(1))],
    ['with the id of something else', 'hello', toLine(entryOf(1))],
    ['that is not made of entries', '1-a:1', 'hello'],
    ['that is half an entry', '1-a:1', '{"n":1'],
    ['that ends with another entry than its id says', '1-a:2', toLine(entryOf(1))],
  ])('passes over a message %s, counts it once and goes on', async (_what, id, body) => {
    const bus = createMemoryNetwork().connect('test')
    const counts: number[] = []
    const stray = (subject: string) => bus.publish(subject, body, id === undefined ? {} : { 'Nats-Msg-Id': id })
    const { journal } = await openJournal({ bus, instance, onForeign: count => counts.push(count) })
    stray(options.subject)
    await journal.append(entries(1, 2))
    stray(options.subject)
    stray(`${options.subject}.mark`)
    await journal.append(entries(3, 4))
    expect(await collect(journal.read())).toEqual(entries(1, 4))
    expect(await collect(journal.read('quiescent'))).toEqual(entries(1, 4))
    expect(counts).toEqual([1])
    const again = await openJournal({ bus, instance })
    expect(again.lastN).toBe(4)
    await again.journal.append(entries(5, 5))
    expect(await collect(again.journal.read())).toEqual(entries(1, 5))
  })

  it('passes over a message of its own that somebody published again', async () => {
    const bus = createMemoryNetwork().connect('test')
    const { journal } = await openJournal({ bus, instance, epoch: '1-a' })
    await journal.append(entries(1, 2))
    await journal.append(entries(3, 4))
    bus.publish(options.subject, entries(1, 2).map(toLine).join('\n'), { 'Nats-Msg-Id': '1-a:2' })
    expect(await collect(journal.read())).toEqual(entries(1, 4))
  })

  it('that somebody emptied says so, and so does one whose last messages are gone', async () => {
    const bus = createMemoryNetwork().connect('test')
    const { journal, log } = await openJournal({ bus, instance })
    await journal.append(entries(1, 2))
    await log.purge()
    const opened = await openJournal({ bus, instance })
    expect(await rejection(collect(opened.journal.read()))).toMatchObject({
      code: 'EMPTIED',
      message: expect.stringContaining('OCPS_LATISS_JOURNAL holds no entry, and 1 messages were written to it'),
    })
    bus.publish(options.subject, 'hello')
    expect(await rejection(collect(opened.journal.read()))).toMatchObject({ code: 'EMPTIED' })
  })

  it('whose last messages cannot be read is read up to there, and whoever opens it is told how many are lost', async () => {
    const bus = createMemoryNetwork().connect('test')
    const { journal } = await openJournal({ bus, instance })
    await journal.append(entries(1, 2))
    const endless = async (logOptions: LogOptions): Promise<Log> => {
      const log = await bus.log(logOptions)
      return { ...log, state: async () => ({ ...(await log.state()), last: 9 }) }
    }
    const opened = await openJournal({ bus: { ...bus, log: endless }, instance })
    expect(opened.lostMessages).toBe(8)
    expect(await collect(opened.journal.read())).toEqual(entries(1, 2))
    expect((await collect(survey(opened, 'start'))).at(-1)).toEqual({
      kind: 'damage',
      damage: {
        code: 'END_LOST',
        afterN: 2,
        sentence: 'OCPS_LATISS_JOURNAL, messages 2 to 9, which hold what came after entry 2, cannot be read',
      },
    })
  })
})

function markOf(n: number, more: object): Entry {
  const what = { type: 'engine.quiescent', machines: '1', actors: [], ended: [], answers: [], ...more } as const
  return { n, at: entryOf(n).at, door: 'engine', from: 'engine', what }
}
