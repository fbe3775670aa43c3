import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connectNats } from '../../src/bus/nats.ts'
import { blankMark } from '../../src/engine/blank.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { openJournal, type OpenedJournal } from '../../src/journal/log.ts'
import { JournalError } from '../../src/journal/port.ts'
import { type Damage as Damaged, survey } from '../../src/journal/survey.ts'
import { collect } from '../bus/messages.ts'
import { eventually, rejection } from '../bus/eventually.ts'
import { startServer } from '../recovery/surroundings.ts'
import { entries } from './contract.ts'
import { copyOf, damage, type Damage, makeStore } from './store.ts'

/*
 * A journal on a real server whose store was damaged while the server was away. Whatever was done to it, reading ends,
 * and what it gives is true.
 */
const instance = 'LATISS'
const stream = 'OCPS_LATISS_JOURNAL'
// Says where it stopped, or that it came to the end.
const SENTENCE =
  /^OCPS_LATISS_JOURNAL, messages? \d+.*(entry|entries) \d+.*"ocps journal renew" begins a fresh journal\.$/

async function written() {
  const store = await makeStore()
  const { bus } = await store.start()
  const { journal } = await openJournal({ bus, instance })
  for (let n = 1; n <= 300; n += 3) await journal.append(entries(n, n + 2))
  return store
}

async function readAll(journal: Awaited<ReturnType<typeof openJournal>>['journal']) {
  const read: number[] = []
  try {
    for await (const { n } of journal.read()) read.push(n)
    return { read, error: null }
  } catch (error) {
    if (!(error instanceof JournalError)) throw error
    return { read, error }
  }
}

async function damages(opened: OpenedJournal): Promise<Damaged[]> {
  const found = await collect(survey(opened, 'start'))
  return found.flatMap(one => (one.kind === 'damage' ? [one.damage] : []))
}

test.each<[Damage, readonly (string | null)[]]>([
  ['zeroed tail', ['END_LOST']],
  ['flipped byte', ['HOLE']],
  // Some servers cut the store off where it is damaged, and nothing in it says that there was more.
  ['truncated', ['END_LOST', null]],
  ['zeroed middle', ['END_LOST', 'HOLE', null]],
])('a journal (%s) is read up to there, and says so', async (how, codes) => {
  const store = await written()
  await store.stop()
  await damage(store.dir, stream, how)
  const { bus } = await store.start()
  const opened = await openJournal({ bus, instance })
  const { journal, lastN, lostMessages } = opened
  const { read, error } = await readAll(journal)
  expect(read.length).toBeGreaterThan(50)
  expect(read.length).toBeLessThan(300)
  expect(read).toEqual(entries(1, read.length).map(({ n }) => n))
  if (how === 'flipped byte') expect(error?.code).toBe('HOLE')
  if (error !== null) expect(error.message).toMatch(SENTENCE)
  else expect(lastN).toBe(read.length)
  expect(codes).toContain((await damages(opened))[0]?.code ?? null)
  if (lostMessages > 0) expect((await damages(opened))[0]?.code).toBe('END_LOST')

  // Emptied and begun anew, it is sound and stays so.
  await opened.log.purge()
  const mark: Entry = { n: 900, at: 0, door: 'engine', from: 'engine', what: blankMark(instance) }
  await (await openJournal({ bus, instance })).journal.append([mark])
  await store.stop()
  const renewed = await openJournal({ bus: (await store.start()).bus, instance })
  expect(await damages(renewed)).toEqual([])
  expect((await readAll(renewed.journal)).read).toEqual([900])
})

test('a journal that was emptied is not taken for a new one', async () => {
  const store = await written()
  await store.stop()
  const { bus } = await store.start()
  const { journal, log } = await openJournal({ bus, instance })
  await log.purge()
  expect((await readAll(journal)).error).toMatchObject({ code: 'EMPTIED' })
  await store.stop()
  const again = await openJournal({ bus: (await store.start()).bus, instance })
  expect((await readAll(again.journal)).error).toMatchObject({ code: 'EMPTIED' })
})

test('a writer whose server comes back with an older copy of the store is told, and writes nothing', async () => {
  const { server, dir, bus } = await external()
  const { journal } = await openJournal({ bus, instance })
  await journal.append(entries(1, 3))
  await server.kill()
  const putBack = await copyOf(join(dir, 'nats'))
  server.start()
  await journal.append(entries(4, 6))
  await server.kill()
  await putBack()
  server.start()
  expect(await rejection(journal.append(entries(7, 9)))).toMatchObject({
    code: 'BROKEN',
    message: expect.stringContaining('it ends with message 1, and message 2 was confirmed; an older copy was put back'),
  })
  expect(await collect((await openJournal({ bus, instance })).journal.read())).toEqual(entries(1, 3))
})

test('a journal older than the duplicate window goes on where its server did not restart', async () => {
  const store = await makeStore()
  const { bus } = await store.start()
  const { journal } = await openJournal({ bus, instance, duplicateWindowMs })
  await journal.append(entries(1, 3))
  await theWindowHasPassed()
  await journal.append(entries(4, 6))
  expect(await collect(journal.read())).toEqual(entries(1, 6))
})

test('a journal older than the duplicate window goes on where its own server fell over and was started again', async () => {
  const store = await makeStore()
  const { bus, server } = await store.start()
  const { journal } = await openJournal({ bus, instance, duplicateWindowMs })
  await journal.append(entries(1, 3))
  await theWindowHasPassed()
  process.kill(server.pid, 'SIGKILL')
  await journal.append(entries(4, 6))
  await store.stop()
  const again = await openJournal({ bus: (await store.start()).bus, instance, duplicateWindowMs })
  await again.journal.append(entries(7, 7))
  expect(await collect(again.journal.read())).toEqual(entries(1, 7))
})

test('a journal older than the duplicate window goes on where a server that others run was restarted', async () => {
  const { server, bus } = await external()
  const { journal } = await openJournal({ bus, instance, duplicateWindowMs })
  await journal.append(entries(1, 3))
  await theWindowHasPassed()
  await server.kill()
  server.start()
  await journal.append(entries(4, 6))
  const again = await openJournal({ bus, instance, duplicateWindowMs })
  await again.journal.append(entries(7, 7))
  expect(await rejection(journal.append(entries(7, 7)))).toMatchObject({ code: 'FENCED' })
  expect(await collect(again.journal.read())).toEqual(entries(1, 7))
})

const duplicateWindowMs = 1_000

/** The server forgets by its own clock, a little later than it must. */
async function theWindowHasPassed(): Promise<void> {
  const since = performance.now()
  await eventually('the window has passed', () => performance.now() - since > 1.5 * duplicateWindowMs)
}

/** A server that is killed and started again on the same port while its client goes on. */
async function external() {
  const dir = await mkdtemp(join(tmpdir(), 'ocps-journal-'))
  const server = await startServer(dir)
  const bus = await connectNats({ url: server.url, name: 'test', waitForServer: true })
  onTestFinished(async () => {
    await bus.close()
    await server.kill()
    await rm(dir, { recursive: true, force: true })
  })
  return { server, dir, bus }
}
