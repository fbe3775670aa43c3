import type { AnyActorScope, AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import type { Caller, LoadedConfiguration, ProcessDataCommand, RetryCommand } from '../machines/domain/commands.ts'
import type { Configuration } from '../machines/domain/configuration.ts'
import type { Emission, Input, Message } from '../machines/domain/messages.ts'
import type { Usage } from '../machines/domain/outcome.ts'
import type { Pipeline } from '../machines/domain/pipeline.ts'
import type { ExecutorReport } from '../machines/domain/reports.ts'
import { machines, MACHINES_VERSION, type MachineKind } from '../machines/index.ts'
import type {
  CscInput,
  DisplayInput,
  GatherInput,
  IngestInput,
  JobInput,
  QueueInput,
  ReplyInput,
  ShelfInput,
} from '../machines/domain/inputs.ts'
import type { CscContext, CscEvent } from '../machines/csc.ts'
import type { DisplayContext, DisplayEvent } from '../machines/display.ts'
import type { IngestContext, IngestEvent } from '../machines/ingest.ts'
import type { GatherEvent } from '../machines/gather.ts'
import type { GatherContext } from '../machines/groupMembers.ts'
import type { JobEvent } from '../machines/job.ts'
import type { JobContext } from '../machines/jobContext.ts'
import type { QueueContext, QueueEvent } from '../machines/queue.ts'
import type { ReplyContext, ReplyEvent } from '../machines/reply.ts'
import type { ShelfContext, ShelfEvent } from '../machines/shelf.ts'
import { begin, step, type Step } from '../src/stepping/step.ts'

/*
 * What tests of decisions stand on: `given(machine).when(event)` for one machine, things to begin with, and which
 * transitions were taken; night.ts has a whole instance. Nothing here waits for real time or starts a
 * process; real adapters have their own tests.
 */

// ── one machine ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Machines {
  csc: { input: CscInput; context: CscContext; event: CscEvent }
  queue: { input: QueueInput; context: QueueContext; event: QueueEvent }
  job: { input: JobInput; context: JobContext; event: JobEvent }
  gather: { input: GatherInput; context: GatherContext; event: GatherEvent }
  reply: { input: ReplyInput; context: ReplyContext; event: ReplyEvent }
  shelf: { input: ShelfInput; context: ShelfContext; event: ShelfEvent }
  display: { input: DisplayInput; context: DisplayContext; event: DisplayEvent }
  ingest: { input: IngestInput; context: IngestContext; event: IngestEvent }
}

/** An event without the time it is heard at; the harness adds it. */
export type Unheard<E> = E extends unknown ? Omit<E, 'at'> : never

/** A machine after some events; never changed, so one beginning can have several ends. */
export interface Given<K extends MachineKind> {
  /** Spelled with dots: `open.flowing`. */
  readonly state: string
  readonly context: Machines[K]['context']
  readonly output: unknown
  readonly snapshot: AnyMachineSnapshot
  /** What the last `when`, or the beginning, let out. */
  readonly emissions: readonly Emission[]
  /** Armed and not cancelled: delay's name → milliseconds. */
  readonly timers: Readonly<Record<string, number>>
  /** Hears the events one after the other. */
  when(...events: readonly Unheard<Machines[K]['event']>[]): Given<K>
  /** The named delay has passed; an error when no such timer is armed. */
  after(delay: string): Given<K>
}

/** When everything in the tests begins: 2026-11-22 22:00 UTC. */
export const NIGHTFALL = Date.UTC(2026, 10, 22, 22)

export function given<K extends MachineKind>(kind: K, input: Omit<Machines[K]['input'], 'kind'>): Given<K> {
  const machine: AnyStateMachine = machines[kind]
  const whole = { ...input, kind, at: NIGHTFALL }
  noteBeginning(machine, whole)
  return wrap(kind, begin(machine, whole), new Map(), NIGHTFALL)
}

function wrap<K extends MachineKind>(
  kind: K,
  last: Step<Emission>,
  before: ReadonlyMap<string, number>,
  at: number,
): Given<K> {
  const machine: AnyStateMachine = machines[kind]
  const timers = new Map(before)
  for (const change of last.timers)
    if ('cancel' in change) timers.delete(change.cancel)
    else timers.set(change.arm, change.delayMs)
  const hear = (events: readonly EventObject[], armed: ReadonlyMap<string, number> = timers) => {
    let snapshot = last.snapshot
    const emissions: Emission[] = []
    const changes: Step['timers'][number][] = []
    for (const [index, event] of events.entries()) {
      const heard = { ...event, at: at + index + 1 }
      noteStep(machine, snapshot, heard)
      const next = step(machine, snapshot, heard)
      snapshot = next.snapshot
      emissions.push(...next.emissions)
      changes.push(...next.timers)
    }
    return wrap<K>(kind, { snapshot, emissions, timers: changes }, armed, at + events.length)
  }
  return {
    state: dotted(last.snapshot.value),
    context: last.snapshot.context as Machines[K]['context'],
    output: last.snapshot.output,
    snapshot: last.snapshot,
    emissions: last.emissions,
    timers: Object.fromEntries([...timers].map(([id, ms]) => [delayName(id), ms])),
    when: (...events) => hear(events),
    after: delay => {
      const id = [...timers.keys()].find(one => delayName(one) === delay)
      if (id === undefined) throw new Error(`no timer ${delay} is armed; there are ${[...timers.keys()].join(', ')}`)
      return hear([{ type: id }], new Map([...timers].filter(([one]) => one !== id)))
    },
  }
}

/** `{ open: 'flowing' }` as `open.flowing`. */
export function dotted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([name, inner]) => `${name}.${dotted(inner)}`)
    .join(' & ')
}

/** `xstate.after.backoff.job.backingOff` as `backoff`. */
function delayName(timer: string): string {
  return timer.split('.')[2] ?? timer
}

// ── transitions taken ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const taken = new Set<unknown>()

// Only XState's inspection says which transitions a macrostep took, `always` ones included; the underscored name is
// used here and nowhere else.
const scope = {
  self: { id: 'coverage', sessionId: 'coverage', _parent: undefined, send() {}, _send() {}, getSnapshot() {} },
  id: 'coverage',
  sessionId: 'coverage',
  logger() {},
  defer() {},
  emit() {},
  stopChild() {},
  system: {
    _sendInspectionEvent({ _transitions = [] }: { _transitions?: readonly unknown[] }) {
      for (const transition of _transitions) taken.add(transition)
    },
    get() {},
    getAll: () => ({}),
    scheduler: { schedule() {}, cancel() {}, cancelAll() {} },
  },
  actionExecutor() {},
} as unknown as AnyActorScope

function noteBeginning(machine: AnyStateMachine, input: unknown): void {
  machine.getInitialSnapshot(scope, input)
}

export function noteStep(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): void {
  try {
    machine.transition(snapshot, event, scope)
  } catch {
    // A broken invariant is the matter of the step itself, which throws it again.
  }
}

/** Transitions of a machine that no test in this file has taken: state, event, place among the guarded branches. */
export function transitionsNotTaken(kind: MachineKind): string[] {
  const machine: AnyStateMachine = machines[kind]
  const missing: string[] = []
  const visit = (node: AnyStateMachine['root']) => {
    const lists: [string, readonly { guard?: unknown }[]][] = [...node.transitions, ['always', node.always ?? []]]
    // A forbidden transition (`'engine.fault': {}`) is taken like any other.
    for (const [event, branches] of lists)
      for (const [index, branch] of branches.entries())
        if (!taken.has(branch)) missing.push(`${node.id} --${event}[${index}]${guardName(branch.guard)}`)
    for (const child of Object.values(node.states)) visit(child)
  }
  visit(machine.root)
  return missing
}

function guardName(guard: unknown): string {
  if (typeof guard === 'string') return ` if ${guard}`
  return typeof guard === 'object' && guard !== null && 'type' in guard ? ` if ${String(guard.type)}` : ''
}

// ── things to begin with ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function aPipeline(name: string, changes: Partial<Pipeline> = {}): Pipeline {
  return {
    name,
    description: `${name}, for tests`,
    scope: 'exposure',
    command: ['/bin/true', '{obsid}'],
    env: {},
    timeLimitMs: 60_000,
    graceMs: 5_000,
    slots: 1,
    outputMaxBytes: 1_000_000,
    retries: { attemptsMax: 1, backoffMs: 1_000, on: [] },
    overrides: {},
    configFiles: [],
    fallback: [],
    ...changes,
  }
}

/** Two slots, quicklook and detect over exposures, stack over groups; what a test needs otherwise it says. */
export function aConfiguration(changes: Partial<Configuration> = {}): Configuration {
  return {
    instrument: 'LATISS',
    mode: 'async',
    slots: 2,
    queueDepthMax: 100,
    order: 'fifo',
    ackTimeoutMs: 60_000,
    groups: { policy: 'partial', patienceMs: 300_000, late: 'regather', lingerMs: 3_600_000, pipeline: null },
    dataPath: '',
    pipelines: {
      quicklook: aPipeline('quicklook'),
      detect: aPipeline('detect', { scope: 'detector' }),
      stack: aPipeline('stack', { scope: 'group' }),
    },
    ...changes,
  }
}

export function aCaller(id: string, identity = 'script'): Caller {
  return { identity, id, reply: `_INBOX.${id}` }
}

/** One exposure, by quicklook, at once, and nothing else said. */
export function aProcessData(changes: Partial<ProcessDataCommand> = {}): ProcessDataCommand {
  return {
    type: 'command.processData',
    caller: aCaller('m1'),
    jobId: 'j1',
    dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null },
    detectors: [],
    pipeline: 'quicklook',
    overrides: {},
    configFile: null,
    version: '',
    priority: 0,
    after: [],
    readiness: { policy: 'runNow' },
    timeLimitMs: null,
    groupRules: null,
    ...changes,
  }
}

/** The job `old` once more, as it was asked for. */
export function aRetry(changes: Partial<RetryCommand> = {}): RetryCommand {
  return {
    type: 'command.retry',
    caller: aCaller('m1'),
    jobId: 'again',
    of: { by: 'jobId', jobId: 'old' },
    pipeline: null,
    overrides: null,
    version: null,
    ...changes,
  }
}

export const USAGE: Usage = {
  wallMs: 1_000,
  cpuMs: 900,
  peakMemoryKiB: 10_000,
  stdoutBytes: 0,
  stderrBytes: 0,
  stoppedBy: null,
  survivors: 0,
}

export function exit(jobId: string, attempt: number, how: { exitCode?: number; signal?: string; stderrTail?: string }) {
  const { exitCode = null, signal = null, stderrTail = '' } = how
  return { type: 'executor.exited', jobId, attempt, exitCode, signal, usage: USAGE, stderrTail } as const
}

/**
 * A report that breaks the machine of its job: no executor sends it, a defect would. It survives the journal, so that
 * recovery breaks alike.
 */
export function breaking(jobId: string, attempt = 1): Report {
  return { ...exit(jobId, attempt, { exitCode: 1 }), stderrTail: null } as unknown as Report
}

export function loaded(configuration: Configuration, file = '_init.yaml'): LoadedConfiguration {
  const where = { version: 'sha256:0', url: 'file:///config', schemaVersion: 'v1' }
  return {
    ok: true,
    configuration,
    applied: { configurations: file, ...where, otherInfo: '' },
    available: { overrides: 'night.yaml', ...where },
  }
}

export const STARTED: Extract<Input, { type: 'engine.started' }> = {
  type: 'engine.started',
  instance: 'LATISS',
  simulationMode: 0,
  versions: { ocps: '0.1.0', xstate: '5.33.3', node: '20.20.2', machines: MACHINES_VERSION },
  available: { overrides: 'night.yaml', version: 'sha256:0', url: 'file:///config', schemaVersion: 'v1' },
  host: 'summit',
  pid: 4_711,
  promise: 'power-safe',
}

export type Report =
  | ExecutorReport
  | Extract<Message, { type: 'data.present' | 'data.absent' | 'data.located' | 'data.ingested' }>
