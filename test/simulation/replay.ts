import type { AnyMachineSnapshot } from 'xstate'
import { machines, type MachineKind } from '../../machines/index.ts'
import { createWorld, type Actor, type Effect, type StepObserver, type World } from '../../src/engine/world.ts'
import { isMark } from '../../src/journal/entry.ts'
import { createLineReader } from '../../src/journal/lines.ts'
import { createSameness } from './same.ts'
import type { PromiseName } from './violation.ts'

/**
 * A second world in lockstep: it hears nothing but the journal's lines, as they are stored, and must do, say and be the
 * same as the one that lives. What is compared after an entry is who was stepped by it; all others are as they were. It
 * can take the living one's place: that is a recovery. A third world never takes a mark, and must be the same as well:
 * otherwise what a mark loses is lost alike in the two that take it.
 */
export interface Replay {
  /** A line is stored: what it leads to is expected from now on. */
  stored(line: string): void
  /** The living world did or said something. */
  did(effect: Effect): void
  /** Everything stored has been delivered to this world. */
  compare(live: World, touched: Iterable<string>): void
  /** All that lives in either world, because one of them has just begun. */
  compareAll(live: World): void
  /** The living world died with `undelivered` entries stored: gives what they led to, which was never carried out. */
  takeUndone(): Effect[]
  /** A job's machine was broken on purpose: of how such a one ended a mark keeps less than it was. */
  sabotaged(): void
  /** Gives its world away to live, and goes on with the one that lived. */
  swap(live: World): World
  readonly world: World
}

export function createReplay(
  instance: string,
  observer: StepObserver | null,
  broken: (promise: PromiseName, evidence: string) => void,
): Replay {
  let shadow = createWorld({ instance, ...(observer && { observer }) })
  const unmarked = createWorld({ instance })
  let isUnmarkedCompared = true
  const same = createSameness()
  const reader = createLineReader()
  let expected: Effect[] = []

  const differ = (address: string, live: Actor | undefined, folded: Actor | undefined): string | null => {
    if (live === undefined || folded === undefined)
      return live === folded
        ? null
        : `${address} ${live ? 'lives' : 'has ended'}, folded it ${folded ? 'lives' : 'has ended'}`
    if (!same(live.snapshot.value, folded.snapshot.value))
      return `${address} is ${JSON.stringify(live.snapshot.value)}, folded ${JSON.stringify(folded.snapshot.value)}`
    if (!same(live.snapshot.context, folded.snapshot.context)) return `${address} has another context when folded`
    if (live.timers.size !== folded.timers.size || [...live.timers].some(([id, due]) => folded.timers.get(id) !== due))
      return `${address} has other timers when folded`
    return null
  }

  const compareUnmarked = (address: string, live: Actor | undefined): void => {
    const difference = isUnmarkedCompared ? differ(address, live, unmarked.actor(address)) : null
    if (difference !== null) broken('marks change nothing', `without marks: ${difference}`)
  }

  return {
    sabotaged() {
      isUnmarkedCompared = false
    },
    get world() {
      return shadow
    },
    stored(line) {
      const entry = reader.read(line, 'The journal of the simulation')
      expected.push(...shadow.apply(entry))
      if (!isMark(entry.what)) unmarked.apply(entry)
    },
    did(effect) {
      // An order may overtake an announcement, and lets an answer go first: each kind is in order in itself.
      const at = expected.findIndex(one => one.do === effect.do)
      const [wanted] = at === -1 ? [] : expected.splice(at, 1)
      if (!same(effect, wanted))
        broken('replay is the same', `it did ${JSON.stringify(effect)}; folded it does ${JSON.stringify(wanted)}`)
    },
    compare(live, touched) {
      if (expected.length > 0) broken('replay is the same', `folded it does more: ${JSON.stringify(expected[0])}`)
      expected = []
      for (const address of touched) {
        const difference = differ(address, live.actor(address), shadow.actor(address))
        if (difference !== null) broken('replay is the same', difference)
        compareUnmarked(address, live.actor(address))
      }
    },
    compareAll(live) {
      for (const kind of KINDS) {
        const addresses = new Set([...live.actors(kind), ...shadow.actors(kind)].map(({ address }) => address))
        for (const address of addresses) {
          const difference = differ(address, live.actor(address), shadow.actor(address))
          if (difference !== null) broken('replay is the same', `after a recovery ${difference}`)
          compareUnmarked(address, live.actor(address))
        }
      }
    },
    takeUndone() {
      const undone = expected
      expected = []
      return undone
    },
    swap(live) {
      const folded = shadow
      shadow = live
      return folded
    },
  }
}

const KINDS = Object.keys(machines) as MachineKind[]

/** Where two worlds differ, over all their actors, or null. */
export function difference(one: World, other: World): string | null {
  const same = createSameness()
  for (const kind of KINDS) {
    const all = [...one.actors(kind)]
    const others = new Map([...other.actors(kind)].map(actor => [actor.address, actor]))
    if (all.length !== others.size) return `there are ${all.length} actors of kind ${kind}, folded ${others.size}`
    for (const { address, snapshot, timers } of all) {
      const folded = others.get(address)
      if (folded === undefined) return `${address} is not there when folded`
      if (!same(plain(snapshot), plain(folded.snapshot))) return `${address} is another one when folded`
      if (!same(Object.fromEntries(timers), Object.fromEntries(folded.timers)))
        return `${address} has other timers when folded`
    }
  }
  return null
}

function plain({ value, context }: AnyMachineSnapshot): unknown {
  return { value, context }
}
