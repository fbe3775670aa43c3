import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, EventObject } from 'xstate'
import { actOf, guardOf, perform, type Act, type Doing, type Expression, type Guard, type TimerChange } from './acts.ts'
import { invariant } from './invariant.ts'
import {
  commonParent,
  isUnder,
  leafOf,
  leafUnder,
  leavesOf,
  pathTo,
  recalled,
  refuseUnknown,
  transitionsOf,
  valueOf,
  type History,
  type Transition,
} from './stateTree.ts'

/**
 * XState's interpretation of a machine, prepared: which transitions an event can take in a state, where they lead, and
 * what is left and entered on the way are looked up instead of worked out for every event. Several times faster than
 * machine.transition, with the same snapshots, emissions, timers and errors: a random test holds it against XState's
 * public functions. README.md lists what is supported; anything else is refused when the machine is prepared, not when
 * the event comes.
 */
export interface Compiled<Emitted extends EventObject = EventObject> {
  /** The first snapshot, with what entering it asks for. */
  begin(input: unknown): Step<Emitted>
  /**
   * The next snapshot. The very same object, with no emissions and no timers, means that the machine ignored the event.
   */
  step(snapshot: AnyMachineSnapshot, event: EventObject): Step<Emitted>
}

export interface Step<Emitted extends EventObject = EventObject> {
  readonly snapshot: AnyMachineSnapshot
  readonly emissions: readonly Emitted[]
  readonly timers: readonly TimerChange[]
}

/** Where an actor may rest: the active states, from the root to one leaf. */
interface RestingPlace {
  readonly nodes: readonly AnyStateNode[]
  readonly value: unknown
  /** What leads on without an event, innermost state first; the first whose guard holds is taken. */
  readonly always: readonly Candidate[]
  /** The same for each event. */
  readonly heard: Map<string, readonly Candidate[]>
}

interface Candidate {
  readonly source: AnyStateNode
  /** null stays where it is. */
  readonly target: AnyStateNode | null
  readonly reenter: boolean
  readonly guard: Guard | null
  readonly acts: readonly Act[]
  /** By where it is taken from, then by the leaf it leads to, which a history may decide. */
  readonly moves: Map<RestingPlace, Map<AnyStateNode, Move>>
}

interface Move {
  readonly exit: readonly Act[]
  readonly enter: readonly Act[]
  /** History states of what is left, and what they keep. */
  readonly kept: History
  readonly to: RestingPlace
}

/** One macrostep on its way. */
interface Run extends Doing {
  place: RestingPlace
  history: History
}

/** What XState's snapshots hold that their type keeps to itself. */
interface Inside {
  readonly _nodes: readonly AnyStateNode[]
  readonly historyValue: History
}

// More than any machine needs that does not turn in a circle: a queue with 10 000 slots may fill them in one go, a slot
// a step.
const MICROSTEPS_MAX = 100_000

const NO_HISTORY: History = {}

export function compile(machine: AnyStateMachine): Compiled {
  const { root } = machine
  const places = new Map<AnyStateNode, RestingPlace>()
  const compiled = new Map<object, Candidate>()
  // Every state is looked at now, so that what is not known here is refused now.
  for (const leaf of leavesOf(root)) placeOf(leaf)
  const first = placeOf(leafUnder(root, NO_HISTORY))
  const opening = first.nodes.flatMap(node => actsOf(node.entry))
  const blank = machine.resolveState({ value: first.value as never, context: {} })

  return {
    begin(input) {
      const event = { type: 'xstate.init', input }
      const { context } = machine.config as { context?: object | ((args: object) => object) }
      const run = runFrom(
        first,
        NO_HISTORY,
        typeof context === 'function' ? context({ input, event }) : (context ?? {}),
        event,
      )
      perform(opening, run)
      return finish(run, null)
    },
    step(snapshot, event) {
      const { _nodes, historyValue } = snapshot as unknown as Inside
      const run = runFrom(placeOf(leafOf(_nodes)), historyValue, snapshot.context as object, event)
      if (snapshot.status !== 'active') return { snapshot, emissions: [], timers: [] }
      const taken = select(heardIn(run.place, event.type), run)
      if (taken) take(taken, run)
      return finish(run, snapshot)
    },
  }

  /** Goes on while anything leads on without an event, then makes the snapshot. */
  function finish(run: Run, before: AnyMachineSnapshot | null): Step {
    for (let n = 0, taken = select(run.place.always, run); taken; taken = select(run.place.always, run)) {
      invariant(n++ < MICROSTEPS_MAX, `machine ${machine.id} turns in a circle in ${JSON.stringify(run.place.value)}`)
      take(taken, run)
    }
    const { emissions, timers } = run
    return { snapshot: before !== null && isAsBefore(run, before) ? before : snapshotOf(run), emissions, timers }
  }

  function snapshotOf(run: Run): AnyMachineSnapshot {
    const { nodes, value } = run.place
    const isDone = isFinal(run.place)
    const output = isDone ? outputOf(run) : undefined
    if (isDone)
      perform(
        nodes.toReversed().flatMap(node => actsOf(node.exit)),
        run,
      )
    const { machine: of, tags, children, matches, hasTag, can, getMeta, toJSON } = blank
    return {
      status: isDone ? 'done' : 'active',
      output,
      error: undefined,
      machine: of,
      context: run.context,
      _nodes: nodes,
      value,
      tags,
      children,
      historyValue: run.history,
      matches,
      hasTag,
      can,
      getMeta,
      toJSON,
    } as unknown as AnyMachineSnapshot
  }

  function outputOf({ context, place }: Run): unknown {
    const { output } = root as { output?: unknown }
    const event = { type: `xstate.done.state.${leafOf(place.nodes).id}`, output: undefined }
    return typeof output === 'function' ? (output as Expression)({ context, event }, undefined) : output
  }

  function take(candidate: Candidate, run: Run): void {
    const move = candidate.target && moveOf(candidate, candidate.target, run)
    if (move) perform(move.exit, run)
    perform(candidate.acts, run)
    if (!move) return
    perform(move.enter, run)
    run.place = move.to
    if (move.kept !== NO_HISTORY) run.history = { ...run.history, ...move.kept }
  }

  function moveOf(candidate: Candidate, target: AnyStateNode, { place, history }: Run): Move {
    const leaf = leafUnder(target, history)
    const fromHere = candidate.moves.get(place) ?? new Map<AnyStateNode, Move>()
    const known = fromHere.get(leaf)
    if (known) return known
    const { source, reenter } = candidate
    const to = placeOf(leaf)
    // What stays active: all of it lies above the domain of the transition, and the domain itself does (SCXML,
    // "getTransitionDomain").
    const aim = target.type === 'history' ? recalled(target, history) : target
    const isWithin = aim === source || isUnder(aim, source)
    const domain = !reenter && isWithin ? source : commonParent(source, aim)
    const isOutside = (node: AnyStateNode) => domain === null || isUnder(node, domain)
    const left = place.nodes.filter(isOutside).toReversed()
    const move: Move = {
      exit: left.flatMap(node => actsOf(node.exit)),
      enter: to.nodes.filter(isOutside).flatMap(node => actsOf(node.entry)),
      kept: keptBy(left, place),
      to,
    }
    candidate.moves.set(place, fromHere.set(leaf, move))
    return move
  }

  function placeOf(leaf: AnyStateNode): RestingPlace {
    const known = places.get(leaf)
    if (known) return known
    const nodes = pathTo(leaf)
    for (const node of nodes) refuseUnknown(node)
    // A machine that has ended goes nowhere.
    const always = leaf.type === 'final' ? [] : nodes.toReversed().flatMap(node => (node.always ?? []).map(candidateOf))
    const place: RestingPlace = { nodes, value: valueOf(nodes), always, heard: new Map() }
    // Looked up now, so that what is not known here is refused now.
    for (const type of new Set(nodes.flatMap(node => [...node.transitions.keys()]))) heardIn(place, type)
    places.set(leaf, place)
    return place
  }

  function heardIn({ nodes, heard }: RestingPlace, type: string): readonly Candidate[] {
    const known = heard.get(type)
    if (known) return known
    const candidates = nodes.toReversed().flatMap(node => transitionsOf(node, type).map(candidateOf))
    heard.set(type, candidates)
    return candidates
  }

  function candidateOf(transition: Transition): Candidate {
    const known = compiled.get(transition)
    if (known) return known
    const { source, target, reenter, guard, actions } = transition
    invariant((target?.length ?? 0) <= 1, `a transition of ${source.id} has several targets`)
    const candidate: Candidate = {
      source,
      target: target?.[0] ?? null,
      reenter,
      guard: guardOf(machine, guard),
      acts: actsOf(actions),
      moves: new Map(),
    }
    compiled.set(transition, candidate)
    return candidate
  }

  function actsOf(actions: readonly unknown[]): readonly Act[] {
    return actions.map(action => actOf(machine, action))
  }
}

function runFrom(place: RestingPlace, history: History, context: object, event: EventObject): Run {
  return { context, event, place, history, emissions: [], timers: [] }
}

function select(candidates: readonly Candidate[], run: Run): Candidate | undefined {
  for (const candidate of candidates)
    if (candidate.guard === null || holds(candidate, candidate.guard, run)) return candidate
  return undefined
}

function holds({ source }: Candidate, { name, holds: isTrue, params }: Guard, run: Run): unknown {
  try {
    return isTrue(run, params?.(run))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(
      `Unable to evaluate guard '${name}' in transition for event '${run.event.type}' in state node '${source.id}':\n${why}`,
      { cause: error },
    )
  }
}

function isAsBefore({ context, place, history }: Run, before: AnyMachineSnapshot): boolean {
  const { _nodes, historyValue } = before as unknown as Inside
  return before.context === context && historyValue === history && leafOf(_nodes) === leafOf(place.nodes)
}

function isFinal({ nodes }: RestingPlace): boolean {
  return leafOf(nodes).type === 'final'
}

function keptBy(left: readonly AnyStateNode[], { nodes }: RestingPlace): History {
  const kept = left.flatMap(node =>
    Object.values(node.states)
      .filter(({ type }) => type === 'history')
      .map(({ id }) => [id, nodes.filter(({ parent }) => parent === node)] as const),
  )
  return kept.length === 0 ? NO_HISTORY : Object.fromEntries(kept)
}
