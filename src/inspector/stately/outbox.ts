/**
 * What one viewer has yet to be sent. It begins with every chosen actor as it is now, then gives every step in order;
 * when the viewer does not keep up, only the newest snapshot of each actor is left, and steps follow again once those
 * are sent. Bounded in actors and in steps; knows no socket.
 */
import type { Address } from '../../../machines/domain/messages.ts'
import { actorMessage, eventMessage, isOver, type Shown, snapshotMessage } from './messages.ts'

export interface Outbox {
  take(shown: Shown): void
  /** The next messages as text, to be sent together; null: there is nothing to send now. */
  next(): readonly string[] | null
  /** How many actors the viewer has been shown, or is about to be. */
  readonly actors: number
}

// More than an eye follows; a viewer of that family draws a chart and a lifeline for each. `?actor=` and `?kind=`
// choose others.
export const ACTORS_MAX = 200
// Half a minute of a busy night.
export const STEPS_MAX = 2_000

export function createOutbox({
  instance,
  isWanted,
  now,
}: {
  readonly instance: string
  readonly isWanted: (shown: Shown) => boolean
  /** Live actors, the most important first. */
  readonly now: Iterable<Shown>
}): Outbox {
  // Actors that count towards the bound, and those of them the viewer has heard of.
  const places = new Set<Address>()
  const met = new Set<Address>()
  // Sent first: each actor as it is by then, and how many of its steps are left out. What is in `steps` follows after
  // all of them.
  const newest = new Map<Address, { readonly shown: Shown; readonly missed: number }>()
  let steps: Shown[] = []
  for (const shown of now) introduce(shown)

  return {
    get actors() {
      return places.size
    },
    take(shown) {
      if (!isWanted(shown)) return
      const { address, isFirst } = shown
      if (!places.has(address) && !isFirst) return introduce(shown)
      if (newest.has(address)) return absorb(shown)
      if (!places.has(address)) {
        if (places.size >= ACTORS_MAX) return
        places.add(address)
      }
      steps.push(shown)
      if (steps.length > STEPS_MAX) collapse()
    },
    next() {
      const [waiting] = newest.values()
      if (waiting) {
        newest.delete(waiting.shown.address)
        return sent(waiting.shown, [
          met.has(waiting.shown.address)
            ? snapshotMessage(waiting.shown, waiting.missed)
            : actorMessage(instance, waiting.shown),
        ])
      }
      const shown = steps.shift()
      if (!shown) return null
      return sent(shown, [
        ...(shown.isFirst ? [actorMessage(instance, shown)] : []),
        eventMessage(shown),
        snapshotMessage(shown),
      ])
    },
  }

  /** An actor the viewer has not heard of, in the middle of its life, if there is room. */
  function introduce(shown: Shown): void {
    if (!isWanted(shown) || isOver(shown) || places.size >= ACTORS_MAX) return
    places.add(shown.address)
    newest.set(shown.address, { shown, missed: 0 })
  }

  function absorb(shown: Shown): void {
    const { address } = shown
    const waiting = newest.get(address)
    newest.delete(address)
    // It came and went without being seen.
    if (isOver(shown) && !met.has(address)) return void places.delete(address)
    places.add(address)
    newest.set(address, { shown, missed: waiting ? waiting.missed + 1 : 0 })
  }

  function collapse(): void {
    const left = steps
    steps = []
    for (const shown of left) absorb(shown)
  }

  function sent(shown: Shown, messages: readonly object[]): readonly string[] {
    const { address } = shown
    if (isOver(shown)) {
      met.delete(address)
      places.delete(address)
    } else {
      met.add(address)
      places.add(address)
    }
    return messages.map(message => JSON.stringify(message))
  }
}
