/**
 * Sends messages into a stream in order, many in flight, and keeps each until it is known to be stored. Where nobody
 * else writes to the stream, of those that leave together only the last asks the server to confirm it: its place in
 * the stream says whether those before it are there, too. After a reconnection or a silence everything unconfirmed is
 * sent again, in order, under the same ids; the server drops what it has. What a refusal means is left to the retained
 * publisher and the log.
 */
import { createInbox, type MsgHdrs } from '@nats-io/transport-node'
import { matches } from './checks.ts'
import type { Link } from './nats-link.ts'

export interface Item {
  readonly subject: string
  readonly body: string
  readonly id: string
  readonly headers: MsgHdrs
  /** Sent with a question and not answered yet; more than one after a resend. */
  copies: number
  stored: boolean
  /** As which it was sent first; 0: not yet. */
  number: number
}

export interface Refusal {
  /**
   * JetStream's error code, or 503 when nothing listens to the subject (JetStream is starting, off, or the stream is
   * gone).
   */
  readonly code: number
  readonly description: string
}

/** Its sequence number in the stream; and whether it was there before it came. */
export interface Stored {
  readonly place: number
  readonly isRepeat: boolean
}

export interface Policy<T extends Item> {
  /**
   * All subjects of the stream, where nobody but this connection writes to it as a rule: then not every message needs
   * to ask to be confirmed.
   */
  readonly ownSubjects: readonly string[]
  /** `answer` is the server's; null where it was concluded otherwise. */
  onStored(item: T, answer: Stored | null): void
  onRefused(item: T, refusal: Refusal): void
  /** Sent without asking, and somebody else has written meanwhile: it is not known whether they are stored. */
  onUnsure(items: readonly T[]): void
}

/** JetStream needs a moment after its server answers; asking more often only makes it busier. */
export const startingMs = 100

/** Enough to hide a round trip at tens of thousands per second, few enough to send again within a moment. */
const inFlightMax = 1024
const refillMin = 256

/**
 * An answer takes under a millisecond, a syncing disk may take seconds; a lost connection is noticed otherwise and at
 * once.
 */
const silenceMs = 2000
const silenceMsMax = 16_000

export class Window<T extends Item> {
  /** Sent, oldest first; stored ones are taken off the front. */
  inFlight: T[] = []
  /** Not yet sent, oldest first. */
  waiting: T[] = []
  readonly #link: Link
  readonly #policy: Policy<T>
  readonly #inbox: string
  readonly #tokens = new Map<string, T>()
  readonly #stopHearing: () => void
  #token = 0
  #closed = false
  #pumpQueued = false
  #retry: NodeJS.Timeout | null = null
  #silence: NodeJS.Timeout | null = null
  #silenceMs = silenceMs
  #answered = false
  /** The last one confirmed: where it is in the stream, and as which it was sent; 0: none since the server is back. */
  #confirmed = { place: 0, number: 0 }
  #sent = 0

  constructor(link: Link, stream: string, policy: Policy<T>) {
    this.#link = link
    this.#policy = policy
    this.#inbox = createInbox(link.inboxPrefix)
    link.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) return
        const answer = message.headers?.code === 503 ? notListening : answerIn(message.data, stream)
        if (answer !== null) this.#hear(message.subject.slice(this.#inbox.length + 1), answer)
      },
    })
    link.onPublished(subject => {
      if (policy.ownSubjects.some(pattern => matches(pattern, subject))) this.#sent += 1
    })
    this.#stopHearing = link.onBack(() => {
      this.#confirmed = { place: 0, number: 0 }
      // Copies sent over the old connection may never be answered.
      this.#forgetCopies()
      this.#sendAgain()
    })
  }

  get size(): number {
    return this.inFlight.length + this.waiting.length
  }

  push(item: T): void {
    this.waiting.push(item)
    // Not at once: publishing must never do the caller's turn harm, and one pump serves a burst.
    if (this.#pumpQueued) return
    this.#pumpQueued = true
    this.#link.soon(() => {
      this.#pumpQueued = false
      this.#pump()
    })
  }

  /** Everything unacknowledged goes out again after a moment; nothing new before it. */
  retryLater(milliseconds: number): void {
    if (this.#closed) return
    this.#retry ??= setTimeout(() => this.#sendAgain(), milliseconds)
  }

  /** Once more, asking. */
  sendAgain(item: T): void {
    if (!this.#closed && this.#link.connected() && !item.stored && item.copies === 0) this.#send(item, true)
  }

  /** Takes an item for stored although no answer said so. */
  markStored(item: T): void {
    this.#noteStored(item, null)
    this.#settleFront()
  }

  #noteStored(item: T, answer: Stored | null): void {
    item.stored = true
    this.#policy.onStored(item, answer)
  }

  /** Takes everything off, sent or not; later answers to it are ignored. */
  takeAll(): T[] {
    const all = [...this.inFlight.filter(item => !item.stored), ...this.waiting]
    this.inFlight = []
    this.waiting = []
    this.#tokens.clear()
    this.#watchSilence()
    return all
  }

  close(): void {
    this.#closed = true
    this.#stopHearing()
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#silence !== null) clearTimeout(this.#silence)
  }

  #pump(): void {
    if (this.#closed || this.#retry !== null || !this.#link.connected()) return
    const room = inFlightMax - this.inFlight.length
    // Taking few at a time off the front of a long queue would cost more than sending them.
    if (this.waiting.length === 0 || room < Math.min(refillMin, this.waiting.length)) return
    const leaving = this.waiting.splice(0, room)
    const asksAll = this.#policy.ownSubjects.length === 0 || this.#confirmed.number === 0
    for (const [at, item] of leaving.entries()) {
      this.#sent += 1
      item.number = this.#sent
      this.inFlight.push(item)
      this.#send(item, asksAll || at === leaving.length - 1)
    }
    this.#watchSilence()
  }

  #sendAgain(): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    if (this.#closed || !this.#link.connected()) return
    for (const item of this.inFlight) if (!item.stored) this.#send(item, true)
    this.#watchSilence()
    this.#pump()
  }

  #send(item: T, asks: boolean): void {
    if (!asks) return this.#link.connection.publish(item.subject, item.body, { headers: item.headers })
    this.#token += 1
    const token = this.#token.toString(36)
    this.#tokens.set(token, item)
    item.copies += 1
    this.#link.connection.publish(item.subject, item.body, { reply: `${this.#inbox}.${token}`, headers: item.headers })
  }

  #forgetCopies(): void {
    this.#tokens.clear()
    for (const item of this.inFlight) item.copies = 0
  }

  #hear(token: string, answer: Refusal | Stored): void {
    const item = this.#tokens.get(token)
    if (item === undefined) return
    this.#tokens.delete(token)
    this.#answered = true
    item.copies -= 1
    if (item.stored) return
    if ('place' in answer) this.#confirm(item, answer)
    // While a copy is unanswered it may still be stored; only the last answer decides.
    else if (item.copies === 0) this.#policy.onRefused(item, answer)
  }

  /**
   * Everything we send takes one place in the stream: what was sent since the last one confirmed is there if as many
   * places were taken.
   */
  #confirm(item: T, answer: Stored): void {
    const { place, isRepeat } = answer
    const { number } = this.#confirmed
    const areThere = !isRepeat && number > 0 && place - this.#confirmed.place === item.number - number
    const unsure: T[] = []
    for (const one of this.inFlight) {
      if (one === item) break
      if (one.stored || one.copies > 0) continue
      if (areThere && one.number > number) this.#noteStored(one, null)
      else unsure.push(one)
    }
    if (!isRepeat && item.number > number) this.#confirmed = { place, number: item.number }
    this.#noteStored(item, answer)
    this.#settleFront()
    if (unsure.length > 0) this.#policy.onUnsure(unsure)
  }

  #settleFront(): void {
    let settled = 0
    while (this.inFlight[settled]?.stored === true) settled += 1
    if (settled > 0) this.inFlight.splice(0, settled)
    this.#pump()
    if (this.inFlight.length === 0) this.#watchSilence()
  }

  #watchSilence(): void {
    if (this.inFlight.length === 0) {
      if (this.#silence !== null) clearTimeout(this.#silence)
      this.#silence = null
      this.#silenceMs = silenceMs
      return
    }
    if (this.#silence !== null || this.#closed) return
    this.#answered = false
    // After a freeze of our own the answers lie there unread: they are read before it is called silence.
    const timer = setTimeout(() => {
      setImmediate(() => {
        if (this.#silence === timer) this.#whenSilent()
      })
    }, this.#silenceMs)
    this.#silence = timer
  }

  #whenSilent(): void {
    this.#silence = null
    if (this.#answered || !this.#link.connected()) {
      this.#silenceMs = silenceMs
    } else {
      const facts = { unacknowledged: this.inFlight.length, silenceMs: this.#silenceMs }
      this.#link.log.warn(facts, `${this.#link.url} has not confirmed messages for a while; sending them again.`)
      if (this.#silenceMs === silenceMsMax) this.#forgetCopies()
      this.#silenceMs = Math.min(this.#silenceMs * 2, silenceMsMax)
      this.#sendAgain()
    }
    this.#watchSilence()
  }
}

const notListening: Refusal = {
  code: 503,
  description: 'nothing listens: JetStream is starting or off, or the stream is gone',
}

/** Null for what is not the stream's answer: any subscriber of the subject could have sent it. */
function answerIn(data: Uint8Array, stream: string): Refusal | Stored | null {
  const answer = parse(data)
  if (typeof answer !== 'object' || answer === null) return null
  if ('stream' in answer && answer.stream !== stream) return null
  if (!('error' in answer)) {
    if (!('stream' in answer && 'seq' in answer && typeof answer.seq === 'number')) return null
    return { place: answer.seq, isRepeat: 'duplicate' in answer && answer.duplicate === true }
  }
  const { error } = answer
  if (typeof error !== 'object' || error === null) return null
  const code = 'err_code' in error && typeof error.err_code === 'number' ? error.err_code : 0
  const description =
    'description' in error && typeof error.description === 'string' ? error.description : 'no reason given'
  return { code, description }
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  } catch {
    return null
  }
}
