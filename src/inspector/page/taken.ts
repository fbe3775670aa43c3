/**
 * Which edges of a chart an actor's step took: from the same function of XState that decided. Transitions that follow at once, without an event, are not
 * among them, for nothing names those; the state they lead to is lit.
 */
import { transitionsOf } from '../chart/graph.ts'
import { machines } from '../../../machines/index.ts'
import type { Heard } from '../night.ts'

/** Ids as in [data-edge]. */
export function edgesTaken({ kind, before, event }: Heard): readonly string[] {
  if (before === null) return []
  try {
    const taken = machines[kind].getTransitionData(before as never, event as never)
    return taken.flatMap(one => {
      const found = transitionsOf(one.source).find(({ transition }) => transition === one)
      return found ? [found.edge] : []
    })
  } catch {
    // A guard that needs more than is left of an old event: then no edge is lit.
    return []
  }
}

/** What the actor would hear now, by the event's name; timers as `after …`. */
export function legalNext(snapshot: Heard['after']): readonly string[] {
  const nodes = snapshot._nodes as unknown as readonly { readonly ownEvents: readonly string[] }[]
  return [...new Set(nodes.flatMap(({ ownEvents }) => ownEvents))]
    .filter(name => name !== '')
    .map(readable)
    .sort()
}

/** `xstate.after.timeLimit.job.active` as `after timeLimit`. */
export function readable(event: string): string {
  return event.replace(/^xstate\.after\.([^.]+)\..*$/, 'after $1').replace(/^xstate\.init$/, 'opened')
}

/** Ids of the states that are active, as in [data-state]. */
export function activeStates(snapshot: Heard['after']): readonly string[] {
  return (snapshot._nodes as unknown as readonly { readonly id: string }[]).map(({ id }) => id)
}
