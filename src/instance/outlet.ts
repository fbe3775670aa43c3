import type { Numbered } from '../../machines/ports.ts'
import { earliest, isAfter } from '../engine/announcementIds.ts'
import type { Delivery } from './delivery.ts'

/**
 * Everything an instance says leaves here, to each sink by a delivery of its own. At the start each sink goes on behind
 * its own cursor: what the newest mark holds is said again by the engine, and who was away longer catches up from the
 * journal.
 */
export class Outlet {
  readonly #deliveries: readonly Delivery[]
  /** The engine says again what follows; null: all it can. */
  readonly lastSaid: string | null

  private constructor(deliveries: readonly Delivery[], lastSaid: string | null) {
    this.#deliveries = deliveries
    this.lastSaid = lastSaid
  }

  /** `numbersUpTo`: the highest entry that is known to have been written. */
  static async open(deliveries: readonly Delivery[], numbersUpTo: number): Promise<Outlet> {
    const cursors = new Map<Delivery, string | null>()
    for (const delivery of deliveries) cursors.set(delivery, await delivery.sink.cursor())
    const told = deliveries.filter(({ sink }) => sink.unconfirmed !== undefined).map(one => cursors.get(one) ?? null)
    // Without a sink that relies on the engine nothing needs to be said again: every other one has the journal.
    const lastSaid = told.length === 0 ? `${numbersUpTo + 1}.-1` : earliest(told)
    const outlet = new Outlet(deliveries, lastSaid)
    for (const [delivery, cursor] of cursors) outlet.#place(delivery, cursor, numbersUpTo)
    return outlet
  }

  /** To be called once the engine is there: whoever was away is brought what it missed. */
  begin(): void {
    for (const delivery of this.#deliveries) delivery.begin()
  }

  say(said: Numbered): void {
    for (const delivery of this.#deliveries) delivery.say(said)
  }

  /** What a mark has to hold, oldest first. */
  unconfirmed(): readonly Numbered[] {
    const [only, ...others] = this.#deliveries.flatMap(({ sink }) => (sink.unconfirmed ? [sink.unconfirmed()] : []))
    if (others.length === 0) return only ?? []
    const all = new Map([only ?? [], ...others].flat().map(said => [said.id, said]))
    return [...all.values()].sort((one, other) => (isAfter(one.id, other.id) ? 1 : -1))
  }

  async flushed(): Promise<void> {
    await Promise.allSettled(this.#deliveries.map(delivery => delivery.flushed()))
  }

  close(): void {
    for (const delivery of this.#deliveries) delivery.close()
  }

  #place(delivery: Delivery, cursor: string | null, numbersUpTo: number): void {
    // No memory; or one of a journal that was another: an older copy was put back, and numbers go on where they can.
    if (cursor === null || Number.parseInt(cursor, 10) > numbersUpTo) return
    delivery.goOnBehind(cursor)
    if (numbersUpTo === 0 || delivery.sink.unconfirmed) return
    if (this.lastSaid === null || isAfter(this.lastSaid, cursor)) delivery.wasAway()
  }
}
