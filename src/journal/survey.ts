/**
 * Goes over what a journal's log holds and tells entries, strangers' messages and damage apart, without stopping at any
 * of them. Who must be able to trust what was read stops at the first damage; who wants what is left goes on.
 */
import type { Log, LogMessage } from '../bus/port.ts'
import { type Entry } from './entry.ts'
import { faultBehind } from './lines.ts'
import { entriesOf } from './messages.ts'
import { type DamageCode, JournalError } from './port.ts'

export interface Damage {
  readonly code: DamageCode
  /** The entry before it; 0: none. */
  readonly afterN: number
  /** Names stream, place and entry. */
  readonly sentence: string
}

export type Found =
  | { readonly kind: 'entries'; readonly entries: readonly Entry[]; readonly sequence: number }
  /** A message that no journal wrote, or one that was published again. */
  | { readonly kind: 'foreign'; readonly message: LogMessage }
  | { readonly kind: 'damage'; readonly damage: Damage }

export interface Part {
  readonly log: Log
  readonly name: string
}

/** Entries follow one another except behind a damage. */
export async function* survey({ log, name }: Part, from: 'start' | 'mark', before = 0): AsyncGenerator<Found> {
  const state = await log.state()
  let last: Entry | null = null
  for await (const message of log.read(from, before)) {
    const entries = entriesOf(message)
    // One that ends before where we are was published again by somebody.
    if (entries === null || (last !== null && (entries.at(-1)?.n ?? 0) <= last.n)) {
      yield { kind: 'foreign', message }
      continue
    }
    for (const entry of entries) {
      const fault = faultBehind(last, entry)
      if (fault !== null) {
        const sentence = `${name}, message ${message.sequence} (${message.id}), ${fault.why}`
        yield { kind: 'damage', damage: { code: fault.code, afterN: last?.n ?? 0, sentence } }
      }
      last = entry
    }
    yield { kind: 'entries', entries, sequence: message.sequence }
  }
  const afterN = last?.n ?? 0
  if (last === null && state.first > 1) {
    const sentence = `${name} holds no entry, and ${state.last} messages were written to it; somebody emptied it`
    yield { kind: 'damage', damage: { code: 'EMPTIED', afterN, sentence } }
  } else if (state.lastReadable < state.last) {
    const sentence = `${name}, messages ${state.lastReadable + 1} to ${state.last}, which hold what came after entry ${afterN}, cannot be read`
    yield { kind: 'damage', damage: { code: 'END_LOST', afterN, sentence } }
  }
}

/** Where going on from what is left would lose what comes next. */
export function cannotGoOn({
  name,
  lastN,
  lostMessages,
}: {
  name: string
  lastN: number
  lostMessages: number
}): JournalError {
  return new JournalError(
    'END_LOST',
    `${name}, ${lostMessages} messages after entry ${lastN} cannot be read, and this NATS server would lose what is written behind them. ` +
      'Restart the server (one of our own ends with us), which drops them, then start again; or begin a fresh journal with "ocps journal renew".',
  )
}

/** What a person can do about a damage. */
export function damageError({ code, sentence }: Damage): JournalError {
  const way =
    code === 'NEWER'
      ? 'Run the OCPS that wrote it, or a later one.'
      : '"ocps journal check" shows all of it, "ocps journal export FILE" keeps what can be read, and "ocps journal renew" begins a fresh journal.'
  return new JournalError(code, `${sentence}. ${way}`)
}
