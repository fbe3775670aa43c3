/**
 * One connection of an in-memory network: what it listens to, its plain messages and questions, and its close, which
 * ends all of them. What is kept is memory-streams.ts's.
 */
import { checkHeaders, checkPattern, checkSize, checkSubject, wireBytes } from './checks.ts'
import type { Listener, Network } from './memory-network.ts'
import type { Connection } from './memory-streams.ts'
import { BusError, type Headers, type Incoming, type RequestOptions, type Subscription } from './port.ts'

type ManyOptions = RequestOptions & { last: (answer: Incoming) => boolean }

export class MemoryConnection implements Connection {
  readonly name: string
  readonly #network: Network
  readonly #listeners = new Set<Listener>()
  readonly #closedHandlers = new Set<() => void>()
  readonly #statusHandlers = new Set<() => void>()
  #closed = false

  constructor(network: Network, name: string) {
    this.#network = network
    this.name = name
  }

  isClosed(): boolean {
    return this.#closed
  }

  onClosed(handler: () => void): void {
    this.#closedHandlers.add(handler)
  }

  onStatus(handler: (status: 'connected' | 'disconnected') => void): void {
    const tell = (): void => handler(this.#network.up && !this.#closed ? 'connected' : 'disconnected')
    this.#statusHandlers.add(tell)
    this.#network.statusHandlers.add(tell)
    tell()
  }

  /** Throws BusError CLOSED. */
  checkOpen(): void {
    if (this.#closed) throw new BusError('CLOSED', `The connection ${this.name} is closed.`)
  }

  subscribe(subject: string, handler: (message: Incoming) => void): Subscription {
    checkPattern(subject)
    this.checkOpen()
    const listener = this.#listen(subject, handler)
    return {
      stop: async () => {
        // After what was sent before, as the server does it.
        await new Promise<void>(resolve => this.#network.later(resolve))
        this.#forget(listener)
      },
    }
  }

  publish(subject: string, body: string, headers: Headers = {}): void {
    checkSubject(subject)
    this.checkOpen()
    this.#send({ subject, body, headers, reply: null })
  }

  async request(subject: string, body: string, options: RequestOptions): Promise<Incoming> {
    for await (const answer of this.requestMany(subject, body, { ...options, last: () => true })) return answer
    throw new Error('impossible: a request ended without an answer or an error')
  }

  async *requestMany(subject: string, body: string, { timeoutMs, headers = {}, last }: ManyOptions) {
    checkSubject(subject)
    this.checkOpen()
    const { clock } = this.#network
    const inbox = this.#network.newInbox()
    const arrived: Incoming[] = []
    let nobody = false
    let wake = nothing
    const listener = this.#listen(inbox, answer => {
      arrived.push(answer)
      wake()
    })
    try {
      this.#send({ subject, body, headers, reply: inbox }, by => {
        nobody = by === 0
        wake()
      })
      for (;;) {
        const answer = arrived.shift()
        if (answer !== undefined) {
          yield answer
          if (last(answer)) return
        } else if (nobody) {
          throw new BusError('NO_RESPONDERS', `Nobody answers on ${subject}; is the service running?`)
        } else if (this.#closed) {
          this.checkOpen()
        } else if (!(await arrival())) {
          throw new BusError('TIMEOUT', `No answer on ${subject} within ${timeoutMs} ms.`)
        }
      }
    } finally {
      this.#forget(listener)
    }

    /** The time is the silence allowed: it starts anew with every answer. */
    async function arrival(): Promise<boolean> {
      return await new Promise(resolve => {
        const cancel = clock.after(timeoutMs, () => resolve(false))
        wake = () => {
          cancel()
          resolve(true)
        }
      })
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await new Promise<void>(resolve => this.#network.later(resolve))
    for (const listener of this.#listeners) this.#forget(listener)
    for (const handler of this.#closedHandlers) handler()
    for (const tell of this.#statusHandlers) {
      this.#network.statusHandlers.delete(tell)
      tell()
    }
  }

  #listen(pattern: string, handler: (message: Incoming) => void): Listener {
    const listener = { pattern, handler, stopped: false }
    this.#network.listeners.add(listener)
    this.#listeners.add(listener)
    return listener
  }

  #forget(listener: Listener): void {
    listener.stopped = true
    this.#network.listeners.delete(listener)
    this.#listeners.delete(listener)
  }

  #send(
    sent: { subject: string; body: string; headers: Headers; reply: string | null },
    onHeard?: (by: number) => void,
  ): void {
    const { subject, body, headers, reply } = sent
    const network = this.#network
    checkHeaders(headers)
    checkSize(subject, wireBytes(body, headers), network.maxPayload)
    if (!network.up) return
    const message: Incoming = { subject, body: new TextEncoder().encode(body), headers: asReceived(headers), reply }
    network.later(() => {
      const id = message.headers['nats-msg-id'] ?? ''
      for (const stream of network.streams.values()) stream.keep(subject, body, id || null)
      for (const log of network.logs.values()) log.keep(subject, body, id)
      const heard = network.deliver(message)
      onHeard?.(heard)
    })
  }
}

function asReceived(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]))
}

function nothing(): void {}
