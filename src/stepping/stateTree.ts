import type { AnyStateNode } from 'xstate'
import { invariant } from './invariant.ts'

/** XState's tree of states, walked: the words of SCXML that compile.ts needs. Knows no events and no context. */
export type History = Readonly<Record<string, readonly AnyStateNode[]>>

export type Transition = Pick<
  NonNullable<AnyStateNode['always']>[number],
  'source' | 'target' | 'reenter' | 'guard' | 'actions'
>

function isLeaf({ type }: AnyStateNode): boolean {
  return type === 'atomic' || type === 'final'
}

/** A snapshot made by XState itself may list its nodes in another order. */
export function leafOf(nodes: readonly AnyStateNode[]): AnyStateNode {
  const last = nodes.at(-1)
  const leaf = last && isLeaf(last) ? last : nodes.find(isLeaf)
  invariant(leaf, 'a snapshot without a state')
  return leaf
}

export function leavesOf(node: AnyStateNode): AnyStateNode[] {
  if (isLeaf(node)) return [node]
  return Object.values(node.states).flatMap(child => (child.type === 'history' ? [] : leavesOf(child)))
}

/** Where one comes to who enters a state. */
export function leafUnder(node: AnyStateNode, history: History): AnyStateNode {
  let at = node
  while (!isLeaf(at)) at = at.type === 'history' ? recalled(at, history) : initialOf(at)
  return at
}

export function recalled(node: AnyStateNode, history: History): AnyStateNode {
  const { target } = node.config as { target?: string }
  const { parent } = node
  invariant(parent, `the history state ${node.id} is nobody's`)
  const usual = target === undefined ? initialOf(parent) : parent.states[target]
  const last = history[node.id]?.[0] ?? usual
  invariant(last, `the history state ${node.id} leads nowhere`)
  return last
}

function initialOf(node: AnyStateNode): AnyStateNode {
  const initial = node.initial.target?.[0]
  invariant(initial, `state ${node.id} has no initial state`)
  return initial
}

export function pathTo(leaf: AnyStateNode): AnyStateNode[] {
  const path = [leaf]
  for (let node = leaf.parent; node; node = node.parent) path.unshift(node)
  return path
}

export function valueOf(nodes: readonly AnyStateNode[]): unknown {
  const [leaf, ...above] = nodes.slice(1).toReversed()
  return above.reduce<unknown>((value, { key }) => ({ [key]: value }), leaf?.key ?? {})
}

export function isUnder(node: AnyStateNode, above: AnyStateNode): boolean {
  for (let at = node.parent; at; at = at.parent) if (at === above) return true
  return false
}

export function commonParent(source: AnyStateNode, target: AnyStateNode): AnyStateNode {
  for (let at = target.parent; at; at = at.parent) if (isUnder(source, at)) return at
  return source.machine.root
}

/** Those for exactly this event, then those for its family (`command.*`). */
export function transitionsOf({ transitions }: AnyStateNode, type: string): readonly Transition[] {
  const family = [...transitions.keys()].find(
    descriptor =>
      descriptor.endsWith('.*') && (type === descriptor.slice(0, -2) || type.startsWith(descriptor.slice(0, -1))),
  )
  return [...(transitions.get(type) ?? []), ...((family && transitions.get(family)) || [])]
}

export function refuseUnknown(node: AnyStateNode): void {
  const refuse = (what: string) => invariant(false, `state ${node.id} ${what}, which stepping does not support`)
  if (node.type === 'parallel') refuse('is parallel')
  if (node.type === 'final' && node.parent?.parent) refuse('is final inside another state')
  if (node.invoke.length > 0) refuse('invokes an actor')
  if (node.tags.length > 0 || node.meta !== undefined) refuse('has tags or meta')
  if (node.type === 'compound' && node.initial.actions.length > 0) refuse('acts in its initial transition')
  if (Object.values(node.states).some(({ history }) => history === 'deep')) refuse('has a deep history')
  const wild = [...node.transitions.keys()].filter(descriptor => descriptor.includes('*'))
  if (wild.length > 1 || wild.includes('*')) refuse(`hears ${wild.join(' and ')}`)
}
