import type {
  AnyActorScope,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  EventObject,
  StateValue,
} from 'xstate'
import type { ChartEdge } from './chart.ts'
import { nodesOf, transitionsOf } from './graph.ts'

/*
 * What to light in a chart: which states an actor is in, which transitions a message makes it take, which messages it
 * would hear next. Pure, and usable in a browser; nothing is executed but the machine's own decisions.
 */

/** The edge a message takes; null if the machine does not react. Eventless ones that follow are in `edgesTaken`. */
export function edgeIdOf(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): string | null {
  const [transition] = machine.getTransitionData(snapshot, event)
  return transition ? (idsOf(machine).get(transition) ?? null) : null
}

/**
 * Every edge a message takes, in order, with the eventless ones that follow at once: `judged||2` after
 * `executor.exited`.
 */
export function edgesTaken(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): string[] {
  const taken: AnyTransitionDefinition[] = []
  machine.microstep(snapshot, event, listening(taken))
  const ids = idsOf(machine)
  return taken.flatMap(transition => ids.get(transition) ?? [])
}

/**
 * The edges without an event that a new actor takes at once: `arriving||0` of a job that waits for nothing. What it
 * began with is not kept, so they are found with the context it has after them.
 */
export function edgesFromStart(machine: AnyStateMachine, { context }: AnyMachineSnapshot): string[] {
  const beginning = machine.resolveState({ value: initialValue(machine.root), context })
  // When it was is of no matter here, but machines insist on being told.
  const event: EventObject & { at: number } = { type: 'xstate.init', at: 0 }
  return edgesTaken(machine, beginning, event)
}

function initialValue({ type, initial, states }: AnyStateNode): StateValue {
  if (type === 'parallel')
    return Object.fromEntries(Object.values(states).map(state => [state.key, initialValue(state)]))
  const [first] = type === 'compound' ? initial.target : []
  return first
    ? first.type === 'atomic' || first.type === 'final'
      ? first.key
      : { [first.key]: initialValue(first) }
    : {}
}

/** The ids of the states an actor is in, outer ones first: what is `is-active` in its chart. */
export function activeStates(machine: AnyStateMachine, value: AnyMachineSnapshot['value']): string[] {
  return [machine.root.id, ...inside(machine.root.id, value)]
}

/** The messages that states react to, each once, innermost state first; `command.*` is any message that begins so. */
export function legalMessages(edges: readonly ChartEdge[], active: readonly string[]): string[] {
  const heard = [...active]
    .reverse()
    .flatMap(id => edges.filter(({ source, kind }) => source === id && kind === 'event').map(({ event }) => event))
  return [...new Set(heard)]
}

function inside(parent: string, value: unknown): string[] {
  if (typeof value === 'string') return [`${parent}.${value}`]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]) => [`${parent}.${key}`, ...inside(`${parent}.${key}`, child)])
}

const idsByMachine = new WeakMap<AnyStateMachine, ReadonlyMap<AnyTransitionDefinition, string>>()

function idsOf(machine: AnyStateMachine): ReadonlyMap<AnyTransitionDefinition, string> {
  const known = idsByMachine.get(machine)
  if (known) return known
  const ids = new Map(
    [...nodesOf(machine.root)].flatMap(transitionsOf).map(({ transition, edge }) => [transition, edge] as const),
  )
  idsByMachine.set(machine, ids)
  return ids
}

/** A scope that does nothing but note the transitions XState reports of each small step. */
function listening(taken: AnyTransitionDefinition[]): AnyActorScope {
  const actor = { id: 'chart', sessionId: 'chart', _parent: undefined, send() {}, _send() {}, getSnapshot() {} }
  return {
    self: actor,
    id: 'chart',
    sessionId: 'chart',
    logger() {},
    defer() {},
    emit() {},
    stopChild() {},
    system: {
      _sendInspectionEvent({ _transitions = [] }: { _transitions?: readonly AnyTransitionDefinition[] }) {
        taken.push(..._transitions)
      },
      get() {},
      getAll: () => ({}),
      scheduler: { schedule() {}, cancel() {}, cancelAll() {} },
    },
    actionExecutor() {},
  } as unknown as AnyActorScope
}
