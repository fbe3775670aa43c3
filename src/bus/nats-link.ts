/**
 * One connection to a NATS server and what happens to it: whether the server is there, what it is, what is sent at the
 * end of a turn, and the way to the close. Says when the server came back, so that whoever has something
 * unacknowledged can send it again; leaves what to send to them.
 */
import type { NatsConnection, Status } from '@nats-io/transport-node'
import type { Log as Logger } from '../log.ts'
import { BusError, type ServerFacts } from './port.ts'
import { isLoopback } from './serverUrl.ts'

/** What the parts of the adapter share. */
export interface Link {
  readonly connection: NatsConnection
  readonly log: Logger
  /** Without credentials, for messages to people. */
  readonly url: string
  readonly inboxPrefix: string
  connected(): boolean
  /**
   * Done in order at the end of this turn of the event loop: what many callbacks of one turn send leaves in one write.
   */
  soon(work: () => void): void
  /** Each message as it leaves that was published plainly, outside of any stream's own publishing. */
  onPublished(handler: (subject: string) => void): void
  /** Every time the server is back after being away. Returns how to stop hearing it. */
  onBack(handler: () => void): () => void
  /** Work to do before the connection closes, such as sending what waits. Bounded by the caller of close. */
  onClosing(handler: () => Promise<void>): void
  /** Called when the connection is gone for good. */
  onClosed(handler: () => void): void
}

type LinkStatus = 'connected' | 'disconnected'

/** How long stopping a subscription or closing waits for what the server has already sent. */
const drainMs = 2000

export class NatsLink implements Link {
  readonly connection: NatsConnection
  readonly log: Logger
  readonly url: string
  readonly inboxPrefix: string
  #server: ServerFacts
  #status: LinkStatus = 'connected'
  #closing = false
  /** What is sent at the end of this turn. */
  #later: (() => void)[] = []
  readonly #statusHandlers = new Set<(status: LinkStatus) => void>()
  readonly #publishedHandlers = new Set<(subject: string) => void>()
  readonly #backHandlers = new Set<() => void>()
  readonly #closingHandlers = new Set<() => Promise<void>>()
  readonly #closedHandlers = new Set<() => void>()

  constructor(connection: NatsConnection, { log, url, inboxPrefix }: Pick<Link, 'log' | 'url' | 'inboxPrefix'>) {
    this.connection = connection
    this.log = log
    this.url = url
    this.inboxPrefix = inboxPrefix
    this.#server = {
      url,
      version: connection.info?.version ?? 'unknown',
      maxPayload: connection.info?.max_payload ?? 0,
      isLoopbackOnly: listensOnLoopback(connection, url),
    }
    void this.#watch()
  }

  get server(): ServerFacts {
    return this.#server
  }

  connected(): boolean {
    return this.#status === 'connected' && !this.isEnding()
  }

  /** Nothing can be sent any more. */
  isEnding(): boolean {
    return this.connection.isClosed() || this.connection.isDraining()
  }

  /** Throws BusError CLOSED. */
  checkOpen(): void {
    if (this.#closing || this.connection.isClosed()) throw closedError(this.url)
  }

  soon(work: () => void): void {
    if (this.#later.length === 0) setImmediate(() => this.sendAll())
    this.#later.push(work)
  }

  /** Also before whatever else is said to the server, which must not overtake it. */
  sendAll(): void {
    const all = this.#later
    this.#later = []
    for (const work of all) work()
  }

  /** Waits for what the server has already sent to a subscription or to all of them; not for ever. */
  async drained(what: { drain(): Promise<void> }): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, drainMs)
    })
    await Promise.race([what.drain().catch(() => {}), late])
    clearTimeout(timer)
  }

  published(subject: string): void {
    for (const handler of this.#publishedHandlers) handler(subject)
  }

  /** Called at once with the present state. */
  onStatus(handler: (status: LinkStatus) => void): void {
    this.#statusHandlers.add(handler)
    handler(this.#status)
  }

  onPublished(handler: (subject: string) => void): void {
    this.#publishedHandlers.add(handler)
  }

  onBack(handler: () => void): () => void {
    this.#backHandlers.add(handler)
    return () => this.#backHandlers.delete(handler)
  }

  onClosing(handler: () => Promise<void>): void {
    this.#closingHandlers.add(handler)
  }

  onClosed(handler: () => void): void {
    this.#closedHandlers.add(handler)
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.sendAll()
    if (this.connected()) await Promise.all([...this.#closingHandlers].map(handler => handler()))
    this.sendAll()
    // Draining handles what the server has sent before it closes; without a server there is nothing to wait for.
    if (this.connected()) await this.drained(this.connection)
    await this.connection.close()
    this.#closed()
  }

  async #watch(): Promise<void> {
    for await (const event of this.connection.status()) this.#hear(event)
    if (this.#closing) return
    const reason = await this.connection.closed()
    const because = reason instanceof Error ? reason.message : 'no reason given'
    this.log.error({ url: this.url, reason: because }, `The connection to ${this.url} was closed for good: ${because}.`)
    this.#closed()
  }

  #hear(event: Status): void {
    const { log, url } = this
    switch (event.type) {
      case 'disconnect':
        this.#setStatus('disconnected')
        log.warn({ url }, `The connection to ${url} was lost; trying to reconnect.`)
        break
      case 'reconnect':
        this.#server = {
          ...this.#server,
          version: this.connection.info?.version ?? this.#server.version,
          maxPayload: this.connection.info?.max_payload ?? this.#server.maxPayload,
        }
        log.info({ url, version: this.#server.version }, `Connected to ${url} again.`)
        this.#setStatus('connected')
        for (const handler of this.#backHandlers) handler()
        break
      case 'error':
        log.error({ url, error: event.error.message }, `The NATS server at ${url} reported: ${event.error.message}`)
        break
      case 'slowConsumer':
      case 'staleConnection':
        log.warn({ url, type: event.type }, `The connection to ${url} is too slow: ${event.type}.`)
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

  #setStatus(next: LinkStatus): void {
    if (this.#status === next) return
    this.#status = next
    for (const handler of this.#statusHandlers) handler(next)
  }

  #closed(): void {
    this.#setStatus('disconnected')
    for (const handler of this.#closedHandlers) handler()
    this.#closedHandlers.clear()
  }
}

export function closedError(url: string): BusError {
  return new BusError('CLOSED', `The connection to ${url} is closed.`)
}

/** What the server says it listens on; asked for at another address it is reached there, whatever it says. */
function listensOnLoopback({ info }: NatsConnection, url: string): boolean {
  return isLoopback(info?.host ?? '') && isLoopback(new URL(url).hostname)
}
