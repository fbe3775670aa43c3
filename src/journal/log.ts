/**
 * The journal over a bus's log. Promises all or none per message; an append larger than the server's payload becomes
 * several, and a crash between them leaves the first ones, which is what the machines would have seen anyway. Messages
 * that no journal wrote are passed over and counted. Who is allowed to try is the lease's.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, BusError, type Log, type LogMessage } from '../bus/port.ts'
import type { Entry } from './entry.ts'
import { checkFollows } from './lines.ts'
import { entriesOf, type Message, parseId, toMessages } from './messages.ts'
import { type Journal, JournalError } from './port.ts'
import { damageError, survey } from './survey.ts'

export interface JournalOptions {
  readonly bus: Bus
  readonly instance: string
  readonly epoch?: string
  /** Told of the first message that no journal wrote, and then with ever larger counts; each is counted once. */
  readonly onForeign?: (count: number, message: LogMessage) => void
  /** As in LogOptions. */
  readonly duplicateWindowMs?: number
}

export interface OpenedJournal {
  readonly journal: Journal
  readonly log: Log
  readonly name: string
  /** The n of the newest entry, 0 for an empty journal. */
  readonly lastN: number
  /** So many messages after the newest entry were stored once and cannot be read any more. */
  readonly lostMessages: number
  /** Who writes now. The first append under it fences off every writer before. */
  readonly epoch: string
  /** Asks the server whether nobody else has written since it was opened. Rejects while it cannot be asked. */
  readonly isOurs: () => Promise<boolean>
}

/** Message id, expectations and their names travel in the same payload. */
const headersMax = 4096

/** The rest of an append of several messages must follow its first; it waits for space this long between tries. */
const spaceRetryMs = 250

/**
 * Each counted message is remembered, so that it is not counted again; more than this is a flood, and counted roughly.
 */
const foreignMax = 100_000

/**
 * A batch of the inbox and what the engine adds to it: what a message that is gone held is not known, and no number may
 * be given out twice.
 */
export const ENTRIES_PER_MESSAGE_MAX = 400

const token = /^[A-Za-z0-9_-]{1,64}$/

/** Throws JournalError BROKEN for a name that cannot be one. */
export async function openJournal(options: JournalOptions): Promise<OpenedJournal> {
  const { bus, instance } = options
  if (!token.test(instance))
    throw new JournalError(
      'BROKEN',
      `The instance ${JSON.stringify(instance)} is not made of letters, digits, _ and -.`,
    )
  const name = `OCPS_${instance}_JOURNAL`
  const foreign = createCount(options.onForeign)
  const log = await bus.log({
    name,
    subject: `ocps.${instance}.journal`,
    isWritten: message => {
      const isOne = entriesOf(message) !== null
      if (!isOne) foreign(message)
      return isOne
    },
    ...(options.duplicateWindowMs === undefined ? {} : { duplicateWindowMs: options.duplicateWindowMs }),
  })
  const newest = (await log.last())?.id ?? ''
  const last = parseId(newest)
  const epoch = options.epoch ?? nextEpoch(last?.epoch ?? '')
  if (!token.test(epoch))
    throw new JournalError('BROKEN', `The epoch ${JSON.stringify(epoch)} is not made of letters, digits, _ and -.`)
  const lastN = last?.n ?? 0
  const state = await log.state()
  const lostMessages = state.last - Math.max(state.lastReadable, state.first - 1)
  const messageMax = () => bus.server.maxPayload - headersMax
  const journal = createLogJournal({
    log,
    name,
    epoch,
    lastId: newest,
    lastN,
    unprovenBehind: newest,
    foreign,
    messageMax,
  })
  const isOurs = async (): Promise<boolean> => {
    const id = (await log.last())?.id ?? ''
    return id === newest || id.startsWith(`${epoch}:`)
  }
  return {
    journal,
    log,
    name,
    lastN,
    lostMessages,
    epoch,
    isOurs,
  }
}

interface LogCursor {
  readonly log: Log
  readonly name: string
  readonly epoch: string
  readonly foreign: (message: LogMessage) => void
  lastId: string
  lastN: number
  /** The id that was the newest when it was opened; null once something of ours was read back behind it. */
  unprovenBehind: string | null
  /** Bytes of one message's body. */
  messageMax(): number
}

function createLogJournal(place: LogCursor): Journal {
  return {
    append: async entries => {
      checkFollows(entries, place.lastN)
      const messages = toMessages(entries, place.messageMax())
      for (const [index, message] of messages.entries()) await appendMessage(place, message, index === 0)
      if (place.unprovenBehind !== null && messages.length > 0) await checkReadable(place, place.unprovenBehind)
    },
    read: from => read(place, from === 'quiescent' ? 'mark' : 'start'),
    entryMax: () => place.messageMax(),
  }
}

async function appendMessage(place: LogCursor, message: Message, mayBeRefused: boolean): Promise<void> {
  const id = `${place.epoch}:${message.lastN}`
  for (;;) {
    try {
      await place.log.append({ body: message.body, id, after: place.lastId, isMark: message.isMark })
      place.lastId = id
      place.lastN = message.lastN
      return
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      if (error.code === 'FENCED' || error.code === 'BROKEN') throw new JournalError(error.code, error.message)
      if (error.code !== 'FULL') throw error
      if (mayBeRefused) throw new JournalError('FULL', error.message)
      await delay(spaceRetryMs)
    }
  }
}

/** Once a life: a server may confirm what it writes into a damaged file, and not find it again. */
async function checkReadable(place: LogCursor, before: string): Promise<void> {
  const newest = (await place.log.last())?.id ?? ''
  if (newest === before)
    throw new JournalError(
      'BROKEN',
      `${place.name} is damaged: what is written to it now cannot be read back. Restart its NATS server, then "ocps journal check".`,
    )
  place.unprovenBehind = null
}

async function* read(place: LogCursor, from: 'start' | 'mark'): AsyncGenerator<Entry> {
  const before = from === 'mark' ? await partsBefore(place) : 0
  for await (const found of survey(place, from, before)) {
    if (found.kind === 'damage') {
      // Whatever was in them, what is left is whole. Who opened it has been told, and must not give their numbers out
      // again.
      if (found.damage.code === 'END_LOST') return
      throw damageError(found.damage)
    }
    if (found.kind === 'foreign') place.foreign(found.message)
    else yield* found.entries
  }
}

/** How many messages before the newest mark belong to it. */
async function partsBefore({ log }: LogCursor): Promise<number> {
  for await (const message of log.read('mark')) {
    const what = entriesOf(message)?.[0]?.what
    return what?.type === 'engine.checkpoint' ? what.of - 1 : 0
  }
  return 0
}

/** Tells of the first, the tenth, the hundredth… */
function createCount(tell: JournalOptions['onForeign']): (message: LogMessage) => void {
  const known = new Set<number>()
  let next = 1
  return message => {
    if (known.has(message.sequence) || known.size >= foreignMax) return
    known.add(message.sequence)
    if (known.size < next) return
    next *= 10
    tell?.(known.size, message)
  }
}

/**
 * Counts up for people; the random part is for the server: two orchestrators that start at once must not use the same
 * id for different messages, or the second would be told that its message is stored already.
 */
function nextEpoch(before: string): string {
  const count = Number(/^\d+/.exec(before)?.[0] ?? 0) + 1
  return `${count}-${randomBytes(4).toString('hex')}`
}
