/**
 * The bus over NATS (with the other nats-*.ts files the only place that imports the NATS client). Checks subjects, headers and sizes
 * before the client sees them, reconnects for ever, and turns the client's errors into BusErrors. What must survive a server's absence
 * goes through a retained stream or a log; plain publishing does not.
 */
import { readFile } from 'node:fs/promises'
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  createInbox,
  credsAuthenticator,
  headers as newHeaders,
  InvalidArgumentError,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nkeyAuthenticator,
  RequestError,
  type TlsOptions,
} from '@nats-io/transport-node'
import { checkHeaders, checkPattern, checkSize, checkSubject, wireBytes } from './checks.ts'
import { type Log as Logger, silentLog as silent } from '../log.ts'
import { takeLease } from './nats-lease.ts'
import { closedError, type Link } from './nats-link.ts'
import { openLog } from './nats-log.ts'
import { openRetained } from './nats-retained.ts'
import { openStreams, type Streams } from './nats-streams.ts'
import { type Bus, BusError, type Headers, type Incoming, type RequestOptions } from './port.ts'
import {
  credentialsIn,
  isLoopback,
  parseUrl,
  shownUrl as withoutCredentials,
  type UrlCredentials,
} from './serverUrl.ts'

export interface NatsOptions {
  /** `nats://host:port` or `tls://host:port`, also with `user:password@` or `token@`. */
  readonly url: string
  /** Further servers of the same cluster. */
  readonly otherUrls?: readonly string[]
  /** Shown by the server's own monitoring. */
  readonly name: string
  readonly credentials?: Credentials
  readonly tls?: {
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
    readonly handshakeFirst?: boolean
  }
  /** Where answers come in; a role with narrow permissions has its own. Default `_INBOX`. */
  readonly inboxPrefix?: string
  /** Wait for a server that is not there yet instead of failing. Default false. */
  readonly waitForServer?: boolean
  readonly onStatus?: (status: 'connected' | 'disconnected') => void
  readonly log?: Logger
}

export type Credentials = UrlCredentials | { readonly nkeySeed: string } | { readonly credsFile: string }

/** A server on the same network answers in milliseconds. */
const connectTimeoutMs = 5000

/** Short, so that little is lost, and harmless: one small packet. */
const reconnectWaitMs = 250

/** A half-open connection is noticed after two unanswered pings. */
const pingIntervalMs = 10_000
const pingsUnansweredMax = 2

/** How long stopping a subscription or closing waits for what the server has already sent. */
const drainMs = 2000

/** Throws BusError UNREACHABLE, naming the URL and what to do. */
export async function connectNats(options: NatsOptions): Promise<Bus> {
  const log = options.log ?? silent
  const { clientOptions, shownUrl } = await toClientOptions(options)
  let connection: NatsConnection
  try {
    connection = await connect(clientOptions)
  } catch (error) {
    throw unreachable(error, shownUrl)
  }

  let status: 'connected' | 'disconnected' = 'connected'
  let closing = false
  const statusHandlers = new Set<(status: 'connected' | 'disconnected') => void>()
  const backHandlers = new Set<() => void>()
  const publishedHandlers = new Set<(subject: string) => void>()
  const closingHandlers = new Set<() => Promise<void>>()
  const closedHandlers = new Set<() => void>()
  let facts = {
    url: shownUrl,
    version: connection.info?.version ?? 'unknown',
    maxPayload: connection.info?.max_payload ?? 0,
    isLoopbackOnly: listensOnLoopback(connection, shownUrl),
  }
  let streams: Promise<Streams> | null = null
  let later: (() => void)[] = []
  let askings: { root: string; waiting: Map<string, (answer: Msg | null) => void>; asked: number } | null = null

  const link: Link = {
    connection,
    log,
    url: shownUrl,
    inboxPrefix: options.inboxPrefix ?? '_INBOX',
    connected: () => status === 'connected' && !connection.isClosed() && !connection.isDraining(),
    soon,
    onPublished: handler => publishedHandlers.add(handler),
    onBack: handler => {
      backHandlers.add(handler)
      return () => backHandlers.delete(handler)
    },
    onClosing: handler => closingHandlers.add(handler),
    onClosed: handler => closedHandlers.add(handler),
  }

  if (options.onStatus !== undefined) statusHandlers.add(options.onStatus)
  options.onStatus?.(status)
  void watch()

  return {
    get server() {
      return facts
    },

    subscribe: (subject, handler) => {
      checkPattern(subject)
      checkOpen()
      sendAll()
      let stopped = false
      const subscription = connection.subscribe(subject, {
        callback: (error, message) => {
          if (stopped) return
          if (error !== null) log.error({ subject, error: error.message }, `The subscription to ${subject} failed.`)
          else guarded(subject, () => handler(toIncoming(message)))
        },
      })
      return {
        stop: async () => {
          sendAll()
          if (!stopped && link.connected() && !subscription.isClosed()) await within(drainMs, subscription.drain())
          stopped = true
          subscription.unsubscribe()
        },
      }
    },

    publish: (subject, body, headers) => {
      checkSubject(subject)
      checkOpen()
      const options = withHeaders(headers)
      checkSize(subject, wireBytes(body, headers), facts.maxPayload)
      soon(() => {
        // Closed meanwhile: what is published so late is lost like anything on its way.
        if (!connection.isClosed() && !connection.isDraining()) deliver(subject, body, options)
      })
    },

    request: async (subject, body, { timeoutMs, headers }) => {
      checkSubject(subject)
      checkOpen()
      sendAll()
      try {
        return toIncoming(await connection.request(subject, body, { timeout: timeoutMs, ...withHeaders(headers) }))
      } catch (error) {
        throw requestError(error, subject, timeoutMs)
      }
    },

    requestMany: (subject, body, many) => requestMany(subject, body, many),
    retained: async retained => await openRetained(link, await getStreams(), retained),
    log: async logOptions => await openLog(link, await getStreams(), logOptions),
    lease: async lease => await takeLease(link, await getStreams(), lease),

    onStatus: handler => {
      statusHandlers.add(handler)
      handler(status)
    },

    close: async () => {
      if (closing) return
      closing = true
      sendAll()
      if (link.connected()) await Promise.all([...closingHandlers].map(handler => handler()))
      sendAll()
      // Draining handles what the server has sent before it closes; without a server there is nothing to wait for.
      if (link.connected()) await within(drainMs, connection.drain())
      await connection.close()
      closed()
    },
  }

  async function watch(): Promise<void> {
    for await (const event of connection.status()) {
      switch (event.type) {
        case 'disconnect':
          setStatus('disconnected')
          log.warn({ url: shownUrl }, `The connection to ${shownUrl} was lost; trying to reconnect.`)
          break
        case 'reconnect':
          facts = {
            ...facts,
            version: connection.info?.version ?? facts.version,
            maxPayload: connection.info?.max_payload ?? facts.maxPayload,
          }
          log.info({ url: shownUrl, version: facts.version }, `Connected to ${shownUrl} again.`)
          setStatus('connected')
          for (const handler of backHandlers) handler()
          break
        case 'error':
          log.error(
            { url: shownUrl, error: event.error.message },
            `The NATS server at ${shownUrl} reported: ${event.error.message}`,
          )
          break
        case 'slowConsumer':
        case 'staleConnection':
          log.warn({ url: shownUrl, type: event.type }, `The connection to ${shownUrl} is too slow: ${event.type}.`)
          break
        // Steps on the way to one of the above, or ours.
        case 'reconnecting':
        case 'forceReconnect':
        case 'update':
        case 'ldm':
        case 'ping':
        case 'close':
          break
      }
    }
    if (!closing) {
      const reason = await connection.closed()
      const because = reason instanceof Error ? reason.message : 'no reason given'
      log.error({ url: shownUrl, reason: because }, `The connection to ${shownUrl} was closed for good: ${because}.`)
      closed()
    }
  }

  function setStatus(next: 'connected' | 'disconnected'): void {
    if (status === next) return
    status = next
    for (const handler of statusHandlers) handler(next)
  }

  function closed(): void {
    setStatus('disconnected')
    for (const handler of closedHandlers) handler()
    closedHandlers.clear()
  }

  function checkOpen(): void {
    if (closing || connection.isClosed()) throw closedError(shownUrl)
  }

  async function getStreams(): Promise<Streams> {
    checkOpen()
    streams ??= openStreams(link)
    return await streams.catch((error: unknown) => {
      streams = null
      throw error
    })
  }

  /** A server that came back may take less than the one before did. What else waits to be sent must not be lost with one message. */
  function deliver(subject: string, body: string, options: { headers?: MsgHdrs }): void {
    try {
      connection.publish(subject, body, options)
      for (const handler of publishedHandlers) handler(subject)
    } catch (error) {
      const problem = sendError(error, subject).message
      log.error({ subject, problem }, `A message was not published: ${problem}`)
    }
  }

  function soon(work: () => void): void {
    if (later.length === 0) setImmediate(sendAll)
    later.push(work)
  }

  /** Also before whatever else is said to the server, which must not overtake it. */
  function sendAll(): void {
    const all = later
    later = []
    for (const work of all) work()
  }

  async function* requestMany(
    subject: string,
    body: string,
    { timeoutMs, headers, last }: RequestOptions & { last: (answer: Incoming) => boolean },
  ): AsyncGenerator<Incoming> {
    checkSubject(subject)
    checkOpen()
    const arrived: Msg[] = []
    let wake = nothing
    const { inbox, stop } = answersTo(message => {
      if (message !== null) arrived.push(message)
      wake()
    })
    try {
      sendAll()
      try {
        connection.publish(subject, body, { ...withHeaders(headers), reply: inbox })
      } catch (error) {
        throw sendError(error, subject)
      }
      for (;;) {
        if (arrived.length === 0 && !(await arrival())) throw timeout(subject, timeoutMs)
        const message = arrived.shift()
        if (message === undefined) throw closedError(shownUrl)
        if (message.headers?.code === 503 && message.data.length === 0) throw noResponders(subject)
        const answer = toIncoming(message)
        yield answer
        if (last(answer)) return
      }
    } finally {
      stop()
    }

    /** The time is the silence allowed: it starts anew with every answer. */
    async function arrival(): Promise<boolean> {
      return await new Promise(resolve => {
        const timer = setTimeout(() => resolve(false), timeoutMs)
        wake = () => {
          clearTimeout(timer)
          resolve(true)
        }
      })
    }
  }

  /**
   * One subscription for all: a new one for every question would cost the server more than the question. null: the server has ended it (permissions), so no
   * answer will come, and the next question makes another.
   */
  function answersTo(hear: (answer: Msg | null) => void): { inbox: string; stop: () => void } {
    if (askings === null) {
      const root = createInbox(link.inboxPrefix)
      const waiting = new Map<string, (answer: Msg | null) => void>()
      connection.subscribe(`${root}.*`, {
        callback: (error, message) => {
          if (error === null) return waiting.get(message.subject)?.(message)
          askings = null
          for (const give of waiting.values()) give(null)
        },
      })
      askings = { root, waiting, asked: 0 }
    }
    const { root, waiting } = askings
    askings.asked += 1
    const inbox = `${root}.${askings.asked}`
    waiting.set(inbox, hear)
    return { inbox, stop: () => waiting.delete(inbox) }
  }

  function guarded(subject: string, handle: () => void): void {
    try {
      handle()
    } catch (error) {
      log.error(
        { subject, error: error instanceof Error ? error.stack : String(error) },
        `A handler of ${subject} threw.`,
      )
    }
  }

  function sendError(error: unknown, subject: string): Error {
    if (error instanceof InvalidArgumentError) {
      return new BusError(
        'TOO_LARGE',
        `The message for ${subject} is larger than the ${facts.maxPayload} bytes ${shownUrl} takes.`,
      )
    }
    if (connection.isClosed() || connection.isDraining()) return closedError(shownUrl)
    return error instanceof Error ? error : new Error(String(error))
  }

  function requestError(error: unknown, subject: string, timeoutMs: number): Error {
    if (error instanceof BusError) return error
    if (error instanceof RequestError && error.isNoResponders()) return noResponders(subject)
    if (error instanceof Error && error.name === 'TimeoutError') return timeout(subject, timeoutMs)
    return sendError(error, subject)
  }

  function noResponders(subject: string): BusError {
    return new BusError('NO_RESPONDERS', `Nobody answers on ${subject} at ${shownUrl}; is the service running?`)
  }

  function timeout(subject: string, timeoutMs: number): BusError {
    const why = link.connected() ? '' : ` The connection to ${shownUrl} is down.`
    return new BusError('TIMEOUT', `No answer on ${subject} within ${timeoutMs} ms.${why}`)
  }
}

const noHeaders: Headers = Object.freeze({})

function toIncoming(message: Msg): Incoming {
  return {
    subject: message.subject,
    body: message.data,
    headers: message.headers === undefined ? noHeaders : fromHeaders(message.headers),
    reply: message.reply === undefined || message.reply === '' ? null : message.reply,
  }
}

function fromHeaders(lines: MsgHdrs): Headers {
  const headers: Record<string, string> = {}
  for (const [name, values] of lines) headers[name.toLowerCase()] ??= values[0] ?? ''
  return headers
}

function withHeaders(headers: Headers | undefined): { headers?: MsgHdrs } {
  if (headers === undefined) return {}
  checkHeaders(headers)
  const lines = newHeaders()
  for (const [name, value] of Object.entries(headers)) lines.set(name, value)
  return { headers: lines }
}

async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}

async function toClientOptions(options: NatsOptions): Promise<{ clientOptions: ConnectionOptions; shownUrl: string }> {
  const url = parseUrl(options.url)
  const clientOptions: ConnectionOptions = {
    servers: [options.url, ...(options.otherUrls ?? [])].map(one => parseUrl(one).host),
    name: options.name,
    timeout: connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectWaitMs,
    pingInterval: pingIntervalMs,
    maxPingOut: pingsUnansweredMax,
    waitOnFirstConnect: options.waitForServer ?? false,
    // A password changed on the server must not end a night; every refused attempt is logged.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...(options.tls !== undefined || url.protocol === 'tls:' ? { tls: tlsOptions(options.tls) } : {}),
    ...(await authentication(options.credentials ?? credentialsIn(url))),
  }
  return { clientOptions, shownUrl: withoutCredentials(options.url) }
}

function tlsOptions(files: NatsOptions['tls'] = {}): TlsOptions {
  return { ...files }
}

async function authentication(credentials: Credentials | undefined): Promise<Partial<ConnectionOptions>> {
  if (credentials === undefined) return {}
  if ('user' in credentials) return { user: credentials.user, pass: credentials.password }
  if ('token' in credentials) return { token: credentials.token }
  if ('nkeySeed' in credentials) return { authenticator: nkeyAuthenticator(Buffer.from(credentials.nkeySeed)) }
  return { authenticator: credsAuthenticator(await readFile(credentials.credsFile)) }
}

function unreachable(error: unknown, url: string): BusError {
  const because = error instanceof Error ? error.message : String(error)
  if (error instanceof AuthorizationError) {
    return new BusError(
      'UNREACHABLE',
      `The NATS server at ${url} refused the credentials (${because}); check user, token or key file.`,
    )
  }
  return new BusError(
    'UNREACHABLE',
    `No NATS server answers at ${url} (${because}). Start one there, correct NATS_URL, or leave it unset and OCPS starts its own.`,
  )
}

/** What the server says it listens on; asked for at another address it is reached there, whatever it says. */
function listensOnLoopback({ info }: NatsConnection, url: string): boolean {
  return isLoopback(info?.host ?? '') && isLoopback(new URL(url).hostname)
}

function nothing(): void {}
