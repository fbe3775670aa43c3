import type { AnyMachineSnapshot, AnyStateMachine, StateValue } from 'xstate'
import {
  jobAddress,
  type Address,
  type Emission,
  type End,
  type QuietActor,
  type Whole,
} from '../../machines/domain/messages.ts'
import type { Outcome } from '../../machines/domain/outcome.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { machines, type MachineKind } from '../../machines/index.ts'
import { prepare, type Compiled } from '../stepping/step.ts'
import { Deadlines, type Timer } from './timers.ts'

/**
 * Who lives in a world, who ended lately, and whose timers are due when. Keeps the books together; what an actor hears
 * and what follows from it is world.ts's.
 */
export interface Actor {
  readonly address: Address
  readonly kind: MachineKind
  readonly snapshot: AnyMachineSnapshot
  /** Timer id → due, in elapsed time (journal/entry.ts); for people see World.onTheWall. */
  readonly timers: ReadonlyMap<string, number>
}

export interface LiveActor extends Actor {
  snapshot: AnyMachineSnapshot
  readonly machine: Compiled<Emission>
  readonly timers: Map<string, number>
  readonly watchers: Set<Address>
}

// A finished job is asked for by those who run after it and by abort. Prerequisites look back minutes; at 189 detectors
// every 30 s these are 26. As many are in every mark, so that living on from one and beginning there is the same.
const ENDED_MAX = 10_000

// Where a group waits for nothing but to be forgotten.
const RESTING: ReadonlySet<string> = new Set(['gathered', 'abandoned'])

export class Population {
  readonly #actors = new Map<Address, LiveActor>()
  readonly #byKind: Record<MachineKind, Map<Address, LiveActor>> = {
    csc: new Map(),
    queue: new Map(),
    job: new Map(),
    gather: new Map(),
    reply: new Map(),
    shelf: new Map(),
    display: new Map(),
    ingest: new Map(),
  }
  readonly #ended: Map<Address, End>
  readonly #deadlines: Deadlines
  #serial: number

  /** The same people with the same timers, who go their own way from here. */
  constructor(like?: Population) {
    this.#ended = new Map(like ? like.#ended : [])
    this.#deadlines = new Deadlines(like ? like.#deadlines : undefined)
    this.#serial = like ? like.#serial : 0
    if (like) for (const actor of like.#actors.values()) this.add(copyOf(actor))
  }

  get size(): number {
    return this.#actors.size
  }

  has(address: Address): boolean {
    return this.#actors.has(address)
  }

  get(address: Address): LiveActor | undefined {
    return this.#actors.get(address)
  }

  /** In the order they were opened. */
  ofKind(kind: MachineKind): ReadonlyMap<Address, LiveActor> {
    return this.#byKind[kind]
  }

  ended(address: Address): End | undefined {
    return this.#ended.get(address)
  }

  add(actor: LiveActor): void {
    this.#actors.set(actor.address, actor)
    this.#byKind[actor.kind].set(actor.address, actor)
  }

  remove(actor: LiveActor, how: End): void {
    this.#actors.delete(actor.address)
    this.#byKind[actor.kind].delete(actor.address)
    actor.timers.clear()
    this.noteEnd(actor.address, how)
  }

  noteEnd(address: Address, how: End): void {
    this.#ended.set(address, how)
    if (this.#ended.size <= ENDED_MAX) return
    const oldest = this.#ended.keys().next()
    if (!oldest.done) this.#ended.delete(oldest.value)
  }

  arm(actor: LiveActor, timer: string, due: number): void {
    actor.timers.set(timer, due)
    this.#deadlines.push({ address: actor.address, timer, due, serial: ++this.#serial })
  }

  /** The next timer to fire; one that was cancelled or armed anew is passed over. */
  nextDue(): Timer | undefined {
    for (let first = this.#deadlines.peek(); first; first = this.#deadlines.peek()) {
      if (this.#actors.get(first.address)?.timers.get(first.timer) === first.due) return first
      this.#deadlines.pop()
    }
    return undefined
  }

  takeDue(): Timer | undefined {
    return this.nextDue() && this.#deadlines.pop()
  }

  /** Nothing is open: no job, nobody who waits for an answer, no group that waits for anything but to be forgotten. */
  isQuiet(): boolean {
    if (this.#byKind.job.size > 0 || this.#byKind.reply.size > 0) return false
    for (const { snapshot } of this.#byKind.gather.values()) if (!RESTING.has(String(snapshot.value))) return false
    return true
  }

  /** What a mark holds of them. */
  whole(): Pick<Whole, 'actors' | 'ended'> {
    const kept = [...this.#ended].filter(([address]) => address.startsWith('job.'))
    return {
      actors: [...this.#actors.values()].map(freeze),
      ended: kept.map(([address, end]) => [address.slice('job.'.length), kindOf(end)]),
    }
  }

  /** The same whether the world has lived until here or begins here: that is what makes beginning here right. */
  settleInto(whole: Pick<Whole, 'actors' | 'ended'>): void {
    this.#actors.clear()
    for (const kind of Object.values(this.#byKind)) kind.clear()
    this.#ended.clear()
    // Those armed before are armed again below; twice in the heap they would fire twice.
    this.#deadlines.clear()
    for (const frozen of whole.actors) {
      const actor = thaw(frozen)
      this.add(actor)
      for (const [timer, due] of actor.timers) this.arm(actor, timer, due)
    }
    for (const [jobId, kind] of whole.ended)
      this.#ended.set(jobAddress(jobId), { how: 'done', output: { jobId, outcome: { kind } } })
  }
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
