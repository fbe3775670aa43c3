/**
 * Finds messages that a writer of the log appended among those that anybody published on its subjects. The first look
 * is one small request; only where that finds a stranger's message, or a gap, more is read.
 */
import type { Link } from './nats-link.ts'
import { type Kept, lastOf, readStream, stateOf, type Streams } from './nats-streams.ts'
import type { LogMessage, LogState } from './port.ts'

export interface Where {
  readonly link: Link
  readonly streams: Streams
  readonly name: string
  readonly isWritten: (message: LogMessage) => boolean
}

/** How far back is looked first; then ever further. */
const lookBackFirst = 1000
const lookBackFactor = 8

export function toMessage({ sequence, body, id }: Kept): LogMessage {
  return { body: Buffer.from(body).toString(), id: id ?? '', sequence }
}

export async function readableState({ link, streams, name }: Where): Promise<LogState> {
  const state = await stateOf(link, streams, name)
  if (state.messages === 0) return { ...state, lastReadable: 0 }
  if ((await lastOf(link, streams, name, { seq: state.last })) !== null) return { ...state, lastReadable: state.last }
  for (let back = lookBackFirst; ; back *= lookBackFactor) {
    const from = Math.max(state.first, state.last - back + 1, 1)
    let lastReadable = 0
    for await (const { sequence } of readStream(link, streams, name, { from, headersOnly: true }))
      if (sequence < state.last) lastReadable = sequence
    if (lastReadable > 0 || from <= Math.max(state.first, 1)) return { ...state, lastReadable }
  }
}

/** The newest written message, and the newest place of the stream. */
export async function newestWritten(where: Where): Promise<{ message: LogMessage | null; last: number }> {
  const { link, streams, name, isWritten } = where
  const { first, last, messages } = await stateOf(link, streams, name)
  if (messages === 0) return { message: null, last }
  const kept = await lastOf(link, streams, name, { seq: last })
  const newest = kept && toMessage(kept)
  if (newest !== null && isWritten(newest)) return { message: newest, last }
  for (let back = lookBackFirst; ; back *= lookBackFactor) {
    const from = Math.max(first, last - back + 1, 1)
    let found: LogMessage | null = null
    for await (const one of readStream(link, streams, name, { from, headersOnly: false })) {
      // What came since the question is no answer to it.
      if (one.sequence > last) break
      const message = toMessage(one)
      if (isWritten(message)) found = message
    }
    if (found !== null || from <= Math.max(first, 1)) return { message: found, last }
  }
}

/** The place of the newest written mark; null where there is none. */
export async function newestMark(where: Where, markSubject: string): Promise<number | null> {
  const { link, streams, name, isWritten } = where
  const newest = await lastOf(link, streams, name, { last_by_subj: markSubject })
  if (newest === null || isWritten(toMessage(newest))) return newest?.sequence ?? null
  for (let back = lookBackFirst; ; back *= lookBackFactor) {
    const from = Math.max(newest.sequence - back, 1)
    let found: number | null = null
    for (let at = from; at < newest.sequence; ) {
      const mark = await lastOf(link, streams, name, { seq: at, next_by_subj: markSubject })
      if (mark === null) break
      if (mark.sequence < newest.sequence && isWritten(toMessage(mark))) found = mark.sequence
      at = mark.sequence + 1
    }
    if (found !== null || from === 1) return found
  }
}

/** The place with so many written messages between it and `sequence`; the first one where there are fewer. */
export async function placeBefore(where: Where, sequence: number, count: number): Promise<number> {
  const { link, streams, name, isWritten } = where
  let at = sequence
  for (let left = count; left > 0 && at > 1; ) {
    at -= 1
    const kept = await lastOf(link, streams, name, { seq: at })
    if (kept !== null && isWritten(toMessage(kept))) left -= 1
  }
  return at
}
