/**
 * The journal over a bus's log: the entries of one append are lines of one message, whose id is `<epoch>:<n of its last entry>` and which
 * must follow the message before. Promises all or none per message; an append larger than the server's payload becomes several, and a
 * crash between them leaves the first ones, which is what the machines would have seen anyway. Who is allowed to try is the lease's.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, BusError, type Log } from '../bus/port.ts'
import { beginsAt, type Entry } from './entry.ts'
import { createLineReader, toLine } from './lines.ts'
import { type Journal, JournalError } from './port.ts'

export interface OpenedJournal {
  readonly journal: Journal
  /** The n of the newest entry, 0 for an empty journal. */
  readonly lastN: number
  /** Who writes now. The first append under it fences off every writer before. */
  readonly epoch: string
  /** Asks the server whether nobody else has written since it was opened. Rejects while it cannot be asked. */
  readonly isOurs: () => Promise<boolean>
}

/** Message id, expectations and their names travel in the same payload. */
const headersMax = 4096

/** The rest of an append of several messages must follow its first; it waits for space this long between tries. */
const spaceRetryMs = 250

const token = /^[A-Za-z0-9_-]{1,64}$/

/** Throws JournalError BROKEN when the newest message was not written by a journal. */
export async function openJournal(options: { bus: Bus; instance: string; epoch?: string }): Promise<OpenedJournal> {
  const { bus, instance } = options
  if (!token.test(instance))
    throw new JournalError(
      'BROKEN',
      `The instance ${JSON.stringify(instance)} is not made of letters, digits, _ and -.`,
    )
  const name = `OCPS_${instance}_JOURNAL`
  const log = await bus.log({ name, subject: `ocps.${instance}.journal` })
  const lastId = await log.lastId()
  const last = parseId(lastId, name)
  const epoch = options.epoch ?? nextEpoch(last.epoch)
  if (!token.test(epoch))
    throw new JournalError('BROKEN', `The epoch ${JSON.stringify(epoch)} is not made of letters, digits, _ and -.`)
  const journal = createLogJournal({
    log,
    name,
    epoch,
    lastId,
    lastN: last.n,
    messageMax: () => bus.server.maxPayload - headersMax,
  })
  const isOurs = async (): Promise<boolean> => {
    const newest = await log.lastId()
    return newest === lastId || newest.startsWith(`${epoch}:`)
  }
  return { journal, lastN: last.n, epoch, isOurs }
}

interface Place {
  readonly log: Log
  readonly name: string
  readonly epoch: string
  lastId: string
  lastN: number
  /** Bytes of one message's body. */
  messageMax(): number
}

function createLogJournal(place: Place): Journal {
  return {
    append: async entries => {
      checkFollows(entries, place.lastN)
      const messages = toMessages(entries, place.messageMax())
      for (const [index, message] of messages.entries()) await appendMessage(place, message, index === 0)
    },
    read: from => read(place, from === 'quiescent' ? 'mark' : 'start'),
    entryMax: () => place.messageMax(),
  }
}

interface Message {
  readonly body: string
  readonly lastN: number
  /** Reading may begin with it, or it completes a checkpoint whose other parts are the messages before it. */
  readonly isMark: boolean
}

async function appendMessage(place: Place, message: Message, mayBeRefused: boolean): Promise<void> {
  const id = `${place.epoch}:${message.lastN}`
  for (;;) {
    try {
      await place.log.append({ body: message.body, id, after: place.lastId, isMark: message.isMark })
      place.lastId = id
      place.lastN = message.lastN
      return
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      if (error.code === 'FENCED') throw new JournalError('FENCED', error.message)
      if (error.code !== 'FULL') throw error
      if (mayBeRefused) throw new JournalError('FULL', error.message)
      await delay(spaceRetryMs)
    }
  }
}

async function* read(place: Place, from: 'start' | 'mark'): AsyncGenerator<Entry> {
  const reader = createLineReader()
  const before = from === 'mark' ? await partsBefore(place) : 0
  for await (const { body, id } of place.log.read(from, before)) {
    let lastN = 0
    for (const [index, line] of body.split('\n').entries()) {
      const entry = reader.read(line, `${place.name}, message ${id}, line ${index + 1},`)
      lastN = entry.n
      yield entry
    }
    if (parseId(id, place.name).n !== lastN) {
      throw new JournalError(
        'BROKEN',
        `${place.name}, message ${id}, ends with entry ${lastN}, which is not what its id says.`,
      )
    }
  }
}

/** How many messages before the newest mark belong to it. */
async function partsBefore({ log, name }: Place): Promise<number> {
  for await (const { body, id } of log.read('mark')) {
    const [first = ''] = body.split('\n', 1)
    const { what } = createLineReader('anywhere').read(first, `${name}, message ${id}, line 1,`)
    return what.type === 'engine.checkpoint' ? what.of - 1 : 0
  }
  return 0
}

function checkFollows(entries: readonly Entry[], lastN: number): void {
  for (const [index, entry] of entries.entries()) {
    const expected = lastN + index + 1
    if (entry.n !== expected)
      throw new JournalError('BROKEN', `Entry ${entry.n} was to be appended where entry ${expected} must follow.`)
  }
}

/** As few messages as fit. Throws JournalError TOO_LARGE before anything is written. */
function toMessages(entries: readonly Entry[], messageMax: number): Message[] {
  const messages: Message[] = []
  let lines: string[] = []
  let bytes = 0
  let lastN = 0
  let isMark = false
  let wasPart = false
  for (const entry of entries) {
    const { what } = entry
    const isPart = what.type === 'engine.checkpoint'
    // A mark is found by its message. A part is alone in its own, so that the first of them is found by counting back.
    const begins = isPart || wasPart || what.type === 'engine.quiescent'
    const line = toLine(entry)
    const lineBytes = Buffer.byteLength(line) + 1
    if (lineBytes > messageMax) {
      throw new JournalError(
        'TOO_LARGE',
        `Entry ${entry.n} has ${lineBytes} bytes and a journal message holds ${messageMax}; nothing was written.`,
      )
    }
    if (lines.length > 0 && (bytes + lineBytes > messageMax || begins)) {
      messages.push({ body: lines.join('\n'), lastN, isMark })
      lines = []
      bytes = 0
    }
    if (lines.length === 0) isMark = beginsAt(entry) !== null
    wasPart = isPart
    lines.push(line)
    bytes += lineBytes
    lastN = entry.n
  }
  if (lines.length > 0) messages.push({ body: lines.join('\n'), lastN, isMark })
  return messages
}

function parseId(id: string, name: string): { epoch: string; n: number } {
  if (id === '') return { epoch: '', n: 0 }
  const parts = /^(.+):(\d+)$/.exec(id)
  if (parts === null)
    throw new JournalError(
      'BROKEN',
      `${name} holds a message with the id ${JSON.stringify(id)}, which no journal wrote.`,
    )
  return { epoch: parts[1] ?? '', n: Number(parts[2]) }
}

/**
 * Counts up for people; the random part is for the server: two orchestrators that start at once must not use the same id for different
 * messages, or the second would be told that its message is stored already.
 */
function nextEpoch(before: string): string {
  const count = Number(/^\d+/.exec(before)?.[0] ?? 0) + 1
  return `${count}-${randomBytes(4).toString('hex')}`
}
