import type { Said } from '../../machines/domain/messages.ts'
import { digestOf } from './digest.ts'
import type { Effect } from './world.ts'

/**
 * Digests of what entries led to, until they are written to the journal. Making one takes longer than a step, so they
 * are made later.
 */
export class DigestBook {
  #made: [n: number, digest: string][] = []
  /** What entries led to whose digest has not been made yet; nobody is to wait for it. */
  #due: [n: number, effects: readonly Effect[]][] = []

  /** How many entries wait to be written down. */
  get size(): number {
    return this.#made.length + this.#due.length
  }

  /** How many wait to be made. */
  get due(): number {
    return this.#due.length
  }

  note(n: number, effects: readonly Effect[]): void {
    this.#due.push([n, effects])
  }

  readonly makeAll = (): void => {
    for (const [n, effects] of this.#due) {
      const digest = digestOf(effects)
      if (digest !== null) this.#made.push([n, digest])
    }
    this.#due = []
  }

  /** Up to this entry they are written down. */
  forget(until: number): void {
    this.#due = this.#due.filter(([n]) => n > until)
    this.#made = this.#made.filter(([n]) => n > until)
  }

  /** What is left to write, as one line of the journal; none if nothing is. */
  take(): Said[] {
    this.makeAll()
    return this.#made.length === 0 ? [] : [{ type: 'engine.said', digests: this.#made.splice(0) }]
  }
}
