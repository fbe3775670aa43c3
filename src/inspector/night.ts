/**
 * A night as a person looks at it: the same machines folded over the same journal, and beside them what machines forget, such as jobs that are over and
 * what each actor heard. Runs in the browser and in Node; reads entries, carries nothing out. Both the live page and time travel are this fold.
 */
import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { Acknowledgement } from '../../machines/domain/announcements.ts'
import type { EngineMessage, Emission } from '../../machines/domain/messages.ts'
import type { GatherContext } from '../../machines/gather.ts'
import { MACHINES_VERSION, type MachineKind } from '../../machines/index.ts'
import type { JobContext } from '../../machines/job.ts'
import { announcementInWords, inWords } from '../engine/inWords.ts'
import { type Actor, createWorld, type World } from '../engine/world.ts'
import type { Entry } from '../journal/entry.ts'

export interface Night {
  readonly instance: string
  readonly world: World
  /** The entry applied last; n 0 before the first. Milliseconds since 1970 UTC. */
  readonly at: number
  readonly n: number
  /** When the first entry came in. */
  readonly from: number
  /** Every job since the beginning of what was applied, in the order they were accepted. */
  readonly jobs: ReadonlyMap<string, JobRecord>
  readonly groups: ReadonlyMap<string, GroupRecord>
  /** What every actor heard, oldest first; of each the last STEPS_MAX. */
  readonly histories: ReadonlyMap<string, readonly Heard[]>
  /** The step of each kind of machine that was taken last. */
  readonly lastOf: ReadonlyMap<MachineKind, Heard>
  /** Newest last. */
  readonly lines: readonly Line[]
  readonly refusals: readonly Refused[]
  /** The process that wrote last, or null where that lies before the first entry. */
  readonly process: Extract<EngineMessage, { type: 'engine.started' }> | null
  /** Machines of another version wrote this: what is shown may differ from what happened. */
  readonly writtenByOthers: boolean
  /** Throws where the machines of this version cannot hear the entry. */
  apply(entry: Entry): void
  /** Another night in the same state, which goes its own way from here. */
  fork(): Night
}

export interface JobRecord {
  readonly jobId: string
  readonly context: JobContext
  readonly snapshot: AnyMachineSnapshot
  readonly state: string
  readonly isOpen: boolean
  /** Time of the first entry in its present state. */
  readonly since: number
  readonly progress: string
}

export interface GroupRecord {
  readonly group: string
  readonly address: string
  readonly context: GatherContext
  readonly snapshot: AnyMachineSnapshot
  readonly state: string
  readonly since: number
}

/** One step of an actor. */
export interface Heard {
  readonly n: number
  readonly at: number
  readonly address: string
  readonly kind: MachineKind
  readonly event: EventObject
  /** null: it was opened. */
  readonly before: AnyMachineSnapshot | null
  readonly after: AnyMachineSnapshot
  readonly emissions: readonly Emission[]
}

export interface Line {
  readonly n: number
  readonly at: number
  readonly door: Entry['door']
  readonly text: () => string
}

export interface Refused {
  readonly n: number
  readonly at: number
  readonly identity: string
  readonly code: string
  readonly result: string
}

// A job hears some twenty messages in its life; the csc hears more, and only its last ones matter.
const STEPS_MAX = 120
// What fits on a few screens; the whole is in the recording.
const LINES_MAX = 400
const REFUSALS_MAX = 100
// Histories of jobs that are over are kept for this many; a page that runs all night must not grow for ever.
const HISTORIES_MAX = 6_000

export function createNight(instance: string, like?: Night): Night {
  const jobs = new Map(like?.jobs)
  const groups = new Map(like?.groups)
  const histories = new Map(like?.histories)
  const lastOf = new Map(like?.lastOf)
  const lines = [...(like?.lines ?? [])]
  const refusals = [...(like?.refusals ?? [])]
  let now: Pick<Entry, 'n' | 'at'> = { n: like?.n ?? 0, at: like?.at ?? 0 }
  let from = like?.from ?? 0
  let process: Night['process'] = like?.process ?? null
  let writtenByOthers = like?.writtenByOthers ?? false
  const world = like?.world.fork({ stepped }) ?? createWorld({ instance, observer: { stepped } })
  if (!like) lastOf.clear()

  const night: Night = {
    instance,
    world,
    jobs,
    groups,
    histories,
    lastOf,
    lines,
    refusals,
    get at() {
      return now.at
    },
    get n() {
      return now.n
    },
    get from() {
      return from
    },
    get process() {
      return process
    },
    get writtenByOthers() {
      return writtenByOthers
    },
    apply(entry) {
      now = entry
      if (from === 0) from = entry.at
      const { what } = entry
      if (what.type === 'engine.started') {
        process = what
        writtenByOthers ||= what.versions.machines !== MACHINES_VERSION
      }
      for (const effect of world.apply(entry))
        if (effect.do === 'announce' && effect.announcement.type === 'ack') keepRefusal(effect.announcement)
      if (mayGoOnFrom(what)) keepWhatIsThere()
      if (what.type === 'engine.said' || what.type === 'engine.quiescent' || what.type === 'engine.checkpoint') return
      const { n, at, door } = entry
      // In words when someone looks: most pass unseen.
      lines.push({ n, at, door, text: () => inWords(entry) })
      if (lines.length > LINES_MAX * 2) lines.splice(0, LINES_MAX)
    },
    fork: () => createNight(instance, night),
  }
  return night

  /** Who begins to read here has seen none of these come. */
  function keepWhatIsThere(): void {
    for (const actor of world.actors('gather')) keepGroup(actor, actor.snapshot, null)
    for (const { snapshot } of world.actors('job'))
      if (!jobs.has((snapshot.context as JobContext).jobId)) keepJob(snapshot, null, { type: '' })
  }

  function stepped(
    actor: Actor,
    event: EventObject,
    before: AnyMachineSnapshot | null,
    emissions: readonly Emission[],
  ): void {
    const { address, kind, snapshot: after } = actor
    if (before === after && emissions.length === 0) return
    const heard: Heard = { n: now.n, at: now.at, address, kind, event, before, after, emissions }
    lastOf.set(kind, heard)
    // A list of its own for every step: nights that forked share the old ones.
    const history = histories.get(address) ?? []
    histories.set(address, [...(history.length < STEPS_MAX ? history : history.slice(1)), heard])
    if (history.length === 0 && histories.size > HISTORIES_MAX) forgetOldest()
    if (kind === 'job') keepJob(after, before, event)
    if (kind === 'gather') keepGroup(actor, after, before)
  }

  function keepJob(snapshot: AnyMachineSnapshot, before: AnyMachineSnapshot | null, event: EventObject): void {
    const context = snapshot.context as JobContext
    const state = leafOf(snapshot)
    const known = jobs.get(context.jobId)
    const since = known && before && leafOf(before) === state ? known.since : now.at
    jobs.set(context.jobId, {
      jobId: context.jobId,
      context,
      snapshot,
      state,
      isOpen: snapshot.status === 'active',
      since,
      progress: progressOf(event) ?? (state === known?.state ? known.progress : ''),
    })
  }

  function keepGroup({ address }: Actor, snapshot: AnyMachineSnapshot, before: AnyMachineSnapshot | null): void {
    const context = snapshot.context as GatherContext
    const state = leafOf(snapshot)
    const known = groups.get(context.group)
    // A group that was forgotten stays as it was last.
    if (state === 'forgotten' && known) return
    const since = known && before && leafOf(before) === state ? known.since : now.at
    groups.set(context.group, { group: context.group, address, context, snapshot, state, since })
  }

  function keepRefusal({ caller, body }: Acknowledgement): void {
    if (body.error === 0) return
    refusals.push({ n: now.n, at: now.at, identity: caller.identity, code: body.code ?? '', result: body.result })
    if (refusals.length > REFUSALS_MAX) refusals.shift()
  }

  function forgetOldest(): void {
    for (const address of histories.keys())
      if (world.actor(address) === undefined) return void histories.delete(address)
  }
}

function mayGoOnFrom(what: Entry['what']): boolean {
  return what.type === 'engine.quiescent' || (what.type === 'engine.checkpoint' && what.part === what.of)
}

/** The innermost active state: `running` for `{active: 'running'}`; regions of parallel states joined by ` + `. */
export function leafOf(snapshot: Pick<AnyMachineSnapshot, 'value'>): string {
  return leaves(snapshot.value).join(' + ')
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Object.values(value as object).flatMap(leaves)
}

function progressOf(event: EventObject): string | null {
  if (event.type !== 'executor.progress') return null
  const { fraction, note } = event as unknown as { fraction: number | null; note: string }
  return [fraction === null ? '' : `${Math.round(fraction * 100)} %`, note].filter(Boolean).join(' ')
}

export function emissionInWords(emission: Emission): string {
  switch (emission.type) {
    case 'ack':
    case 'event':
    case 'telemetry':
      return announcementInWords(emission)
    case 'tell':
      return `tells ${emission.to}: ${emission.message.type}`
    case 'open':
      return `opens ${emission.address}`
    case 'watch':
      return `watches ${emission.address}`
    case 'executor.start':
    case 'executor.stop':
    case 'data.look':
    case 'data.forget':
      return `orders ${emission.type} ${emission.jobId}`
  }
}
