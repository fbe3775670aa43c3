import { type Acknowledgement, type AckBody, type Announcement, refused } from '../../machines/domain/announcements.ts'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Order } from '../../machines/domain/messages.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import type { Numbered } from '../../machines/ports.ts'
import type { Answers } from './answers.ts'
import type { Observe } from '../observer.ts'
import type { Clock } from './clock.ts'
import { countAnswer, countEvent } from './counting.ts'
import type { Effect } from './world.ts'

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
  readonly observe?: Observe | undefined
}

/**
 * The only door out: announcements in order, and orders in order. An answer leaves before a process is started, which
 * takes a core for a millisecond; a process is started before anyone else is told anything.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #say: (said: Numbered) => void
  readonly #observe: Observe | undefined
  #toSay: Numbered[] = []
  #toOrder: Order[] = []
  #isLaterDue = false
  /** Answers go out in this turn: orders wait for them. */
  #isAnswering = false

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#say = options.say
    this.#observe = options.observe
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

  /** What never was journaled has no number. */
  #sayUnnumbered(announcement: Announcement): Numbered {
    const said = { id: '', at: this.#options.clock.now(), announcement }
    this.#say(said)
    return said
  }

  /** The acknowledgements so far, for a command that was sent again. */
  repeat(caller: Caller, acks: readonly AckBody[]): void {
    for (const body of acks) this.#sayUnnumbered({ type: 'ack', caller, body })
  }

  /** A command that was not written down; nothing is remembered of it. */
  refuse(caller: Caller, refusal: Refusal): void {
    const ack = refused(caller, refusal)
    const said = this.#turnAway(ack)
    this.#copy(ack, said, this.#options.answers.forget(caller.id))
  }

  /** A command with the id of another one: what was answered to that one stays. */
  refuseReused(caller: Caller): void {
    const reason = `message id ${caller.id} was used before for another command; give every command its own`
    this.#turnAway(refused(caller, { code: 'ID_REUSED', reason }))
  }

  /** What still waits is dropped. */
  stop(): void {
    this.#toSay = []
    this.#toOrder = []
  }

  #turnAway(ack: Acknowledgement): Numbered {
    if (this.#observe) countAnswer(this.#observe, ack.body)
    return this.#sayUnnumbered(ack)
  }

  #orderAll(): void {
    const orders = this.#toOrder
    this.#toOrder = []
    for (const order of orders) this.#options.carryOut(order)
  }

  #leave(said: Numbered): void {
    this.#say(said)
    const { announcement } = said
    if (this.#observe) this.#count(this.#observe, announcement)
    if (announcement.type === 'ack') this.#copy(announcement, said, this.#options.answers.note(announcement, said.at))
    if (
      announcement.type === 'event' &&
      announcement.topic === 'summaryState' &&
      announcement.body.summaryState === SUMMARY_STATE.OFFLINE
    )
      this.#options.onOffline()
  }

  #count(observe: Observe, announcement: Announcement): void {
    if (announcement.type === 'event') countEvent(observe, announcement)
    if (announcement.type !== 'ack') return
    const { caller, body } = announcement
    if (!this.#options.answers.isAnswered(caller.id)) countAnswer(observe, body)
  }

  #copy(ack: Acknowledgement, said: Numbered, replies: readonly string[]): void {
    for (const reply of replies) this.#say({ ...said, announcement: { ...ack, caller: { ...ack.caller, reply } } })
  }
}
