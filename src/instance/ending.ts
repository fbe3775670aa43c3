import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from '../bus/port.ts'
import type { Log } from '../log.ts'

/**
 * exitControl; a signal or stop(); another process runs the instance; it cannot go on for a reason of its own, such as
 * a journal that is damaged.
 */
export interface Ended {
  readonly how: 'offline' | 'stopped' | 'lost' | 'broken'
  /** Empty where it was asked to end. */
  readonly why: string
}

// A server that does not take the last events within two seconds is gone; they are in the journal and said again at the
// next start.
const FLUSH_MS = 2_000

/**
 * How an instance ends. What was put together is noted here and taken apart in the reverse order, once, whether it ends
 * while it is put together or later, and for whatever reason; the first reason counts.
 */
export class Ending {
  readonly ended: Promise<Ended>
  readonly #instance: string
  readonly #log: Log
  readonly #undo: (() => Promise<void>)[] = []
  readonly #silence: (() => void)[] = []
  #tell: (ended: Ended) => void = () => {}
  #ending: Promise<void> | null = null
  #finish: () => Promise<void> = () => Promise.resolve()
  #isReady = false
  #lost: BusError | null = null

  constructor(instance: string, log: Log) {
    this.#instance = instance
    this.#log = log
    this.ended = new Promise(resolve => {
      this.#tell = resolve
    })
  }

  /** To be undone, after all that is noted later. */
  undo(undo: () => Promise<void> | void): void {
    this.#undo.push(async () => await undo())
  }

  /** How it is kept from saying anything more, at once. */
  silence(silence: () => void): void {
    this.#silence.push(silence)
    this.throwIfLost()
  }

  /** Everything is there. `finish` brings what is under way to its end, before it is taken apart. */
  ready(finish: () => Promise<void>): void {
    this.throwIfLost()
    this.#isReady = true
    this.#finish = finish
  }

  get lost(): BusError | null {
    return this.#lost
  }

  throwIfLost(): void {
    if (this.#lost !== null) throw this.#lost
  }

  /** It is asked to end. */
  end(how: Ended['how'], why = ''): Promise<void> {
    this.#ending ??= this.#shutDown({ how, why })
    return this.#ending
  }

  stop(why: string): Promise<void> {
    if (this.#ending === null) this.#log.info({}, `OCPS ${this.#instance} stops: ${why}`)
    return this.end('stopped')
  }

  /** It may not go on. */
  lose(how: 'lost' | 'broken', why: string): void {
    const sentence = `OCPS ${this.#instance} ends here: ${why}`
    if (this.#ending === null && this.#isReady) this.#log.error({}, sentence)
    this.#lost ??= new BusError(how === 'lost' ? 'FENCED' : 'BROKEN', sentence)
    for (const silence of this.#silence) silence()
    // Shutting down during startup could fail anywhere, so startup comes to its end, in silence, and is undone then.
    if (this.#isReady) void this.end(how, why)
  }

  async takeApart(): Promise<void> {
    for (const one of this.#undo.splice(0).reverse()) await one().catch(() => {})
  }

  async #shutDown(because: Ended): Promise<void> {
    if (because.how === 'offline' || because.how === 'stopped')
      await Promise.race([this.#finish().catch(() => {}), delay(FLUSH_MS, undefined, { ref: false })])
    await this.takeApart()
    this.#tell(because)
  }
}
