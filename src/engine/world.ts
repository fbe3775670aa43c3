import type { AnyMachineSnapshot, AnyStateMachine, EventObject, StateValue } from 'xstate'
import { ACK, type Acknowledgement, type Announcement, type DisplayImage } from '../../machines/domain/announcements.ts'
import type { Caller, Command } from '../../machines/domain/commands.ts'
import {
  gatherAddress,
  jobAddress,
  type Address,
  type Checkpoint,
  type Emission,
  type End,
  type Input,
  type Known,
  type Message,
  type Order,
  type Quiescent,
  type QuietActor,
  type Whole,
} from '../../machines/domain/messages.ts'
import type { Outcome } from '../../machines/domain/outcome.ts'
import type { JobOutput } from '../../machines/job.ts'
import { machines, MACHINES_VERSION, type MachineInput, type MachineKind } from '../../machines/index.ts'
import type { Entry } from '../journal/entry.ts'
import { createAssembly, type Assembly } from './checkpoint.ts'
import { prepare, type Compiled, type Step } from './step.ts'
import { Deadlines, type Timer } from './timers.ts'

/**
 * Every live actor of an instance, stepped entry by entry. A pure function in disguise: the same entries always give the same effects, in the same
 * order, with the same numbers; live operation, recovery, replay and simulation all are `apply`. It carries nothing out.
 */
export interface World {
  /** Delivers one entry and everything that follows from it. */
  apply(entry: Entry): readonly Effect[]
  /** The next timer to fire, or undefined. */
  nextDue(): Timer | undefined
  /** Takes the next timer off; it fires when its `clock.due` is applied. */
  takeDue(): Timer | undefined
  actor(address: Address): Actor | undefined
  /** Live actors of a kind, in the order they were opened. */
  actors(kind: MachineKind): Iterable<Actor>
  /** How many actors live. */
  readonly size: number
  /** What a quiescent entry holds of the actors, or null while anything is open. */
  quiet(): Pick<Quiescent, 'actors' | 'ended'> | null
  /** Another world in the same state, which goes its own way from here; within one process, and much cheaper than a checkpoint. */
  fork(observer?: Observer): World
  /** What a checkpoint holds of the actors, whatever they are doing. */
  whole(): Pick<Whole, 'actors' | 'ended'>
  /** What an actor that ended left behind; undefined if it lives, never was, or ended long ago. */
  ended(address: Address): End | undefined
}

export interface Actor {
  readonly address: Address
  readonly kind: MachineKind
  readonly snapshot: AnyMachineSnapshot
  /** Timer id → due, milliseconds since 1970 UTC. */
  readonly timers: ReadonlyMap<string, number>
}

/** What the outside has to do. Announcements are numbered: entry, then place within the entry. */
export type Effect =
  | { readonly do: 'announce'; readonly id: string; readonly at: number; readonly announcement: Announcement }
  | { readonly do: 'order'; readonly order: Order }

export interface Observer {
  /** After every step: who, what it heard, what it was and is, what it said. */
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
}

// A finished job is asked for by those who run after it and by abort. Prerequisites look back minutes; at 189 detectors every 30 s these are 26. As many
// are in every mark, so that living on from one and beginning there is the same.
const ENDED_MAX = 10_000

// There is one of each, always: a broken one stays as it was before it broke.
const PERMANENT: ReadonlySet<MachineKind> = new Set(['csc', 'queue', 'shelf'])

// Where a group waits for nothing but to be forgotten.
const RESTING: ReadonlySet<string> = new Set(['gathered', 'abandoned'])

// The code of errorCode when a machine breaks. 1 and 2 are taken by the Python OCPS (execution service out of reach, pipeline failed).
const MACHINE_BROKEN = 3

interface LiveActor extends Actor {
  snapshot: AnyMachineSnapshot
  readonly machine: Compiled
  readonly timers: Map<string, number>
  readonly watchers: Set<Address>
}

/** All that a world is between two entries. */
interface Grown {
  readonly actors: Iterable<LiveActor>
  readonly ended: ReadonlyMap<Address, End>
  readonly deadlines: Deadlines
  readonly serial: number
  readonly assembly: Assembly
  readonly beganAt: number
}

export function createWorld(options: { instance: string; observer?: Observer }): World {
  return grow(options)
}

function grow({ instance, observer }: { instance: string; observer?: Observer }, grown?: Grown): World {
  const actors = new Map<Address, LiveActor>()
  const byKind: Record<MachineKind, Map<Address, LiveActor>> = {
    csc: new Map(),
    queue: new Map(),
    job: new Map(),
    gather: new Map(),
    reply: new Map(),
    shelf: new Map(),
    display: new Map(),
  }
  const endedActors = new Map<Address, End>(grown?.ended)
  const deadlines = new Deadlines(grown?.deadlines)
  const mailbox: { to: Address; message: Message }[] = []
  let serial = grown?.serial ?? 0
  let effects: Effect[] = []
  let spoken = 0
  /** Who sent the command that is being applied. */
  let asked: Caller | null = null
  let entry: Pick<Entry, 'n' | 'at'> = { n: 0, at: 0 }
  const assembly = createAssembly(grown?.assembly)
  /** Of the first entry; 0: nothing has been applied. */
  let beganAt = grown?.beganAt ?? 0

  for (const actor of grown?.actors ?? []) {
    actors.set(actor.address, actor)
    byKind[actor.kind].set(actor.address, actor)
  }
  open('queue', { kind: 'queue', instance })
  open('shelf', { kind: 'shelf' })
  open('csc', { kind: 'csc', instance })

  return {
    apply(next) {
      entry = next
      beganAt ||= next.n
      effects = []
      spoken = 0
      asked = 'caller' in next.what ? next.what.caller : null
      route(next.what)
      // By index: shift() would move the whole list for each of the 100 000 jobs an operator may abort at once.
      for (let at = 0; at < mailbox.length; at++) {
        const mail = mailbox[at]
        if (mail) deliver(mail.to, mail.message)
      }
      mailbox.length = 0
      return effects
    },
    nextDue() {
      for (let first = deadlines.peek(); first; first = deadlines.peek()) {
        if (actors.get(first.address)?.timers.get(first.timer) === first.due) return first
        deadlines.pop()
      }
      return undefined
    },
    takeDue() {
      return this.nextDue() && deadlines.pop()
    },
    actor: address => actors.get(address),
    actors: kind => byKind[kind].values(),
    ended: address => endedActors.get(address),
    get size() {
      return actors.size
    },
    quiet() {
      const gathers = [...byKind.gather.values()]
      const isOpen =
        byKind.job.size > 0 ||
        byKind.reply.size > 0 ||
        gathers.some(({ snapshot }) => !RESTING.has(String(snapshot.value)))
      return isOpen ? null : whole()
    },
    whole,
    fork(another) {
      const copies = [...actors.values()].map(copyOf)
      const grownSoFar = { actors: copies, ended: endedActors, deadlines, serial, assembly, beganAt }
      return grow({ instance, ...(another && { observer: another }) }, grownSoFar)
    },
  }

  function whole(): Pick<Whole, 'actors' | 'ended'> {
    const kept = [...endedActors].filter(([address]) => address.startsWith('job.'))
    return {
      actors: [...actors.values()].map(freeze),
      ended: kept.map(([address, end]) => [address.slice('job.'.length), kindOf(end)]),
    }
  }

  function route(what: Input): void {
    switch (what.type) {
      case 'clock.due': {
        const actor = actors.get(what.address)
        const due = actor?.timers.get(what.timer)
        // Cancelled, or armed anew for later, while its firing was being written down.
        if (actor === undefined || due === undefined || due > entry.at) return
        actor.timers.delete(what.timer)
        hear(actor, { type: what.timer, at: entry.at })
        return
      }
      case 'executor.started':
      case 'executor.metric':
      case 'executor.dataset':
      case 'executor.progress':
      case 'executor.verdict':
      case 'executor.badReport':
      case 'executor.exited':
      case 'executor.startFailed':
      case 'executor.lost':
      case 'data.present':
      case 'data.absent':
        return deliver(jobAddress(what.jobId), what)
      case 'engine.quiescent':
        if (isUnderstood(what)) settleInto(what)
        return
      case 'engine.checkpoint': {
        const whole = assembly.take(what)
        if (whole && isUnderstood(what)) settleInto(whole)
        return
      }
      case 'engine.said':
        return
      case 'engine.started':
      case 'engine.fault':
      case 'engine.configurationsAvailable':
        return deliver('csc', what)
      case 'command.start':
      case 'command.reload':
      case 'command.enable':
      case 'command.disable':
      case 'command.standby':
      case 'command.exitControl':
      case 'command.setLogLevel':
      case 'command.processData':
      case 'command.abortJob':
      case 'command.closeGroup':
      case 'command.retry':
      case 'command.pause':
      case 'command.resume':
        return deliver('csc', { known: knownTo(what), ...what })
    }
  }

  /** What other machines left may mean something else to these; only who begins with it has no choice. */
  function isUnderstood(mark: Quiescent | Checkpoint): boolean {
    return (
      mark.machines === MACHINES_VERSION || entry.n - (mark.type === 'engine.checkpoint' ? mark.of - 1 : 0) === beganAt
    )
  }

  /** The same whether the world has lived until here or begins here: that is what makes beginning here right. */
  function settleInto(whole: Pick<Whole, 'actors' | 'ended'>): void {
    actors.clear()
    for (const kind of Object.values(byKind)) kind.clear()
    endedActors.clear()
    // Those armed before are armed again below; twice in the heap they would fire twice.
    deadlines.clear()
    for (const frozen of whole.actors) {
      const actor = thaw(frozen)
      actors.set(actor.address, actor)
      byKind[actor.kind].set(actor.address, actor)
      for (const [timer, due] of actor.timers) deadlines.push({ address: actor.address, timer, due, serial: ++serial })
    }
    for (const [jobId, kind] of whole.ended)
      endedActors.set(jobAddress(jobId), { how: 'done', output: { jobId, outcome: { kind } } })
  }

  function deliver(to: Address, message: Message | (Command & { readonly known: Known })): void {
    if (to.endsWith('.*')) {
      // A copy: those who hear may end.
      for (const address of Array.from(byKind[to.slice(0, -2) as MachineKind].keys())) deliver(address, message)
      return
    }
    const actor = actors.get(to)
    // What is spread comes last: V8 copies it in one go, but adds a field to a copy some ten times slower.
    if (actor) hear(actor, { at: entry.at, ...message })
  }

  function hear(actor: LiveActor, event: EventObject & { at: number }): void {
    const before = actor.snapshot
    let next: Step
    try {
      next = actor.machine.step(before, event)
    } catch (error) {
      return breakDown(actor, event, error)
    }
    actor.snapshot = next.snapshot
    observer?.stepped(actor, event, before, next.emissions)
    follow(actor, next)
  }

  function open(address: Address, input: MachineInput): void {
    if (actors.has(address)) return
    const machine = prepare(machines[input.kind])
    let first: Step
    try {
      first = machine.begin({ at: entry.at, ...input })
    } catch (error) {
      return breakAtBirth(address, machines[input.kind], input, error)
    }
    const actor: LiveActor = {
      address,
      kind: input.kind,
      machine,
      snapshot: first.snapshot,
      timers: new Map(),
      watchers: new Set(),
    }
    actors.set(address, actor)
    byKind[input.kind].set(address, actor)
    observer?.stepped(actor, { type: 'xstate.init' }, null, first.emissions)
    follow(actor, first)
  }

  /** Carries out what a step asked for, inside the world; the rest becomes effects. */
  function follow(actor: LiveActor, { snapshot, emissions, timers }: Step): void {
    for (const change of timers) {
      if ('cancel' in change) actor.timers.delete(change.cancel)
      else {
        const due = entry.at + change.delayMs
        actor.timers.set(change.arm, due)
        deadlines.push({ address: actor.address, timer: change.arm, due, serial: ++serial })
      }
    }
    for (const emission of emissions) carry(actor, emission)
    if (snapshot.status === 'done') end(actor, { how: 'done', output: snapshot.output })
  }

  function carry(actor: LiveActor, emission: Emission): void {
    switch (emission.type) {
      case 'tell':
        mailbox.push(emission)
        return
      case 'open':
        return open(emission.address, emission.input)
      case 'watch': {
        const watched = actors.get(emission.address)
        if (watched) watched.watchers.add(actor.address)
        else
          mailbox.push({
            to: actor.address,
            message: {
              type: 'actor.ended',
              address: emission.address,
              end: endedActors.get(emission.address) ?? { how: 'unknown' },
            },
          })
        return
      }
      case 'executor.start':
      case 'executor.stop':
      case 'data.look':
      case 'data.forget':
        effects.push({ do: 'order', order: emission })
        return
      case 'ack':
      case 'event':
      case 'telemetry':
        announce(emission)
    }
  }

  function announce(announcement: Announcement): void {
    // Told here and not by the job, which so takes no step more for it and cannot break over it. Without interests nobody is there to be told.
    if (byKind.display.size > 0 && announcement.type === 'telemetry' && announcement.topic === 'dataset')
      mailbox.push({ to: 'display', message: { type: 'display.offer', image: imageOf(announcement) } })
    effects.push({ do: 'announce', id: `${entry.n}.${spoken++}`, at: entry.at, announcement })
  }

  function end(actor: LiveActor, how: End): void {
    actors.delete(actor.address)
    byKind[actor.kind].delete(actor.address)
    actor.timers.clear()
    endedActors.set(actor.address, how)
    if (endedActors.size > ENDED_MAX) {
      const oldest = endedActors.keys().next()
      if (!oldest.done) endedActors.delete(oldest.value)
    }
    for (const watcher of actor.watchers)
      mailbox.push({ to: watcher, message: { type: 'actor.ended', address: actor.address, end: how } })
  }

  /** It never lived, and ends as one that broke: whoever watches it settles for it. */
  function breakAtBirth(address: Address, machine: AnyStateMachine, input: MachineInput, error: unknown): void {
    // What there must be one of is opened with the world; a world without it is none.
    if (PERMANENT.has(input.kind)) throw error
    // As when one breaks down: a picture that is not shown is no reason for FAULT.
    if (input.kind === 'display') return
    const { context } = machine.config as { context: (args: { input: object }) => unknown }
    endedActors.set(address, { how: 'broken', context: context({ input: { at: entry.at, ...input } }) })
    fault(input.kind, `actor ${address} when it was opened`, error)
  }

  /** A machine threw: it stays as it was before (csc, queue) or ends (all others), and the CSC goes to FAULT with the evidence. */
  function breakDown(actor: LiveActor, event: EventObject, error: unknown): void {
    // It stays as it was: a picture that is not shown is no reason for FAULT, which would hold up every job.
    if (actor.kind === 'display') return
    if (event.type === 'engine.fault')
      throw new Error(`the csc machine broke while it went to FAULT: ${textOf(error)}`, { cause: error })
    if (!PERMANENT.has(actor.kind)) end(actor, { how: 'broken', context: actor.snapshot.context })
    fault(actor.kind, `actor ${actor.address} in state ${JSON.stringify(actor.snapshot.value)} on ${event.type}`, error)
  }

  function fault(kind: MachineKind, where: string, error: unknown): void {
    if (asked && !effects.some(effect => effect.do === 'announce' && effect.announcement.type === 'ack'))
      announce(brokenAnswer(asked))
    mailbox.push({
      to: 'csc',
      message: {
        type: 'engine.fault',
        errorCode: MACHINE_BROKEN,
        errorReport: `${kind} machine: ${textOf(error)}`,
        traceback: `${where}, journal entry ${entry.n}`,
      },
    })
  }

  function knownTo(command: Extract<Input, { caller: unknown }>): Known {
    const known: Record<Address, Known[Address]> = {}
    for (const address of namedBy(command))
      known[address] = actors.has(address) ? 'open' : endedActors.has(address) ? 'ended' : 'unknown'
    return known
  }
}

function imageOf({ jobId, dataId, pipeline, body }: Extract<Announcement, { topic: 'dataset' }>): DisplayImage {
  return { jobId, dataId, pipeline, ...body }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Who sent the command a machine broke on is told, and not left waiting. */
function brokenAnswer(caller: Caller): Acknowledgement {
  const result = 'Failed: OCPS broke while it handled this command; see errorCode'
  return { type: 'ack', caller, body: { ack: ACK.FAILED, error: 1, result, code: 'INTERNAL', jobIds: [], timeout: 0 } }
}

/** Snapshots are never changed in place. */
function copyOf(actor: LiveActor): LiveActor {
  return { ...actor, timers: new Map(actor.timers), watchers: new Set(actor.watchers) }
}

function freeze({ address, kind, snapshot, timers, watchers }: LiveActor): QuietActor {
  const history = (snapshot as unknown as { historyValue: Record<string, { id: string }[]> }).historyValue
  return {
    address,
    kind,
    value: snapshot.value,
    context: snapshot.context,
    history: Object.fromEntries(Object.entries(history).map(([id, nodes]) => [id, nodes.map(node => node.id)])),
    timers: [...timers],
    ...(watchers.size > 0 && { watchers: [...watchers] }),
  }
}

function thaw({ address, kind, value, context, history, timers, watchers }: QuietActor): LiveActor {
  const machine: AnyStateMachine = machines[kind]
  const historyValue = Object.fromEntries(
    Object.entries(history).map(([id, nodes]) => [id, nodes.map(node => machine.getStateNodeById(node))]),
  )
  const snapshot = machine.resolveState({ value: value as StateValue, context, historyValue })
  return { address, kind, machine: prepare(machine), snapshot, timers: new Map(timers), watchers: new Set(watchers) }
}

function kindOf(end: End): Outcome['kind'] {
  return end.how === 'done' ? (end.output as JobOutput).outcome.kind : 'failed'
}

/** The jobs and groups a command speaks of. */
function namedBy(command: Extract<Input, { caller: unknown }>): Address[] {
  switch (command.type) {
    case 'command.processData':
      return [
        ...command.after.map(({ jobId }) => jobAddress(jobId)),
        ...(command.dataId.group === null ? [] : [gatherAddress(command.dataId.group)]),
      ]
    case 'command.abortJob':
      return [jobAddress(command.jobId)]
    case 'command.closeGroup':
      return [gatherAddress(command.group)]
    case 'command.retry':
    case 'command.start':
    case 'command.reload':
    case 'command.enable':
    case 'command.disable':
    case 'command.standby':
    case 'command.exitControl':
    case 'command.setLogLevel':
    case 'command.pause':
    case 'command.resume':
      return []
  }
}

/** Where an announcement stands in the order of all of them, for comparing ids. Asked for every one that is folded: nothing is split up, and no sentence made for nothing. */
export function isAfter(id: string, other: string | null): boolean {
  if (other === null) return true
  const n = Number.parseInt(id, 10)
  const m = Number.parseInt(other, 10)
  if (Number.isNaN(n) || Number.isNaN(m))
    throw new Error(`invariant: announcement ids ${id} and ${other} are not numbers`)
  return n > m || (n === m && placeIn(id) > placeIn(other))
}

/** The 3 of `12.3`, and of `12.3.job_result`. */
function placeIn(id: string): number {
  const dot = id.indexOf('.')
  return dot === -1 ? 0 : Number.parseInt(id.slice(dot + 1), 10)
}
