import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { compile, type Compiled, type Step } from './compile.ts'

/** Steps pure machines without actors; each machine is prepared when it is first asked for. */
export type { Compiled, Step } from './compile.ts'
export type { TimerChange } from './acts.ts'

const prepared = new WeakMap<AnyStateMachine, Compiled>()

/** The first snapshot of a machine, with what its entry asks for. */
export function begin(machine: AnyStateMachine, input: unknown): Step {
  return prepare(machine).begin(input)
}

/** The next snapshot. The very same object and nothing asked for means that the machine did not care. */
export function step(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Step {
  return prepare(machine).step(snapshot, event)
}

/** A machine, prepared: for who steps it over and over. */
export function prepare(machine: AnyStateMachine): Compiled {
  const known = prepared.get(machine)
  if (known) return known
  const fresh = compile(machine)
  prepared.set(machine, fresh)
  return fresh
}
