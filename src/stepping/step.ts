import type { AnyMachineSnapshot, AnyStateMachine, EmittedFrom, EventObject } from 'xstate'
import { compile, type Compiled, type Step } from './compile.ts'

/**
 * Steps pure XState machines without actors. A machine is prepared when it is first asked for, and its preparation is
 * kept.
 */
export type { Compiled, Step } from './compile.ts'
export type { TimerChange } from './acts.ts'

const prepared = new WeakMap<AnyStateMachine, Compiled>()

/** The first snapshot of a machine, with what its entry asks for. */
export function begin<Machine extends AnyStateMachine>(machine: Machine, input: unknown): Step<EmittedFrom<Machine>> {
  return prepare(machine).begin(input)
}

/**
 * The next snapshot. The very same object, with no emissions and no timers, means that the machine ignored the event.
 */
export function step<Machine extends AnyStateMachine>(
  machine: Machine,
  snapshot: AnyMachineSnapshot,
  event: EventObject,
): Step<EmittedFrom<Machine>> {
  return prepare(machine).step(snapshot, event)
}

/**
 * A machine, prepared: for callers that step it over and over. Its emissions have the type that its `setup` declares.
 */
export function prepare<Machine extends AnyStateMachine>(machine: Machine): Compiled<EmittedFrom<Machine>> {
  const known = prepared.get(machine)
  if (known) return known as Compiled<EmittedFrom<Machine>>
  const fresh = compile(machine)
  prepared.set(machine, fresh)
  return fresh as Compiled<EmittedFrom<Machine>>
}
