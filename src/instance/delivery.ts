import type { Numbered, Sink } from '../../machines/ports.ts'
import { before, isAfter } from '../engine/announcementIds.ts'
import type { Clock } from '../engine/clock.ts'
import type { Log } from '../log.ts'

/**
 * Carries announcements to one sink: in order, at least once, and without ever making anyone else wait. A sink that
 * fails or is too slow falls behind: it is left alone for a while, then brought what follows its cursor from the
 * journal until it has caught up.
 */
export interface DeliveryOptions {
  readonly name: string
  readonly sink: Sink
  /** What the journal leads to after this announcement, up to its end at the call. */
  readonly replay: (after: string) => AsyncIterable<Numbered>
  /** Only the active process tells anybody anything. */
  readonly whenSure: (act: () => void) => void
  readonly clock: Pick<Clock, 'elapsed' | 'wake'>
  readonly log: Log
}

/**
 * Announcements that wait for a sink: about ten seconds of full load. One that is slower reads them from the journal
 * instead.
 */
export const WAITING_MAX = 10_000
// A sink that fails is tried again after a second, then ever more rarely, but at least once a minute.
const AGAIN_MS = 1_000
const AGAIN_MAX_MS = 60_000

export class Delivery {
  readonly name: string
  readonly sink: Sink
  readonly #options: DeliveryOptions
  #waiting: Numbered[] = []
  #handing: Promise<void> | null = null
  /**
   * live: it hears what is said. reading: from the journal, and what is said meanwhile waits. resting: it failed, what
   * is said is in the journal.
   */
  #state: 'live' | 'reading' | 'resting' | 'closed' = 'live'
  #taken: string | null = null
  #unwake = () => {}

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.name = options.name
    this.sink = options.sink
  }

  /** It has taken all up to here; what comes again is passed over. */
  goOnBehind(cursor: string): void {
    this.#taken = cursor
  }

  /** It missed something before: until it has been brought that, from `begin` on, it hears nothing else. */
  wasAway(): void {
    this.#state = 'resting'
  }

  begin(): void {
    if (this.#state === 'resting') this.#leave('was away')
  }

  get isBehind(): boolean {
    return this.#state === 'reading' || this.#state === 'resting'
  }

  say(said: Numbered): void {
    if (this.#state === 'closed' || this.#state === 'resting') return
    if (this.#state === 'live' && this.#handing === null) return this.#handNow(said)
    if (this.#waiting.length < WAITING_MAX) return void this.#waiting.push(said)
    this.#waiting = []
    if (this.#state === 'live') this.#fallBehind(`is more than ${WAITING_MAX} announcements late`)
    // What waited while it read is in the journal: it reads on.
    else this.#state = 'resting'
  }

  /** Brings it what follows its cursor, however long that takes. */
  #fallBehind(why: string): void {
    if (this.#state === 'closed' || this.isBehind) return
    this.#leave(why)
  }

  /** Resolves when all that was said so far has been taken for good; at once while it is behind. */
  async flushed(): Promise<void> {
    if (this.isBehind) return
    await this.#handing
    if (!this.isBehind) await this.sink.flushed()
  }

  close(): void {
    this.#state = 'closed'
    this.#waiting = []
    this.#unwake()
  }

  #leave(why: string): void {
    this.#state = 'resting'
    this.#waiting = []
    this.#options.log.warn(
      { sink: this.name, taken: this.#taken },
      `the sink ${this.name} ${why}; it catches up from the journal`,
    )
    void this.#catchUp()
  }

  /** In the turn in which it is said, where nothing waits: who asked is answered at once. */
  #handNow(said: Numbered): void {
    if (this.#isKnown(said)) return
    try {
      const taking = this.sink.say(said)
      if (taking === undefined) this.#note(said)
      else this.#handing = this.#handOn(said, taking)
    } catch (error) {
      this.#fail(said, error)
    }
  }

  async #handOn(said: Numbered, taking: Promise<void>): Promise<void> {
    let present = said
    try {
      await taking
      this.#note(present)
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        present = next
        await this.#hand(next)
      }
      this.#handing = null
    } catch (error) {
      this.#handing = null
      this.#fail(present, error)
    }
  }

  async #hand(said: Numbered): Promise<void> {
    if (this.#isKnown(said)) return
    await new Promise<void>(resolve => this.#options.whenSure(resolve))
    if (this.#state === 'closed') return
    await this.sink.say(said)
    this.#note(said)
  }

  #isKnown({ id }: Numbered): boolean {
    return id !== '' && this.#taken !== null && !isAfter(id, this.#taken) && !this.#isCopyOf(id)
  }

  /** The same answer for another copy of a command leaves under the same id. */
  #isCopyOf(id: string): boolean {
    return this.#state === 'live' && id === this.#taken
  }

  #note({ id }: Numbered): void {
    if (id !== '') this.#taken = id
  }

  #fail({ id }: Numbered, error: unknown): void {
    // The first one it ever heard: behind what came before that one.
    if (id !== '') this.#taken ??= before(id)
    this.#fallBehind(`failed: ${sentence(error)}`)
  }

  async #catchUp(): Promise<void> {
    await this.#handing
    for (let restMs = AGAIN_MS; this.#state !== 'closed'; restMs = Math.min(2 * restMs, AGAIN_MAX_MS)) {
      try {
        if (await this.#read()) return
        restMs = AGAIN_MS
      } catch (error) {
        if (this.#isClosed()) return
        this.#state = 'resting'
        this.#options.log.warn(
          { sink: this.name, taken: this.#taken, restMs },
          `the sink ${this.name} is still behind: ${sentence(error)}`,
        )
      }
      await this.#rest(restMs)
    }
  }

  #rest(ms: number): Promise<void> {
    const { clock } = this.#options
    return new Promise(resolve => {
      this.#unwake = clock.wake(clock.elapsed() + ms, resolve)
    })
  }

  /** True when it is live again. */
  async #read(): Promise<boolean> {
    const cursor = (await this.#cursor()) ?? this.#taken
    if (this.#isClosed()) return true
    this.#state = 'reading'
    this.#waiting = []
    this.#taken = cursor
    if (cursor !== null)
      for await (const said of this.#options.replay(cursor)) {
        if (this.#isClosed()) return true
        await this.#hand(said)
      }
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#hand(next)
    if (this.#state !== 'reading') return this.#isClosed()
    this.#state = 'live'
    this.#options.log.info({ sink: this.name, taken: this.#taken }, `the sink ${this.name} has caught up`)
    return true
  }

  /** What it has for good; one that tells what is unconfirmed keeps that itself. */
  async #cursor(): Promise<string | null> {
    return this.sink.unconfirmed ? this.#taken : await this.sink.cursor()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
