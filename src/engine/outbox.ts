import { type Acknowledgement, type AckBody, type Announcement, refused } from '../../machines/domain/announcements.ts'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Order } from '../../machines/domain/messages.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import type { Answers } from './answers.ts'
import type { Clock } from './clock.ts'
import type { Effect } from './world.ts'

/** An announcement on its way out: its number is its identity wherever it is heard. */
export interface Numbered {
  /** `<entry>.<place>`; empty for what never was journaled (refusals at the door). */
  readonly id: string
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly announcement: Announcement
}

export interface OutboxOptions {
  readonly answers: Answers
  readonly clock: Clock
  /** Carries an announcement away; never waits, never throws. */
  readonly say: (said: Numbered) => void
  readonly carryOut: (order: Order) => void
  /** The CSC went OFFLINE: the process is asked to end. */
  readonly onOffline: () => void
  /** Everything of this turn has left: time for work that nobody waits for. */
  readonly onIdle: () => void
}

/**
 * The only door out: announcements in order, and orders in order. An answer leaves before a process is started, which takes a core for a
 * millisecond; a process is started before anyone else is told anything.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #say: (said: Numbered) => void
  #toSay: Numbered[] = []
  #toOrder: Order[] = []
  #isLaterDue = false
  /** Answers go out in this turn: orders wait for them. */
  #isAnswering = false

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#say = options.say
  }

  /** What an entry led to. */
  take(effects: readonly Effect[]): void {
    let isAnswer = false
    for (const effect of effects) {
      if (effect.do === 'order') this.#toOrder.push(effect.order)
      else this.#toSay.push(effect)
      isAnswer ||= effect.do === 'announce' && effect.announcement.type === 'ack'
    }
    if (isAnswer || this.#toOrder.length === 0) this.sayAll()
    else if (!this.#isAnswering) this.#orderAll()
    this.#isAnswering ||= isAnswer
    // After the turn of the event loop in which the bus sends what was said in this one.
    if (!this.#isLaterDue) setImmediate(this.flush)
    this.#isLaterDue = true
  }

  /** Lets everything go that waits for something else. A field, so that handing it on makes nothing new. */
  readonly flush = (): void => {
    this.#isLaterDue = false
    this.#isAnswering = false
    this.#orderAll()
    this.sayAll()
    setImmediate(this.#options.onIdle)
  }

  sayAll(): void {
    const announcements = this.#toSay
    this.#toSay = []
    for (const said of announcements) this.#leave(said)
  }

  /** What never was journaled: it has no number. */
  sayUnnumbered(announcement: Announcement): Numbered {
    const said = { id: '', at: this.#options.clock.now(), announcement }
    this.#say(said)
    return said
  }

  /** The acknowledgements so far, for a command that was sent again. */
  repeat(caller: Caller, acks: readonly AckBody[]): void {
    for (const body of acks) this.sayUnnumbered({ type: 'ack', caller, body })
  }

  /** A command that was not written down; nothing is remembered of it. */
  refuse(caller: Caller, refusal: Refusal): void {
    const ack = refused(caller, refusal)
    const said = this.sayUnnumbered(ack)
    this.#copy(ack, said, this.#options.answers.forget(caller.id))
  }

  /** What still waits is dropped. */
  stop(): void {
    this.#toSay = []
    this.#toOrder = []
  }

  #orderAll(): void {
    const orders = this.#toOrder
    this.#toOrder = []
    for (const order of orders) this.#options.carryOut(order)
  }

  #leave(said: Numbered): void {
    this.#say(said)
    const { announcement } = said
    if (announcement.type === 'ack') this.#copy(announcement, said, this.#options.answers.note(announcement, said.at))
    if (
      announcement.type === 'event' &&
      announcement.topic === 'summaryState' &&
      announcement.body.summaryState === SUMMARY_STATE.OFFLINE
    )
      this.#options.onOffline()
  }

  #copy(ack: Acknowledgement, said: Numbered, replies: readonly string[]): void {
    for (const reply of replies) this.#say({ ...said, announcement: { ...ack, caller: { ...ack.caller, reply } } })
  }
}
