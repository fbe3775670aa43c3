/**
 * Creates JetStream streams or brings them up to date, and reads back what the server made of it: an older server
 * drops a field it does not know without a word. What a stream is for is retained's and the log's business.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type JsMsg,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { RequestError } from '@nats-io/transport-node'
import type { Link } from './nats-link.ts'
import { BusError, type LogState } from './port.ts'

/** A stream operation touches the disk; a busy or syncing one takes seconds, not tens of them. */
const streamTimeoutMs = 10_000

/** How long a stream remembers message ids: longer than a server takes to come back, short enough to fit in memory. */
export const duplicateWindowMs = 600_000

const nanosecondsPerMs = 1_000_000

const apiCodes = {
  streamNotFound: 10059,
  nameInUse: 10058,
  subjectsOverlap: 10065,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
}

export interface Streams {
  readonly client: JetStreamClient
  readonly manager: JetStreamManager
}

export type StreamShape = Pick<StreamConfig, 'name' | 'subjects'> &
  Partial<Pick<StreamConfig, 'max_age' | 'max_msgs_per_subject' | 'deny_delete' | 'deny_purge' | 'duplicate_window'>>

/** Throws BusError UNSUPPORTED when the server has JetStream off. */
export async function openStreams(link: Link): Promise<Streams> {
  const options = { timeout: streamTimeoutMs }
  try {
    return {
      client: jetstream(link.connection, options),
      manager: await jetstreamManager(link.connection, options),
    }
  } catch (error) {
    throw explain(error, link, 'JetStream')
  }
}

/**
 * Creates the stream or updates the one of that name. Throws BusError UNSUPPORTED, naming the field the server
 * dropped.
 */
export async function ensureStream(link: Link, streams: Streams, shape: StreamShape): Promise<void> {
  const wanted = {
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    allow_direct: true,
    num_replicas: 1,
    ...shape,
  }
  try {
    const { config } = await streams.manager.streams.add(wanted).catch(async (error: unknown) => {
      if (!(error instanceof JetStreamApiError) || error.code !== apiCodes.nameInUse) throw error
      return await streams.manager.streams.update(shape.name, wanted)
    })
    const made: Record<string, unknown> = { ...config }
    for (const [field, value] of Object.entries(wanted)) {
      if (JSON.stringify(made[field]) === JSON.stringify(value)) continue
      throw new BusError(
        'UNSUPPORTED',
        `The NATS server at ${link.url} keeps stream ${shape.name} with ${field}=${JSON.stringify(made[field])} where ${JSON.stringify(value)} is needed; use nats-server 2.9.10 or later, or remove the stream.`,
      )
    }
  } catch (error) {
    throw explain(error, link, `stream ${shape.name}`)
  }
}

/** Whether the server says for certain that the stream does not exist; false when it does not say. */
export async function isGone(streams: Streams, name: string): Promise<boolean> {
  try {
    await streams.manager.streams.info(name)
    return false
  } catch (error) {
    return error instanceof JetStreamApiError && error.code === apiCodes.streamNotFound
  }
}

export interface Kept {
  readonly sequence: number
  readonly body: Uint8Array
  readonly id: string | null
}

/** What a stream says of itself. */
export async function stateOf(link: Link, streams: Streams, stream: string): Promise<Omit<LogState, 'lastReadable'>> {
  try {
    const { state } = await streams.manager.streams.info(stream)
    return { first: state.first_seq, last: state.last_seq, messages: state.messages }
  } catch (error) {
    throw explain(error, link, `stream ${stream}`)
  }
}

/**
 * One message, or null: the last of a subject, the one with a sequence number, or the first of a subject from there
 * on.
 */
export async function lastOf(
  link: Link,
  streams: Streams,
  stream: string,
  which: { last_by_subj: string } | { seq: number } | { seq: number; next_by_subj: string },
): Promise<Kept | null> {
  try {
    const message = await streams.manager.direct.getMessage(stream, which)
    if (message === null) return null
    return { sequence: message.seq, body: message.data, id: message.header.get('Nats-Msg-Id') || null }
  } catch (error) {
    throw explain(error, link, `stream ${stream}`)
  }
}

/**
 * What a stream holds from sequence `from` up to what was there at the call, oldest first. Finishes on an empty stream
 * too. Waits while the server is away, but not for what a damaged stream counts and cannot deliver: that is left out.
 */
export async function* readStream(
  link: Link,
  streams: Streams,
  stream: string,
  options: { from: number; headersOnly: boolean },
): AsyncGenerator<Kept> {
  try {
    const { state } = await streams.manager.streams.info(stream)
    if (state.messages === 0) return
    const quietMs = (state.num_deleted ?? 0) > 0 ? quietWithGapsMs : quietReadMs
    for (let from = options.from; from <= state.last_seq; ) {
      const before = from
      for await (const message of consume(link, streams, stream, {
        ...options,
        from,
        until: state.last_seq,
        quietMs,
      })) {
        yield message
        from = message.sequence + 1
        if (message.isLast) return
      }
      // Nothing came for a while: what comes next, as the server finds it without a consumer.
      const next = await lastOf(link, streams, stream, { seq: from, next_by_subj: '>' })
      if (next === null || next.sequence > state.last_seq) return
      if (from === before) yield next
      from = from === before ? next.sequence + 1 : next.sequence
    }
  } catch (error) {
    throw explain(error, link, `stream ${stream}`)
  }
}

/** Ends with the last message, or when nothing has come for a while although the server is there. */
async function* consume(
  link: Link,
  streams: Streams,
  stream: string,
  options: { from: number; until: number; headersOnly: boolean; quietMs: number },
): AsyncGenerator<Kept & { isLast: boolean }> {
  const consumer = await streams.client.consumers.get(stream, {
    ...(options.from > 1
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: options.from }
      : { deliver_policy: DeliverPolicy.All }),
    headers_only: options.headersOnly,
  })
  const most = options.headersOnly ? { max_messages: readBatch } : { max_bytes: readBytesMax }
  const messages = await consumer.consume({ ...most, expires: readExpiresMs })
  let turned = performance.now()
  /** Since when the next one is awaited; null while the reader is busy with the one before. */
  let since: number | null = performance.now()
  const watch = setInterval(() => {
    if (!link.connected()) since &&= performance.now()
    else if (since !== null && performance.now() - since > options.quietMs) messages.stop()
  }, options.quietMs / 4)
  try {
    for await (const message of messages) {
      since = null
      if (performance.now() - turned > readTurnMs) {
        await nextTurn()
        turned = performance.now()
      }
      yield toKept(message, message.seq >= options.until || message.info.pending === 0)
      since = performance.now()
    }
  } finally {
    clearInterval(watch)
    messages.stop()
    await consumer.delete().catch(() => false)
  }
}

function toKept(message: JsMsg, isLast: boolean): Kept & { isLast: boolean } {
  return { sequence: message.seq, body: message.data, id: message.headers?.get('Nats-Msg-Id') || null, isLast }
}

/** Measured: 130 000 to 150 000 messages a second from a thousand upwards. */
const readBatch = 5000

/**
 * Sent ahead of who reads. A server closes a connection that takes nothing for two seconds; the largest message of all
 * has 1 MiB.
 */
const readBytesMax = 8 * 1024 * 1024

/**
 * What has come is handed over without a turn of the event loop in between, in which the socket would be read and
 * pings answered.
 */
const readTurnMs = 20

/**
 * A server that restarts forgets who was reading; that is noticed after two missed heartbeats, each half of this. The
 * client's own 30 s are 30 s of recovery.
 */
const readExpiresMs = 2000

/** A reader that was forgotten is noticed within this and made again; in a stream with gaps the rest may never come. */
const quietReadMs = 6000
const quietWithGapsMs = 1000

export function nanoseconds(milliseconds: number): number {
  return milliseconds * nanosecondsPerMs
}

/** The client's errors in the words of the port. */
export function explain(error: unknown, link: Link, what: string): Error {
  if (error instanceof BusError) return error
  const because = error instanceof Error ? error.message : String(error)
  if (link.connection.isClosed()) return new BusError('CLOSED', `The connection to ${link.url} is closed.`)
  const code = error instanceof JetStreamApiError ? error.code : 0
  const none = error instanceof RequestError && error.isNoResponders()
  const off =
    code === apiCodes.notEnabled || code === apiCodes.notEnabledForAccount || /jetstream.*not enabled/i.test(because)
  if (none || off) {
    return new BusError(
      'UNSUPPORTED',
      `The NATS server at ${link.url} has JetStream off, so nothing can be kept; start it with -js, or leave NATS_URL unset and OCPS starts its own.`,
    )
  }
  if (code === apiCodes.subjectsOverlap) {
    return new BusError(
      'UNSUPPORTED',
      `Another stream at ${link.url} keeps the subjects of ${what}: ${because}; remove that stream.`,
    )
  }
  if (code !== 0) return new BusError('UNSUPPORTED', `The NATS server at ${link.url} refused ${what}: ${because}.`)
  return new BusError('TIMEOUT', `The NATS server at ${link.url} did not answer about ${what}: ${because}.`)
}
