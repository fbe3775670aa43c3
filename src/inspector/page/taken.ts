/**
 * What to light in a chart for an actor's step, and what the actor would hear next: from the same functions of XState
 * that decided.
 */
import type { AnyStateMachine } from 'xstate'
import { machines } from '../../../machines/index.ts'
import { edgesFromStart, edgesTaken as taken } from '../chart/taken.ts'
import type { StepRecord } from '../../night/night.ts'

/** Ids as in [data-edge], in the order they were taken, those included that followed at once without an event. */
export function edgesTaken({ kind, before, after, event }: StepRecord): readonly string[] {
  const machine: AnyStateMachine = machines[kind]
  try {
    return before === null ? edgesFromStart(machine, after) : taken(machine, before, event)
  } catch {
    // A guard that needs more than is left of an old event: then no edge is lit.
    return []
  }
}

/** What the actor would hear now, by the event's name; timers as `after …`. */
export function legalNext(snapshot: StepRecord['after']): readonly string[] {
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
export function activeStates(snapshot: StepRecord['after']): readonly string[] {
  return (snapshot._nodes as unknown as readonly { readonly id: string }[]).map(({ id }) => id)
}
