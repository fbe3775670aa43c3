import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { ACK, type Acknowledgement, type Announcement, type DisplayImage } from '../../machines/domain/announcements.ts'
import type { Caller, Command } from '../../machines/domain/commands.ts'
import {
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
  type Whole,
} from '../../machines/domain/messages.ts'
import { machines, MACHINES_VERSION, type MachineInput, type MachineKind } from '../../machines/index.ts'
import { elapsedAt, type Entry } from '../journal/entry.ts'
import { createAssembly, type Assembly } from './checkpoint.ts'
import { namedBy } from './naming.ts'
import { Population, type Actor, type LiveActor } from './population.ts'
import { prepare, type Step } from '../stepping/step.ts'
import type { Timer } from './timers.ts'

/**
 * Every live actor of an instance, stepped entry by entry. A pure function in disguise: the same entries always give
 * the same effects, in the same order, with the same numbers; live operation, recovery, replay and simulation all are
 * `apply`. It carries nothing out.
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
  /** When a timer is due by the wall clock, as far as that is known now; milliseconds since 1970 UTC. */
  onTheWall(due: number): number
  /** How many actors live. */
  readonly size: number
  /** What a quiescent entry holds of the actors, or null while anything is open. */
  quiet(): Pick<Quiescent, 'actors' | 'ended'> | null
  /** Another world in the same state, which goes its own way from here; much cheaper than a checkpoint. */
  fork(observer?: StepObserver): World
  /** What a checkpoint holds of the actors, whatever they are doing. */
  whole(): Pick<Whole, 'actors' | 'ended'>
  /** What an actor that ended left behind; undefined if it lives, never was, or ended long ago. */
  ended(address: Address): End | undefined
}

export type { Actor }

/** What the outside has to do. Announcements are numbered: entry, then place within the entry. */
export type Effect =
  | { readonly do: 'announce'; readonly id: string; readonly at: number; readonly announcement: Announcement }
  | { readonly do: 'order'; readonly order: Order }

export interface StepObserver {
  /** After every step: who, what it heard, what it was and is, what it said. */
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
}

// There is one of each, always: a broken one stays as it was before it broke.
const PERMANENT: ReadonlySet<MachineKind> = new Set(['csc', 'queue', 'shelf'])

// The errorCode of a broken machine. 1 and 2 are the Python OCPS's (service out of reach, pipeline failed).
const MACHINE_BROKEN = 3

export function createWorld(options: { instance: string; observer?: StepObserver }): World {
  return new LivingWorld(options)
}

class LivingWorld implements World {
  readonly #instance: string
  readonly #observer: StepObserver | undefined
  readonly #people: Population
  readonly #assembly: Assembly
  readonly #mailbox: { to: Address; message: Message }[] = []
  #effects: Effect[] = []
  #spoken = 0
  /** Who sent the command that is being applied. */
  #asked: Caller | null = null
  #entry: Pick<Entry, 'n' | 'at' | 'steppedMs'>
  /** Of the first entry; 0: nothing has been applied. */
  #beganAt: number

  constructor({ instance, observer }: { instance: string; observer?: StepObserver }, like?: LivingWorld) {
    this.#instance = instance
    this.#observer = observer
    this.#people = new Population(like ? like.#people : undefined)
    this.#assembly = createAssembly(like ? like.#assembly : undefined)
    this.#entry = like ? like.#entry : { n: 0, at: 0 }
    this.#beganAt = like ? like.#beganAt : 0
    this.#open('queue', { kind: 'queue', instance })
    this.#open('shelf', { kind: 'shelf' })
    this.#open('csc', { kind: 'csc', instance })
  }

  apply(next: Entry): readonly Effect[] {
    this.#entry = next
    this.#beganAt ||= next.n
    this.#effects = []
    this.#spoken = 0
    this.#asked = 'caller' in next.what ? next.what.caller : null
    this.#route(next.what)
    // By index: shift() would move the whole list for each of the 100 000 jobs an operator may abort at once.
    for (let at = 0; at < this.#mailbox.length; at++) {
      const mail = this.#mailbox[at]
      if (mail) this.#deliver(mail.to, mail.message)
    }
    this.#mailbox.length = 0
    return this.#effects
  }

  nextDue(): Timer | undefined {
    return this.#people.nextDue()
  }

  takeDue(): Timer | undefined {
    return this.#people.takeDue()
  }

  onTheWall(due: number): number {
    return due + (this.#entry.steppedMs ?? 0)
  }

  actor(address: Address): Actor | undefined {
    return this.#people.get(address)
  }

  actors(kind: MachineKind): Iterable<Actor> {
    return this.#people.ofKind(kind).values()
  }

  get size(): number {
    return this.#people.size
  }

  ended(address: Address): End | undefined {
    return this.#people.ended(address)
  }

  quiet(): Pick<Quiescent, 'actors' | 'ended'> | null {
    return this.#people.isQuiet() ? this.whole() : null
  }

  whole(): Pick<Whole, 'actors' | 'ended'> {
    return this.#people.whole()
  }

  fork(observer?: StepObserver): World {
    return new LivingWorld({ instance: this.#instance, ...(observer && { observer }) }, this)
  }

  #route(what: Input): void {
    switch (what.type) {
      case 'clock.due': {
        const actor = this.#people.get(what.address)
        const due = actor?.timers.get(what.timer)
        // Cancelled, or armed anew for later, while its firing was being written down.
        if (actor === undefined || due === undefined || due > elapsedAt(this.#entry)) return
        actor.timers.delete(what.timer)
        this.#hear(actor, { type: what.timer, at: this.#entry.at })
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
      case 'data.located':
      case 'data.absent':
        return this.#deliver(jobAddress(what.jobId), what)
      case 'data.ingested':
        return this.#deliver('ingest', what)
      case 'engine.quiescent':
        if (this.#isUnderstood(what)) this.#people.settleInto(what)
        return
      case 'engine.checkpoint': {
        const whole = this.#assembly.take(what)
        if (whole && this.#isUnderstood(what)) this.#people.settleInto(whole)
        return
      }
      case 'engine.said':
        return
      case 'engine.started':
      case 'engine.fault':
      case 'engine.configurationsAvailable':
      case 'executor.unreachable':
        return this.#deliver('csc', what)
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
        return this.#deliver('csc', { known: this.#knownTo(what), ...what })
    }
  }

  /** What other machines left may mean something else to these; only who begins with it has no choice. */
  #isUnderstood(mark: Quiescent | Checkpoint): boolean {
    return (
      mark.machines === MACHINES_VERSION ||
      this.#entry.n - (mark.type === 'engine.checkpoint' ? mark.of - 1 : 0) === this.#beganAt
    )
  }

  #deliver(to: Address, message: Message | (Command & { readonly known: Known })): void {
    if (to.endsWith('.*')) {
      // A copy: those who hear may end.
      for (const address of Array.from(this.#people.ofKind(to.slice(0, -2) as MachineKind).keys()))
        this.#deliver(address, message)
      return
    }
    const actor = this.#people.get(to)
    // What is spread comes last: V8 copies it in one go, but adds a field to a copy some ten times slower.
    if (actor) this.#hear(actor, { at: this.#entry.at, ...message })
  }

  #hear(actor: LiveActor, event: EventObject & { at: number }): void {
    const before = actor.snapshot
    let next: Step<Emission>
    try {
      next = actor.machine.step(before, event)
    } catch (error) {
      return this.#breakDown(actor, event, error)
    }
    actor.snapshot = next.snapshot
    this.#observer?.stepped(actor, event, before, next.emissions)
    this.#follow(actor, next)
  }

  #open(address: Address, input: MachineInput): void {
    if (this.#people.has(address)) return
    const machine = prepare(machines[input.kind])
    let first: Step<Emission>
    try {
      first = machine.begin({ at: this.#entry.at, ...input })
    } catch (error) {
      return this.#breakAtBirth(address, machines[input.kind], input, error)
    }
    const actor: LiveActor = {
      address,
      kind: input.kind,
      machine,
      snapshot: first.snapshot,
      timers: new Map(),
      watchers: new Set(),
    }
    this.#people.add(actor)
    this.#observer?.stepped(actor, { type: 'xstate.init' }, null, first.emissions)
    this.#follow(actor, first)
  }

  /** Carries out what a step this.#asked for, inside the world; the rest becomes this.#effects. */
  #follow(actor: LiveActor, { snapshot, emissions, timers }: Step<Emission>): void {
    for (const change of timers) {
      if ('cancel' in change) actor.timers.delete(change.cancel)
      else {
        const due = elapsedAt(this.#entry) + change.delayMs
        this.#people.arm(actor, change.arm, due)
      }
    }
    for (const emission of emissions) this.#carry(actor, emission)
    if (snapshot.status === 'done') this.#end(actor, { how: 'done', output: snapshot.output })
  }

  #carry(actor: LiveActor, emission: Emission): void {
    switch (emission.type) {
      case 'tell':
        this.#mailbox.push(emission)
        return
      case 'open':
        return this.#open(emission.address, emission.input)
      case 'watch': {
        const watched = this.#people.get(emission.address)
        if (watched) watched.watchers.add(actor.address)
        else
          this.#mailbox.push({
            to: actor.address,
            message: {
              type: 'actor.ended',
              address: emission.address,
              end: this.#people.ended(emission.address) ?? { how: 'unknown' },
            },
          })
        return
      }
      case 'data.look':
      case 'data.forget':
        // What was ingested is known here, where a camera is configured; only what is not known goes out.
        if (actor.kind !== 'ingest' && this.#people.has('ingest')) {
          this.#mailbox.push({ to: 'ingest', message: emission })
          return
        }
        this.#effects.push({ do: 'order', order: emission })
        return
      case 'executor.start':
      case 'executor.stop':
      case 'data.follow':
        this.#effects.push({ do: 'order', order: emission })
        return
      case 'ack':
      case 'event':
      case 'telemetry':
        this.#announce(emission)
    }
  }

  #announce(announcement: Announcement): void {
    // Told here and not by the job, which so takes no step more for it and cannot break over it. Without interests
    // nobody is there to be told.
    const isShown = this.#people.ofKind('display').size > 0
    if (isShown && announcement.type === 'telemetry' && announcement.topic === 'dataset')
      this.#mailbox.push({ to: 'display', message: { type: 'display.offer', image: imageOf(announcement) } })
    this.#effects.push({ do: 'announce', id: `${this.#entry.n}.${this.#spoken++}`, at: this.#entry.at, announcement })
  }

  #end(actor: LiveActor, how: End): void {
    this.#people.remove(actor, how)
    for (const watcher of actor.watchers)
      this.#mailbox.push({ to: watcher, message: { type: 'actor.ended', address: actor.address, end: how } })
  }

  /** It never lived, and ends as one that broke: whoever watches it settles for it. */
  #breakAtBirth(address: Address, machine: AnyStateMachine, input: MachineInput, error: unknown): void {
    // What there must be one of is opened with the world; a world without it is none.
    if (PERMANENT.has(input.kind)) throw error
    // As when one breaks down: a picture that is not shown is no reason for FAULT.
    if (input.kind === 'display') return
    const { context } = machine.config as { context: (args: { input: object }) => unknown }
    this.#people.noteEnd(address, { how: 'broken', context: context({ input: { at: this.#entry.at, ...input } }) })
    this.#fault(input.kind, `actor ${address} when it was opened`, error)
  }

  /** A machine threw: it stays as it was before (csc, queue) or ends (all others); the CSC goes to FAULT. */
  #breakDown(actor: LiveActor, event: EventObject, error: unknown): void {
    // It stays as it was: a picture that is not shown is no reason for FAULT, which would hold up every job.
    if (actor.kind === 'display') return
    if (event.type === 'engine.fault')
      throw new Error(`the csc machine broke while it went to FAULT: ${textOf(error)}`, { cause: error })
    if (!PERMANENT.has(actor.kind)) this.#end(actor, { how: 'broken', context: actor.snapshot.context })
    this.#fault(
      actor.kind,
      `actor ${actor.address} in state ${JSON.stringify(actor.snapshot.value)} on ${event.type}`,
      error,
    )
  }

  #fault(kind: MachineKind, where: string, error: unknown): void {
    if (this.#asked && !this.#effects.some(effect => effect.do === 'announce' && effect.announcement.type === 'ack'))
      this.#announce(brokenAnswer(this.#asked))
    this.#mailbox.push({
      to: 'csc',
      message: {
        type: 'engine.fault',
        errorCode: MACHINE_BROKEN,
        errorReport: `${kind} machine: ${textOf(error)}`,
        traceback: `${where}, journal entry ${this.#entry.n}`,
      },
    })
  }

  #knownTo(command: Extract<Input, { caller: unknown }>): Known {
    const known: Record<Address, Known[Address]> = {}
    for (const address of namedBy(command))
      known[address] = this.#people.has(address) ? 'open' : this.#people.ended(address) ? 'ended' : 'unknown'
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
