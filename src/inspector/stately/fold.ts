/**
 * The world once more, folded from the journal for viewers that read steps: who took which step, because of whom, and
 * what every live actor is now. The same machines and the same fold as recovery; no XState actor is created. Carries
 * nothing out and keeps nothing of actors that ended.
 */
import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { Address, Emission } from '../../../machines/domain/messages.ts'
import { machines, type MachineKind } from '../../../machines/index.ts'
import { type Actor, createWorld } from '../../engine/world.ts'
import type { Entry } from '../../journal/entry.ts'
import type { Shown } from './messages.ts'

export interface Fold {
  /** The entry applied last; 0 before the first. */
  readonly n: number
  /** Every live actor as of its last step. */
  readonly live: ReadonlyMap<Address, Shown>
  /** Throws where the machines of this version cannot hear the entry. */
  apply(entry: Entry): void
}

export function createFold(instance: string, onStep: (shown: Shown) => void): Fold {
  const live = new Map<Address, Shown>()
  // Within one entry: who opens whom, and who told what to whom, oldest first. The world delivers in the order it was
  // told.
  const openers = new Map<Address, Address>()
  const tellers = new Map<string, Address[]>()
  let entry: Pick<Entry, 'n' | 'at' | 'door' | 'from'> = { n: 0, at: 0, door: 'engine', from: 'engine' }
  let place = 0
  const faults: EventObject[] = []
  const world = createWorld({ instance, observer: { stepped } })

  return {
    get n() {
      return entry.n
    },
    live,
    apply(next) {
      const isBeginning = entry.n === 0
      entry = next
      place = 0
      faults.length = 0
      openers.clear()
      tellers.clear()
      world.apply(next)
      if (isBeginning) begin()
      for (const fault of faults) sayBroken(fault)
    },
  }

  function stepped(
    { address, kind, snapshot }: Actor,
    event: EventObject,
    before: AnyMachineSnapshot | null,
    said: readonly Emission[],
  ): void {
    const isFirst = before === null
    const parent = isFirst ? (openers.get(address) ?? null) : (live.get(address)?.parent ?? null)
    const source = isFirst ? parent : tellerOf(address, kind, event)
    for (const emission of said)
      if (emission.type === 'open') openers.set(emission.address, address)
      else if (emission.type === 'tell') noteTeller(emission.to, emission.message.type, address)
    // An actor that breaks takes no step; the csc hears of it in the same entry.
    if (event.type === 'engine.fault' && kind === 'csc') faults.push(event)
    keep({ address, kind, isFirst, parent, event, source, snapshot, said })
  }

  function keep(step: Omit<Shown, 'n' | 'at' | 'place' | 'door' | 'from'>): void {
    const { n, at, door, from } = entry
    const shown: Shown = { ...step, n, at, place: place++, door, from }
    if (shown.snapshot.status === 'active') live.set(shown.address, shown)
    else live.delete(shown.address)
    onStep(shown)
  }

  /**
   * Reading begins at entry 1, or at a quiescent one that brings its actors along: what is there now is what nobody has
   * stepped in front of us.
   */
  function begin(): void {
    const { n, at, door, from } = entry
    const unseen = { n, at, door, from, isFirst: false, parent: null, source: null, said: [] }
    const event = { type: 'xstate.init' }
    for (const kind of Object.keys(machines) as MachineKind[])
      for (const { address, snapshot } of world.actors(kind))
        if (live.get(address)?.snapshot !== snapshot || live.get(address)?.n === 0)
          live.set(address, { ...unseen, address, kind, event, snapshot, place: place++ })
  }

  /** An actor whose machine threw is gone without a step of its own. */
  function sayBroken(event: EventObject): void {
    for (const [address, { kind, parent, snapshot }] of live) {
      if (world.actor(address)) continue
      const error = 'errorReport' in event ? event['errorReport'] : 'the machine threw'
      const broken = { ...snapshot, status: 'error' as const, error }
      keep({ address, kind, isFirst: false, parent, event, source: null, snapshot: broken, said: [] })
    }
  }

  function noteTeller(to: string, type: string, address: Address): void {
    const key = `${to} ${type}`
    const known = tellers.get(key)
    if (known) known.push(address)
    else tellers.set(key, [address])
  }

  function tellerOf(address: Address, kind: MachineKind, event: EventObject): Address | null {
    if (event.type === 'actor.ended') return (event as unknown as { address: Address }).address
    return tellers.get(`${address} ${event.type}`)?.shift() ?? tellers.get(`${kind}.* ${event.type}`)?.at(-1) ?? null
  }
}
