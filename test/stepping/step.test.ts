import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assign,
  emit,
  fromPromise,
  initialTransition,
  log,
  raise,
  setup,
  transition,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventObject,
} from 'xstate'
import { machines, type MachineKind } from '../../machines/index.ts'
import { begin, step, type Step, type TimerChange } from '../../src/stepping/step.ts'
import { NIGHTFALL } from '../harness.ts'
import { EVENTS, INPUTS } from '../engine/vocabulary.ts'

/*
 * Stepping without actors, held against XState's public initialTransition and transition: the same value, context,
 * status and output, the same emissions and timers, over random sequences of every machine's own events, timers
 * included.
 */

// Fixed, so that a failure is the same tomorrow; fast-check prints the path to the smallest case.
const SEED = 20_261_122
const RUNS = 120
const LENGTH = 40
const STEPS_MIN = 20_000

describe('step', () => {
  let steps = 0

  test.each(Object.keys(machines) as MachineKind[])('the %s machine steps as XState itself steps it', kind => {
    const machine: AnyStateMachine = machines[kind]
    // A timer's firing is one more event: `pick` chooses among those armed.
    const move = fc.oneof(
      { weight: 9, arbitrary: EVENTS[kind] as fc.Arbitrary<object> },
      { weight: 1, arbitrary: fc.record({ pick: fc.nat({ max: 5 }) }) },
    )
    fc.assert(
      fc.property(
        INPUTS[kind] as fc.Arbitrary<object>,
        fc.array(move, { minLength: LENGTH, maxLength: LENGTH }),
        (input, moves) => {
          const whole = { ...input, kind, at: NIGHTFALL }
          let ours = begin(machine, whole)
          const [first, actions] = initialTransition(machine, whole)
          let theirs: AnyMachineSnapshot = first
          same(ours, theirs, actions)
          const armed = new Set<string>()
          for (const [index, one] of moves.entries()) {
            for (const change of ours.timers)
              if ('cancel' in change) armed.delete(change.cancel)
              else armed.add(change.arm)
            const event = eventOf(one, [...armed], NIGHTFALL + index + 1)
            if (event === null) continue
            armed.delete(event.type)
            const thrown = attempt(() => step(machine, ours.snapshot, event))
            const publicly = attempt(() => transition(machine, theirs, event))
            steps += 1
            // A broken invariant throws in both, with the same sentence, and leaves the snapshot as it was.
            if ('error' in thrown || 'error' in publicly) {
              expect(thrown).toEqual(publicly)
              continue
            }
            ours = thrown.value
            theirs = publicly.value[0]
            same(ours, theirs, publicly.value[1])
          }
        },
      ),
      { seed: SEED, numRuns: RUNS },
    )
  })

  test(`these were more than ${STEPS_MIN} steps`, () => {
    expect(steps).toBeGreaterThan(STEPS_MIN)
  })

  test('an event a machine does not care for gives the very same snapshot and nothing to do', () => {
    const { snapshot } = begin(machines.job, {
      kind: 'job',
      after: [],
      readiness: { policy: 'runNow' },
      at: NIGHTFALL,
      pipeline: {},
    })
    const next = step(machines.job, snapshot, { type: 'executor.unheardOf' })
    expect(next.snapshot).toBe(snapshot)
    expect(next).toMatchObject({ emissions: [], timers: [] })
  })

  test.each([
    ['is parallel', { type: 'parallel', states: { a: {}, b: {} } }],
    ['invokes an actor', { initial: 'a', states: { a: { invoke: { src: 'other' } } } }],
    [
      'is final inside another state',
      { initial: 'a', states: { a: { initial: 'b', states: { b: { type: 'final' } } } } },
    ],
    ['has a deep history', { initial: 'a', states: { a: {}, before: { type: 'history', history: 'deep' } } }],
    ['hears *', { initial: 'a', states: { a: { on: { '*': 'a' } } } }],
    ['has tags or meta', { initial: 'a', states: { a: { tags: 'busy' } } }],
    ['raises an event without a delay', { initial: 'a', states: { a: { entry: raise({ type: 'go' }) } } }],
    ['acts in its initial transition', { initial: { target: 'a', actions: assign({}) } as never, states: { a: {} } }],
    ['asks for xstate.log', { initial: 'a', states: { a: { entry: log('here') } } }],
    ['asks for undefined', { initial: 'a', states: { a: { entry: () => {} } } }],
    ['is not a named function', { initial: 'a', states: { a: { always: { guard: () => true, target: 'b' } }, b: {} } }],
  ])('a machine that %s is refused when it is prepared, not in the night', (what, config) => {
    const machine: AnyStateMachine = setup({ actors: { other: fromPromise(() => Promise.resolve()) } }).createMachine({
      id: 'odd',
      ...(config as object),
    })
    expect(() => begin(machine, {})).toThrow(what)
  })

  test('the example of the README steps as it says, and its emissions have the type of its setup', () => {
    const lamp = setup({
      types: { emitted: {} as { type: 'lit' | 'dark' }, events: {} as { type: 'press' } },
      delays: { patience: 60_000 },
      actions: { sayLit: emit({ type: 'lit' }), sayDark: emit({ type: 'dark' }) },
    }).createMachine({
      initial: 'off',
      states: {
        off: { on: { press: 'on' } },
        on: { entry: 'sayLit', exit: 'sayDark', on: { press: 'off' }, after: { patience: 'off' } },
      },
    })
    const next = step(lamp, begin(lamp, undefined).snapshot, { type: 'press' })
    const emitted: readonly { type: 'lit' | 'dark' }[] = next.emissions
    expect(next.snapshot.value).toBe('on')
    expect(emitted).toEqual([{ type: 'lit' }])
    expect(next.timers).toEqual([{ arm: 'xstate.after.patience.(machine).on', delayMs: 60_000 }])
  })

  test('a machine that breaks leaves nothing behind for the next step', () => {
    const { snapshot } = begin(machines.reply, {
      kind: 'reply',
      caller: {},
      jobIds: [],
      ackTimeoutMs: 10,
      at: NIGHTFALL,
    })
    expect(() => begin(machines.reply, undefined)).toThrow()
    expect(step(machines.reply, snapshot, { type: 'nothing' })).toMatchObject({ emissions: [], timers: [] })
  })
})

function eventOf(move: object, armed: readonly string[], at: number): EventObject | null {
  if (!('pick' in move)) return { ...move, at } as unknown as EventObject
  const type = armed.length === 0 ? undefined : armed[Number(move.pick) % armed.length]
  return type === undefined ? null : ({ type, at } as EventObject)
}

function attempt<T>(run: () => T): { value: T } | { error: string } {
  try {
    return { value: run() }
  } catch (error) {
    return { error: String(error) }
  }
}

function same({ snapshot, emissions, timers }: Step, theirs: AnyMachineSnapshot, actions: readonly unknown[]): void {
  const ours = { value: snapshot.value, context: snapshot.context, status: snapshot.status, output: snapshot.output }
  const { value, context, status, output } = theirs
  equal(ours, { value, context, status, output })
  equal({ emissions, timers }, asked(actions as readonly Action[]))
}

/** Node compares ten times faster than expect, which is asked for its report only when there is one to make. */
function equal(one: unknown, other: unknown): void {
  if (!isDeepStrictEqual(one, other)) expect(one).toEqual(other)
}

interface Action {
  readonly type: string
  readonly params: { event?: unknown; id?: string; delay?: number; sendId?: string }
}

/** XState's actions in our words, written a second time on purpose. */
function asked(actions: readonly Action[]): { emissions: unknown[]; timers: TimerChange[] } {
  return {
    emissions: actions.filter(({ type }) => type === 'xstate.emit').map(({ params }) => params.event),
    timers: actions.flatMap(({ type, params: { id, delay, sendId } }): TimerChange[] => {
      if (type === 'xstate.raise' && id !== undefined && delay !== undefined) return [{ arm: id, delayMs: delay }]
      return type === 'xstate.cancel' && sendId !== undefined ? [{ cancel: sendId }] : []
    }),
  }
}
