import type { AnyActorScope, AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import type { Emission } from '../../machines/domain/messages.ts'
import { invariant } from '../../machines/domain/invariant.ts'

/**
 * Steps pure machines without actors: one inert scope is re-used for every call and collects what the step asks for. Same snapshots and same
 * actions as XState's public transition() (held against it by a random test), five to seven times faster. What an action is gets
 * interpreted here and nowhere else: emissions, timers to arm, timers to cancel.
 */
export interface Step {
  readonly snapshot: AnyMachineSnapshot
  readonly emissions: readonly Emission[]
  readonly timers: readonly TimerChange[]
}

export type TimerChange = { readonly arm: string; readonly delayMs: number } | { readonly cancel: string }

/** The first snapshot of a machine, with what its entry asks for. */
export function begin(machine: AnyStateMachine, input: unknown): Step {
  collected = []
  // The context factory of a machine may throw; XState turns that into a snapshot of status `error`.
  return interpret(machine.getInitialSnapshot(scope, input))
}

/** The next snapshot. The very same object and nothing collected means that the machine did not care. */
export function step(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Step {
  collected = []
  return interpret(machine.transition(snapshot, event, scope))
}

interface Action {
  readonly type: string
  readonly params?: unknown
}

let collected: Action[] = []

const actor = { id: 'inert', sessionId: 'inert', _parent: undefined, send() {}, _send() {}, getSnapshot() {} }

// XState asks for an actor scope to run in; ours does nothing but listen. What a scope must hold is ActorScope's nine fields.
const scope = {
  self: actor,
  id: 'inert',
  sessionId: 'inert',
  logger() {},
  defer() {},
  emit() {},
  stopChild() {},
  system: {
    _sendInspectionEvent() {},
    get() {},
    getAll: () => ({}),
    scheduler: { schedule() {}, cancel() {}, cancelAll() {} },
  },
  actionExecutor(action: Action) {
    collected.push(action)
  },
} as unknown as AnyActorScope

function interpret(snapshot: AnyMachineSnapshot): Step {
  if (snapshot.status === 'error') throw snapshot.error
  const emissions: Emission[] = []
  const timers: TimerChange[] = []
  for (const { type, params } of collected) {
    switch (type) {
      case 'xstate.emit':
        emissions.push((params as { event: Emission }).event)
        break
      case 'xstate.raise': {
        const { id, delay } = params as { id?: string; delay?: number }
        // A raise without a delay is listed although the macrostep has dealt with it already.
        if (delay === undefined) break
        invariant(id, 'a delayed transition without an id')
        timers.push({ arm: id, delayMs: delay })
        break
      }
      case 'xstate.cancel':
        timers.push({ cancel: (params as { sendId: string }).sendId })
        break
      default:
        // Named actions of ours are all emit, assign or enqueueActions, which XState resolves to the three above.
        invariant(false, `a machine asked for ${type}, which the engine does not carry out`)
    }
  }
  return { snapshot, emissions, timers }
}
