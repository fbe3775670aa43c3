import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'

/*
 * What a statechart shows: the states of a machine, nested, and every transition exactly once, as an arrow or as a row
 * inside its state. Pure, and the same for the same machine. Where things lie is left to layout.ts, what they look like
 * to svg.ts.
 */

export interface Graph {
  /** The machine's id, e.g. `job`. */
  readonly id: string
  readonly root: GraphState
  readonly arrows: readonly Arrow[]
}

export type StateKind = 'atomic' | 'compound' | 'parallel' | 'final' | 'history' | 'initial' | 'anywhere'

export interface GraphState {
  /** XState's id, e.g. `job.held.awaitingData`; that of a marker ends in `#initial` or `#anywhere`. */
  readonly id: string
  readonly name: string
  readonly kind: StateKind
  readonly parent: string | null
  /** What is done in it without leaving it: entry and exit actions, transitions without a target. */
  readonly rows: readonly Label[]
  readonly states: readonly GraphState[]
}

/** One line between two states; all transitions between the two are on it, in the order in which they are tried. */
export interface Arrow {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly kind: 'transition' | 'initial' | 'history'
  readonly labels: readonly Label[]
}

export interface Label {
  /**
   * `<source state id>|<event>|<index>`, e.g. `job.judged||0`, `job.active|after timeLimit|0`; null for entry and exit
   * actions.
   */
  readonly edge: string | null
  readonly source: string
  readonly target: string | null
  readonly kind: 'event' | 'always' | 'after' | 'entry' | 'exit'
  /** The message, `after <delay>`, `entry`, `exit`, or '' for a transition that waits for nothing. */
  readonly event: string
  /** `else` for what is tried last, without a guard, after others. */
  readonly guard: string | null
  readonly actions: readonly string[]
}

export function graphOf(machine: AnyStateMachine): Graph {
  const { root } = machine
  const labels = [...nodesOf(root)].flatMap(labelsOf)
  return { id: root.id, root: stateOf(root, labels), arrows: [...markerArrows(root), ...mergedArrows(root, labels)] }
}

/** Every state node, in document order. */
export function* nodesOf(node: AnyStateNode): Generator<AnyStateNode> {
  yield node
  for (const child of childrenOf(node)) yield* nodesOf(child)
}

/** The transitions that begin at a node with their edge ids, in the order in which they are tried. */
export function transitionsOf(node: AnyStateNode): { transition: AnyTransitionDefinition; edge: string }[] {
  const groups = [node.always ?? [], ...node.transitions.values()]
  return groups.flatMap(group =>
    group.map((transition, index) => ({ transition, edge: `${node.id}|${eventOf(transition)}|${index}` })),
  )
}

function labelsOf(node: AnyStateNode): Label[] {
  return transitionsOf(node).map(({ transition, edge }) => ({
    edge,
    source: node.id,
    target: transition.target?.[0]?.id ?? null,
    kind: kindOf(transition),
    event: eventOf(transition),
    guard: guardOf(transition.guard) ?? (edge.endsWith('|0') ? null : 'else'),
    actions: actionsOf(transition.actions),
  }))
}

function stateOf(node: AnyStateNode, labels: readonly Label[]): GraphState {
  const own = labels.filter(({ source }) => source === node.id)
  const markers = [
    ...(initialOf(node) === null ? [] : [marker(node, 'initial')]),
    ...(own.some(label => isToInside(node, label)) ? [marker(node, 'anywhere')] : []),
  ]
  return {
    id: node.id,
    name: node.key,
    kind: node.type,
    parent: node.parent?.id ?? null,
    rows: [
      ...doing(node, 'entry', node.entry),
      ...own.filter(({ target }) => target === null),
      ...doing(node, 'exit', node.exit),
    ],
    states: [...markers, ...childrenOf(node).map(child => stateOf(child, labels))],
  }
}

function marker(node: AnyStateNode, kind: 'initial' | 'anywhere'): GraphState {
  return { id: `${node.id}#${kind}`, name: 'any state', kind, parent: node.id, rows: [], states: [] }
}

/** Initial markers and history states point at a state without a transition. */
function markerArrows(root: AnyStateNode): Arrow[] {
  return [...nodesOf(root)].flatMap((node): Arrow[] => {
    const initial = initialOf(node)
    if (initial !== null)
      return [{ id: `${node.id}#initial>`, source: `${node.id}#initial`, target: initial, kind: 'initial', labels: [] }]
    const { parent } = node
    const { target } = node.config as { target?: unknown }
    if (node.type !== 'history' || !parent || typeof target !== 'string') return []
    const usual = parent.states[target]
    return usual ? [{ id: `${node.id}>`, source: node.id, target: usual.id, kind: 'history', labels: [] }] : []
  })
}

function mergedArrows(root: AnyStateNode, labels: readonly Label[]): Arrow[] {
  const byId = new Map([...nodesOf(root)].map(node => [node.id, node]))
  const arrows = new Map<string, Arrow>()
  for (const label of labels) {
    const { target } = label
    const node = byId.get(label.source)
    if (target === null || node === undefined) continue
    // A transition of the whole to a part of it would have to be drawn from the frame inwards, over everything else.
    const source = isToInside(node, label) ? `${node.id}#anywhere` : node.id
    const id = `${source}>${target}`
    const before = arrows.get(id)?.labels ?? []
    arrows.set(id, { id, source, target, kind: 'transition', labels: [...before, label] })
  }
  return [...arrows.values()]
}

function isToInside(node: AnyStateNode, { target }: Label): boolean {
  return target !== null && target.startsWith(`${node.id}.`)
}

function childrenOf(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states)
}

function initialOf(node: AnyStateNode): string | null {
  return node.type === 'compound' ? (node.initial.target[0]?.id ?? null) : null
}

function doing(node: AnyStateNode, kind: 'entry' | 'exit', all: readonly unknown[]): Label[] {
  const actions = actionsOf(all)
  return actions.length === 0
    ? []
    : [{ edge: null, source: node.id, target: null, kind, event: kind, guard: null, actions }]
}

const AFTER = /^xstate\.after\.(.+?)\./

function kindOf({ eventType }: AnyTransitionDefinition): 'event' | 'always' | 'after' {
  return eventType === '' ? 'always' : AFTER.test(eventType) ? 'after' : 'event'
}

function eventOf({ eventType, source }: AnyTransitionDefinition): string {
  const timer = eventType.startsWith('xstate.after.') && eventType.endsWith(`.${source.id}`)
  return timer ? `after ${eventType.slice('xstate.after.'.length, -source.id.length - 1)}` : eventType
}

function guardOf(guard: unknown): string | null {
  return guard === undefined || guard === null ? null : nameOf(guard)
}

/** XState's own actions, such as those that set timers, are how it works, not what was asked. */
function actionsOf(actions: readonly unknown[]): string[] {
  return actions.map(nameOf).filter(name => !name.startsWith('xstate.'))
}

// What is longer is a sentence, not a name, and would make the chart unreadable.
const PARAM_LENGTH_MAX = 14

/** `announceState(ENABLED)`: the name, and the first thing it is told if that is fixed and short. */
function nameOf(thing: unknown): string {
  if (typeof thing === 'string') return thing
  const type = fieldOf(thing, 'type')
  if (typeof type !== 'string') return 'unnamed'
  const params = fieldOf(thing, 'params')
  const [value]: unknown[] = typeof params === 'object' && params !== null ? Object.values(params) : []
  const shown =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
  return shown !== '' && shown.length <= PARAM_LENGTH_MAX ? `${type}(${shown})` : type
}

/** Also of XState's own actions, which are functions with a type. */
function fieldOf(thing: unknown, name: string): unknown {
  return (typeof thing === 'object' && thing !== null) || typeof thing === 'function'
    ? Reflect.get(thing, name)
    : undefined
}
