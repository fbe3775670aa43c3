/**
 * Questions over one connection: one answer, or many until the last one. Keeps the one subscription all answers come
 * in by, and who waits for which.
 */
import { createInbox, type Msg } from '@nats-io/transport-node'
import { checkSubject } from './checks.ts'
import { noResponders, requestError, sendError, timeout } from './nats-errors.ts'
import { closedError, type NatsLink } from './nats-link.ts'
import { toIncoming, withHeaders } from './nats-messages.ts'
import type { Incoming, RequestOptions } from './port.ts'

type ManyOptions = RequestOptions & { last: (answer: Incoming) => boolean }

/** Where answers come in and who hears them; null: no answer will come any more. */
interface Inbox {
  readonly root: string
  readonly waiting: Map<string, (answer: Msg | null) => void>
  asked: number
}

export class NatsRequests {
  readonly #link: NatsLink
  #inbox: Inbox | null = null

  constructor(link: NatsLink) {
    this.#link = link
  }

  async one(subject: string, body: string, { timeoutMs, headers }: RequestOptions): Promise<Incoming> {
    checkSubject(subject)
    this.#link.checkOpen()
    this.#link.sendAll()
    try {
      const options = { timeout: timeoutMs, ...withHeaders(headers) }
      return toIncoming(await this.#link.connection.request(subject, body, options))
    } catch (error) {
      throw requestError(this.#link, error, subject, timeoutMs)
    }
  }

  async *many(subject: string, body: string, options: ManyOptions): AsyncGenerator<Incoming> {
    checkSubject(subject)
    this.#link.checkOpen()
    const arrived: Msg[] = []
    let wake = nothing
    const { inbox, stop } = this.#answers(message => {
      if (message !== null) arrived.push(message)
      wake()
    })
    try {
      this.#ask(subject, body, inbox, options)
      for (;;) {
        if (arrived.length === 0 && !(await arrival())) throw timeout(this.#link, subject, options.timeoutMs)
        const message = arrived.shift()
        if (message === undefined) throw closedError(this.#link.url)
        if (message.headers?.code === 503 && message.data.length === 0) throw noResponders(this.#link, subject)
        const answer = toIncoming(message)
        yield answer
        if (options.last(answer)) return
      }
    } finally {
      stop()
    }

    /** The time is the silence allowed: it starts anew with every answer. */
    async function arrival(): Promise<boolean> {
      return await new Promise(resolve => {
        const timer = setTimeout(() => resolve(false), options.timeoutMs)
        wake = () => {
          clearTimeout(timer)
          resolve(true)
        }
      })
    }
  }

  #ask(subject: string, body: string, reply: string, { headers }: RequestOptions): void {
    this.#link.sendAll()
    try {
      this.#link.connection.publish(subject, body, { ...withHeaders(headers), reply })
    } catch (error) {
      throw sendError(this.#link, error, subject)
    }
  }

  /** One subscription for all: a new one for every question would cost the server more than the question. */
  #answers(hear: (answer: Msg | null) => void): { inbox: string; stop: () => void } {
    this.#inbox ??= this.#openInbox()
    const { root, waiting } = this.#inbox
    this.#inbox.asked += 1
    const inbox = `${root}.${this.#inbox.asked}`
    waiting.set(inbox, hear)
    return { inbox, stop: () => waiting.delete(inbox) }
  }

  #openInbox(): Inbox {
    const root = createInbox(this.#link.inboxPrefix)
    const waiting: Inbox['waiting'] = new Map()
    this.#link.connection.subscribe(`${root}.*`, {
      callback: (error, message) => {
        if (error === null) return waiting.get(message.subject)?.(message)
        // The server has ended it (permissions): no answer will come, and the next question makes another.
        this.#inbox = null
        for (const give of waiting.values()) give(null)
      },
    })
    return { root, waiting, asked: 0 }
  }
}

function nothing(): void {}
