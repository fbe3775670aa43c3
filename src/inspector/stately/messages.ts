/**
 * The messages of `@statelyai/inspect` 0.7.2, made from what the world's fold knows: actors, what they hear, what they
 * become. Pure. Field by field what that package sends for the same machine (a test holds it against the package); what
 * only OCPS knows stands in fields of its own, which other viewers pass over.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import type { Address, Emission } from '../../../machines/domain/messages.ts'
import { machines, type MachineKind } from '../../../machines/index.ts'
import type { Entry } from '../../journal/entry.ts'
import { emissionInWords } from '../../night/night.ts'

/** One step of an actor. */
export interface Shown {
  /** The entry it follows from. */
  readonly n: number
  /** Time of that entry, milliseconds since 1970 UTC. */
  readonly at: number
  /** Place among the steps of that entry. */
  readonly place: number
  readonly address: Address
  readonly kind: MachineKind
  /** It was opened by this step. */
  readonly isFirst: boolean
  /** Who opened it; null: nobody, it is there from the beginning. */
  readonly parent: Address | null
  readonly event: EventObject
  /** Who told it; null: the event came in by a door. */
  readonly source: Address | null
  readonly snapshot: Snapshot
  readonly said: readonly Emission[]
  readonly door: Entry['door']
  readonly from: string
}

/** What is shown of XState's snapshot. */
export type Snapshot = Pick<AnyMachineSnapshot, 'status' | 'value' | 'context' | 'historyValue' | 'tags' | 'output'> & {
  readonly error?: unknown
}

interface Base {
  readonly _version: string
  /** Milliseconds since 1970 UTC, in digits. */
  readonly createdAt: string
  readonly sessionId: Address
  readonly rootId: Address
  readonly id: string
  /** Journal entry; not in the package. */
  readonly entry: number
}

export interface ActorMessage extends Base {
  readonly type: '@xstate.actor'
  readonly name: string
  readonly parentId?: Address
  /** JSON of the machine's configuration. */
  readonly definition: string
  readonly snapshot: EncodedSnapshot
  readonly instance: string
  readonly kind: MachineKind
}

export interface EventMessage extends Base {
  readonly type: '@xstate.event'
  readonly event: EventObject
  readonly sourceId?: Address
  /** By which door the entry came in, and from whom; not in the package. */
  readonly door: Entry['door']
  readonly from: string
}

export interface SnapshotMessage extends Base {
  readonly type: '@xstate.snapshot'
  readonly event: EventObject
  readonly snapshot: EncodedSnapshot
  /** What the actor said in this step, a line each; not in the package. */
  readonly announcements: readonly string[]
  /** Steps of this actor that were left out before this one, because the viewer was slow; not in the package. */
  readonly conflated?: number
}

/** As XState's own snapshots are written as JSON. */
export interface EncodedSnapshot {
  readonly status: AnyMachineSnapshot['status']
  readonly value: unknown
  readonly context: unknown
  readonly historyValue: Readonly<Record<string, readonly { readonly id: string }[]>>
  readonly tags: readonly string[]
  /** Always empty: actors of this world are beside one another, see parentId. */
  readonly children: Readonly<Record<string, never>>
  readonly output?: unknown
  readonly error?: unknown
}

/** What the messages follow; a viewer that finds another one may read them all the same. */
const VERSION = '0.7.2'

/** All actors are shown as one system, that of the csc. */
export const ROOT: Address = 'csc'

export function actorMessage(instance: string, shown: Shown): ActorMessage {
  const { address, kind, parent, snapshot } = shown
  return {
    type: '@xstate.actor',
    ...base(shown, 'actor'),
    name: address,
    ...(address === ROOT ? {} : { parentId: parent ?? ROOT }),
    definition: definitionOf(kind),
    snapshot: encode(snapshot),
    instance,
    kind,
  }
}

export function eventMessage(shown: Shown): EventMessage {
  const { event, source, door, from } = shown
  return {
    type: '@xstate.event',
    ...base(shown, 'event'),
    event,
    ...(source === null ? {} : { sourceId: source }),
    door,
    from,
  }
}

/** conflated: steps of this actor the viewer did not get before this one. */
export function snapshotMessage(shown: Shown, conflated = 0): SnapshotMessage {
  return {
    type: '@xstate.snapshot',
    ...base(shown, 'snapshot'),
    event: shown.event,
    snapshot: encode(shown.snapshot),
    announcements: shown.said.map(emissionInWords),
    ...(conflated === 0 ? {} : { conflated }),
  }
}

export function isOver({ snapshot: { status } }: Shown): boolean {
  return status !== 'active'
}

const definitions = new Map<MachineKind, string>()

/**
 * JSON of the configuration as it was given to createMachine, functions as {type: name}: what viewers draw their chart
 * from.
 */
export function definitionOf(kind: MachineKind): string {
  const known = definitions.get(kind)
  if (known !== undefined) return known
  const machine: AnyStateMachine = machines[kind]
  const definition = JSON.stringify(machine.config, (_, value: unknown) =>
    typeof value === 'function' ? { type: value.name } : value,
  )
  definitions.set(kind, definition)
  return definition
}

function base({ n, at, place, address }: Shown, type: string): Base {
  return {
    _version: VERSION,
    createdAt: String(at),
    sessionId: address,
    rootId: ROOT,
    id: `${n}.${place}.${type}`,
    entry: n,
  }
}

function encode({ status, value, context, historyValue, tags, output, error }: Snapshot): EncodedSnapshot {
  const nodes = Object.entries(historyValue as Record<string, readonly { readonly id: string }[]>)
  return {
    status,
    value,
    context,
    // State nodes by their ids, as in a persisted snapshot; whole they would be the machine once more.
    historyValue: Object.fromEntries(nodes.map(([id, remembered]) => [id, remembered.map(node => ({ id: node.id }))])),
    tags: [...tags],
    children: {},
    ...(output === undefined ? {} : { output: output as unknown }),
    ...(error === undefined ? {} : { error }),
  }
}
