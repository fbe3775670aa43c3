/**
 * Creates JetStream streams or brings them up to date, and reads back what the server made of it: an older server drops a field it does
 * not know without a word. What a stream is for is retained's and the log's business.
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
import { BusError } from './port.ts'

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

/** Creates the stream or updates the one of that name. Throws BusError UNSUPPORTED, naming the field the server dropped. */
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

/** The newest message of a stream, or null. */
export async function newestOf(link: Link, streams: Streams, stream: string): Promise<Kept | null> {
  try {
    const { state } = await streams.manager.streams.info(stream)
    return state.messages === 0 ? null : await lastOf(link, streams, stream, { seq: state.last_seq })
  } catch (error) {
    throw explain(error, link, `stream ${stream}`)
  }
}

/** One message, or null: the last of a subject, or the one with a sequence number. */
export async function lastOf(
  link: Link,
  streams: Streams,
  stream: string,
  which: { last_by_subj: string } | { seq: number },
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
 * What a stream holds from sequence `from` up to what was there at the call, oldest first. Finishes on an empty stream too. Waits while
 * the server is away.
 */
export async function* readStream(
  link: Link,
  streams: Streams,
  stream: string,
  options: { from: number; headersOnly: boolean },
): AsyncGenerator<JsMsg> {
  try {
    const { state } = await streams.manager.streams.info(stream)
    if (state.messages === 0 || options.from > state.last_seq) return
    const consumer = await streams.client.consumers.get(stream, {
      ...(options.from > 1
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: options.from }
        : { deliver_policy: DeliverPolicy.All }),
      headers_only: options.headersOnly,
    })
    const most = options.headersOnly ? { max_messages: readBatch } : { max_bytes: readBytesMax }
    const messages = await consumer.consume({ ...most, expires: readExpiresMs })
    let turned = performance.now()
    try {
      for await (const message of messages) {
        if (performance.now() - turned > readTurnMs) {
          await nextTurn()
          turned = performance.now()
        }
        yield message
        if (message.seq >= state.last_seq || message.info.pending === 0) return
      }
    } finally {
      messages.stop()
      await consumer.delete().catch(() => false)
    }
  } catch (error) {
    throw explain(error, link, `stream ${stream}`)
  }
}

/** Measured: 130 000 to 150 000 messages a second from a thousand upwards. */
const readBatch = 5000

/** Sent ahead of who reads. A server closes a connection that takes nothing for two seconds; the largest message of all has 1 MiB. */
const readBytesMax = 8 * 1024 * 1024

/** What has come is handed over without a turn of the event loop in between, in which the socket would be read and pings answered. */
const readTurnMs = 20

/** A server that restarts forgets who was reading; that is noticed after two missed heartbeats, each half of this. The client's own 30 s are 30 s of recovery. */
const readExpiresMs = 2000

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
