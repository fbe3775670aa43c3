/**
 * The bus over NATS (with the other nats-*.ts files the only place that imports the NATS client). Checks subjects,
 * headers and sizes before the client sees them, reconnects for ever, and turns the client's errors into BusErrors.
 * What must survive a server's absence goes through a retained stream or a log; plain publishing does not.
 */
import { connect } from '@nats-io/transport-node'
import { silentLog } from '../log.ts'
import { unreachable } from './nats-errors.ts'
import { takeLease } from './nats-lease.ts'
import { NatsLink } from './nats-link.ts'
import { openLog } from './nats-log.ts'
import { publish, subscribe } from './nats-messages.ts'
import { type NatsOptions, toClientOptions } from './nats-options.ts'
import { NatsRequests } from './nats-requests.ts'
import { openRetained } from './nats-retained.ts'
import { openStreams, type Streams } from './nats-streams.ts'
import type { Bus } from './port.ts'
import { shownUrl } from './serverUrl.ts'

/** Throws BusError UNREACHABLE, naming the URL and what to do. */
export async function connectNats(options: NatsOptions): Promise<Bus> {
  const link = await openLink(options)
  const requests = new NatsRequests(link)
  let streams: Promise<Streams> | null = null
  if (options.onStatus !== undefined) link.onStatus(options.onStatus)

  return {
    get server() {
      return link.server
    },
    subscribe: (subject, handler) => subscribe(link, subject, handler),
    publish: (subject, body, headers) => publish(link, subject, body, headers),
    request: (subject, body, request) => requests.one(subject, body, request),
    requestMany: (subject, body, request) => requests.many(subject, body, request),
    retained: async retained => await openRetained(link, await getStreams(), retained),
    log: async log => await openLog(link, await getStreams(), log),
    lease: async lease => await takeLease(link, await getStreams(), lease),
    onStatus: handler => link.onStatus(handler),
    close: () => link.close(),
  }

  async function getStreams(): Promise<Streams> {
    link.checkOpen()
    streams ??= openStreams(link)
    return await streams.catch((error: unknown) => {
      streams = null
      throw error
    })
  }
}

async function openLink(options: NatsOptions): Promise<NatsLink> {
  const url = shownUrl(options.url)
  const clientOptions = await toClientOptions(options)
  const connection = await connect(clientOptions).catch((error: unknown) => {
    throw unreachable(error, url)
  })
  const { log = silentLog, inboxPrefix = '_INBOX' } = options
  return new NatsLink(connection, { log, url, inboxPrefix })
}
