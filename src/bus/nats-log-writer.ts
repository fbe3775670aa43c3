import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { checkSize, wireBytes } from './checks.ts'
import { closedError } from './nats-link.ts'
import { newestWritten, type Where, toMessage } from './nats-log-search.ts'
import { isGone, lastOf, readStream, stateOf } from './nats-streams.ts'
import { type Item, type Refusal, startingMs, type Stored, Window } from './nats-window.ts'
import { BusError, type Log, type LogMessage } from './port.ts'

/**
 * Appends to a log, one message on its way at a time. It keeps the newest place it knows of, what waits behind the
 * message under way, and whether it may write at all; whatever it is not sure of it asks the stream.
 */
interface Append extends Item {
  readonly after: string
  /** The place it expects to be the newest. */
  expected: number
  /** How often it was refused for its place although no other writer had come in between. */
  refusals: number
  resolve(): void
  reject(error: Error): void
}

/** 2.9 and later name it so for an expected sequence; 10070, the expected id, is no longer asked for. */
const wrongLastSequence = 10071

/**
 * Each time somebody who is no writer came in between, or, on a cluster that changes its leader, nobody: so often is
 * more than any accident.
 */
const refusalsMax = 200

/** The server that starts is asked ten times a second; that it still does not answer is worth a line now and then. */
const complainEveryMs = 30_000

interface Subjects {
  readonly subject: string
  readonly markSubject: string
}

export class LogWriter {
  readonly #place: Where
  readonly #subject: string
  readonly #markSubject: string
  readonly #window: Window<Append>
  /** The newest written message and the newest place of the stream; null: to be asked. */
  #position: { id: string; sequence: number } | null = null
  #current: Append | null = null
  #waiting: Append[] = []
  #closed = false
  #complained = Number.NEGATIVE_INFINITY

  constructor(place: Where, { subject, markSubject }: Subjects) {
    this.#place = place
    this.#subject = subject
    this.#markSubject = markSubject
    const { link, name } = place
    this.#window = new Window<Append>(link, name, {
      ownSubjects: [],
      onStored: (item, answer) => void this.#whenStored(item, answer),
      onRefused: (item, refusal) => void this.#whenRefused(item, refusal),
      // Every append asks.
      onUnsure: () => {},
    })
    link.onClosed(() => {
      this.#closed = true
      this.#window.close()
      this.#window.takeAll()
      this.#rejectAll(closedError(link.url))
    })
  }

  /** What was found to be the newest. While something is on its way it may be older than what is known. */
  note(newest: { id: string; sequence: number }): void {
    if (this.#current === null) this.#position ??= newest
  }

  forget(): void {
    this.#position = null
  }

  async append({ body, id, after, isMark = false }: Parameters<Log['append']>[0]): Promise<void> {
    if (this.#closed) throw closedError(this.#place.link.url)
    const lines = headers()
    lines.set('Nats-Msg-Id', id)
    expect(lines, Number.MAX_SAFE_INTEGER)
    const bytes = wireBytes(body, Object.fromEntries([...lines].map(([key, values]) => [key, values.join()])))
    checkSize(this.#subject, bytes, this.#place.link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY)
    const subject = isMark ? this.#markSubject : this.#subject
    const item = { subject, body, id, after, headers: lines, expected: 0, refusals: 0, copies: 0, stored: false }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ ...item, number: 0, resolve, reject })
      this.#next()
    })
  }

  #next(): void {
    if (this.#current !== null) return
    this.#current = this.#waiting.shift() ?? null
    if (this.#current === null) return
    if (this.#position?.id === this.#current.after) this.#send(this.#current, this.#position.sequence)
    else void this.#locate(this.#current)
  }

  #send(item: Append, expected: number): void {
    item.expected = expected
    expect(item.headers, expected)
    this.#window.push(item)
  }

  /** It does not follow what we know to be the newest: that may be because we know too little. */
  async #locate(item: Append): Promise<void> {
    const newest = await this.#whenAnswered(() => newestWritten(this.#place))
    if (newest === null || this.#current !== item) return
    this.#position = { id: newest.message?.id ?? '', sequence: newest.last }
    if (this.#position.id === item.id) this.#finish(item, this.#position)
    else if (this.#position.id === item.after) this.#send(item, this.#position.sequence)
    else this.#overtaken(item, this.#position.id)
  }

  async #whenStored(item: Append, answer: Stored | null): Promise<void> {
    // Concluded by ourselves, from what the stream holds: whoever did has noted the place, too.
    if (answer === null || this.#current !== item) return
    if (answer.isRepeat) {
      const kept = await this.#whenAnswered(() =>
        lastOf(this.#place.link, this.#place.streams, this.#place.name, { seq: answer.place }),
      )
      if (this.#current !== item) return
      if (kept !== null && (kept.id !== item.id || Buffer.from(kept.body).toString() !== item.body)) {
        return this.#impersonated(item, answer.place)
      }
    }
    this.#finish(item, { id: item.id, sequence: answer.place })
  }

  #finish(item: Append, at: { id: string; sequence: number }): void {
    this.#position = at
    this.#current = null
    item.resolve()
    this.#next()
  }

  async #whenRefused(item: Append, refusal: Refusal): Promise<void> {
    if (this.#current !== item) return
    if (refusal.code === 503) {
      const gone = await this.#whenAnswered(() => isGone(this.#place.streams, this.#place.name))
      if (this.#current !== item || gone === null) return
      if (gone) return this.#broken('the stream is gone; someone removed it while it was written')
      this.#complain(refusal.description)
      this.#window.retryLater(startingMs)
    } else if (refusal.code === wrongLastSequence) {
      await this.#whenOutOfPlace(item, refusal)
    } else {
      this.#refuseAll(
        `The NATS server at ${this.#place.link.url} could not store in ${this.#place.name}: ${refusal.description}; nothing was written.`,
      )
    }
  }

  /** The newest place is not the one expected. What came in between says whose it is. */
  async #whenOutOfPlace(item: Append, refusal: Refusal): Promise<void> {
    const between = await this.#whenAnswered(async () => {
      const { last } = await stateOf(this.#place.link, this.#place.streams, this.#place.name)
      const messages: LogMessage[] = []
      if (last > item.expected)
        for await (const kept of readStream(this.#place.link, this.#place.streams, this.#place.name, {
          from: item.expected + 1,
          headersOnly: false,
        }))
          messages.push(toMessage(kept))
      return { last: Math.max(last, messages.at(-1)?.sequence ?? 0), messages }
    })
    if (between === null || this.#current !== item) return
    const { last, messages } = between
    const own = messages.find(message => message.id === item.id && message.body === item.body)
    if (own !== undefined) {
      // Only its confirmation was lost. Who came after it is seen at the next append.
      this.#finish(item, { id: item.id, sequence: own.sequence })
      this.#window.markStored(item)
      return
    }
    const other = messages.find(this.#place.isWritten)
    // As whenStored finds it on a server that compares ids before places: 2.9.10 does, 2.15.1 does not.
    if (other?.id === item.id) return this.#impersonated(item, other.sequence)
    if (other !== undefined) return this.#overtaken(item, other.id)
    if (last < item.expected)
      return this.#broken(
        `it ends with message ${last}, and message ${item.expected} was confirmed; an older copy was put back`,
      )
    if (messages.length < last - item.expected)
      return this.#broken(`messages ${item.expected + 1} to ${last} came in between and cannot be read`)
    item.refusals += 1
    if (item.refusals >= refusalsMax) {
      const why =
        messages.length > 0 ? 'others publish on its subjects faster than it can be written' : 'no reason is seen'
      return this.#refuseAll(
        `The NATS server at ${this.#place.link.url} refused to store in ${this.#place.name} ${refusalsMax} times: ${why}; nothing was written.`,
      )
    }
    // Behind a damaged file a server may count further than it can read; what it compares with is what it says.
    const counted = messages.length === 0 ? Number(/sequence: (\d+)/.exec(refusal.description)?.[1] ?? last) : last
    item.expected = last
    expect(item.headers, counted)
    this.#window.retryLater(messages.length > 0 ? 0 : startingMs)
  }

  #overtaken(item: Append, newest: string): void {
    const found = newest === '' ? 'empty' : `at ${newest}`
    this.#rejectAll(
      new BusError(
        'FENCED',
        `Another writer has taken over ${this.#place.name} at ${this.#place.link.url}: it is ${found}, expected ${item.after || 'empty'}.`,
      ),
    )
  }

  /** Nobody but we gives out this id. */
  #impersonated(item: Append, sequence: number): void {
    this.#broken(`message ${sequence} has the id ${item.id} of ours, and another wrote it`)
  }

  #broken(why: string): void {
    this.#rejectAll(
      new BusError(
        'BROKEN',
        `The stream ${this.#place.name} at ${this.#place.link.url} cannot be written any more: ${why}.`,
      ),
    )
  }

  #refuseAll(sentence: string): void {
    this.#rejectAll(new BusError('FULL', sentence))
  }

  #rejectAll(error: Error): void {
    this.#window.takeAll()
    const all = this.#current === null ? this.#waiting : [this.#current, ...this.#waiting]
    this.#current = null
    this.#waiting = []
    // What was written meanwhile, and by whom, is to be asked.
    this.#position = null
    for (const item of all) item.reject(error)
  }

  /** Asks until there is an answer; null: this.#closed meanwhile. */
  async #whenAnswered<T>(ask: () => Promise<T>): Promise<T | null> {
    for (;;) {
      if (this.#closed) return null
      try {
        return await ask()
      } catch (error) {
        if (!this.#closed) this.#complain(error instanceof Error ? error.message : String(error))
      }
      await new Promise(resolve => setTimeout(resolve, startingMs))
    }
  }

  #complain(why: string): void {
    if (performance.now() - this.#complained < complainEveryMs) return
    this.#complained = performance.now()
    this.#place.link.log.warn(
      { stream: name },
      `${this.#place.link.url} does not take what is to be written to ${this.#place.name}: ${why}; trying again.`,
    )
  }
}

function expect(lines: MsgHdrs, last: number): void {
  lines.set('Nats-Expected-Last-Sequence', String(last))
}
