/**
 * Entries as messages of a log: the entries of one append are lines of one message, whose id is `<epoch>:<n of its last
 * entry>`. A message that is anything else was not written by a journal, whoever published it.
 */
import type { LogMessage } from '../bus/port.ts'
import { beginsAt, type Entry } from './entry.ts'
import { parseLine, toLine } from './lines.ts'
import { JournalError } from './port.ts'

export interface Message {
  readonly body: string
  readonly lastN: number
  /** Reading may begin with it, or it completes a checkpoint whose other parts are the messages before it. */
  readonly isMark: boolean
}

const ID = /^([A-Za-z0-9_-]{1,64}):(\d{1,15})$/

export function parseId(id: string): { epoch: string; n: number } | null {
  const parts = ID.exec(id)
  return parts === null ? null : { epoch: parts[1] ?? '', n: Number(parts[2]) }
}

/** Null for a message that no journal wrote. */
export function entriesOf({ id, body }: Pick<LogMessage, 'id' | 'body'>): Entry[] | null {
  const said = parseId(id)
  if (said === null) return null
  const entries: Entry[] = []
  for (const line of body.split('\n')) {
    const entry = parseLine(line)
    if (typeof entry === 'string') return null
    entries.push(entry)
  }
  return entries.at(-1)?.n === said.n ? entries : null
}

/** As few messages as fit. Throws JournalError TOO_LARGE before anything is written. */
export function toMessages(entries: readonly Entry[], messageMax: number): Message[] {
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
