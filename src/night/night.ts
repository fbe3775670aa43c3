/**
 * A night as a person looks at it: the same machines folded over the same journal, and beside them what machines
 * forget, such as jobs that are over and what each actor heard. Runs in the browser and in Node; reads entries, carries
 * nothing out. Both the live page and time travel are this fold.
 */
import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { Acknowledgement } from '../../machines/domain/announcements.ts'
import { type EngineMessage, type Emission, gatherAddress, jobAddress } from '../../machines/domain/messages.ts'
import type { GatherContext } from '../../machines/groupMembers.ts'
import { MACHINES_VERSION, type MachineKind } from '../../machines/index.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { poolsInUse, type PoolInUse } from '../../machines/standing.ts'
import { announcementInWords, inWords, orderInWords } from './inWords.ts'
import { type Actor, createWorld, type World } from '../engine/world.ts'
import { beginsAt, type Entry, isMark } from '../journal/entry.ts'

export interface Night {
  readonly instance: string
  readonly world: World
  /** The entry applied last; n 0 before the first. Milliseconds since 1970 UTC. */
  readonly at: number
  readonly n: number
  /** When the first entry came in. */
  readonly from: number
  /** All that are open, and those that were over last, in the order they were accepted. */
  readonly jobs: ReadonlyMap<string, JobRecord>
  /** All that live, and those that were forgotten last. */
  readonly groups: ReadonlyMap<string, GroupRecord>
  /** How many jobs were over since the first entry, those included that are not kept any more. */
  readonly tally: Tally
  /** The jobs that were over last, in the order of their ends. */
  readonly settled: readonly JobRecord[]
  /** Those that ended last without success, in the order of their ends. */
  readonly failures: readonly JobRecord[]
  /** What every actor heard, oldest first; of each the last STEPS_MAX. */
  readonly histories: ReadonlyMap<string, readonly StepRecord[]>
  /** The step of each kind of machine that was taken last. */
  readonly lastOf: ReadonlyMap<MachineKind, StepRecord>
  /** Newest last. */
  readonly lines: readonly Line[]
  readonly refusals: readonly Refused[]
  /** What was over before this is not kept any more; null: everything is. */
  readonly forgottenUntil: number | null
  /** The process that wrote last, or null where that lies before the first entry. */
  readonly process: Extract<EngineMessage, { type: 'engine.started' }> | null
  /** Machines of another version wrote this: what is shown may differ from what happened. */
  readonly writtenByOthers: boolean
  /** Throws where the machines of this version cannot hear the entry. */
  apply(entry: Entry): void
  /** A mark holds something this night does not know: nothing was applied yet, or something was passed over. */
  readonly needsMark: boolean
  /**
   * Instead of applying a mark that holds nothing new: as in the engine, living on and beginning there are the same.
   */
  passMark(mark: Pick<Entry, 'n' | 'at'>): void
  /** What is applied next does not follow what was applied last; the next mark says what is. */
  leap(): void
  /** Another night in the same state, which goes its own way from here. */
  fork(): Night
}

export interface Tally {
  readonly over: number
  readonly succeeded: number
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
export interface StepRecord {
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
// An hour of a camera with 189 detectors. A page that runs all night must not grow for ever.
const OVER_MAX = 20_000
// More groups than a night has visits in two hours.
const GROUPS_OVER_MAX = 500
// Whose steps one still looks at: the last quarter of an hour of that camera.
const HISTORIES_OVER_MAX = 5_000
// What is drawn of ends: medians, a timeline, what needs attention.
const SETTLED_MAX = 2_000
const FAILURES_MAX = 200
// What is too old is dropped so many at a time, and not one by one.
const SLACK = 1.25

export function createNight(instance: string): Night {
  return grow(instance)
}

/** Who is over, in the order of their ends. */
interface Past {
  readonly jobs: string[]
  readonly groups: string[]
  readonly actors: string[]
}

function grow(instance: string, like?: Night, before?: Past): Night {
  const jobs = new Map(like?.jobs)
  const groups = new Map(like?.groups)
  const histories = new Map(like?.histories)
  const lastOf = new Map(like?.lastOf)
  const lines = [...(like?.lines ?? [])]
  const refusals = [...(like?.refusals ?? [])]
  const settled = [...(like?.settled ?? [])]
  const failures = [...(like?.failures ?? [])]
  const past: Past = {
    jobs: [...(before?.jobs ?? [])],
    groups: [...(before?.groups ?? [])],
    actors: [...(before?.actors ?? [])],
  }
  let tally: Tally = like?.tally ?? { over: 0, succeeded: 0 }
  let needsMark = like?.needsMark ?? true
  let forgottenUntil = like?.forgottenUntil ?? null
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
    settled,
    failures,
    get tally() {
      return tally
    },
    get forgottenUntil() {
      return forgottenUntil
    },
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
    get needsMark() {
      return needsMark
    },
    passMark(mark) {
      now = mark
    },
    leap() {
      needsMark = true
    },
    apply(entry) {
      const mayGoOn = beginsAt(entry) !== null
      if (isMark(entry.what) ? mayGoOn : now.n === 0) needsMark = false
      now = entry
      if (from === 0) from = entry.at
      const { what } = entry
      if (what.type === 'engine.started') {
        process = what
        writtenByOthers ||= what.versions.machines !== MACHINES_VERSION
      }
      for (const effect of world.apply(entry))
        if (effect.do === 'announce' && effect.announcement.type === 'ack') keepRefusal(effect.announcement)
      if (mayGoOn) keepWhatIsThere()
      if (isMark(what) || what.type === 'engine.said') return
      const { n, at, door } = entry
      // In words when someone looks: most pass unseen.
      lines.push({ n, at, door, text: () => inWords(entry) })
      if (lines.length > LINES_MAX * 2) lines.splice(0, LINES_MAX)
    },
    fork: () => grow(instance, night, past),
  }
  return night

  /** Who begins to read here has seen none of these come; who passed over what was before has not seen others go. */
  function keepWhatIsThere(): void {
    for (const actor of world.actors('gather')) keepGroup(actor, actor.snapshot, null)
    for (const { snapshot } of world.actors('job'))
      if (!jobs.has((snapshot.context as JobContext).jobId)) keepJob(snapshot, null, { type: '' })
    for (const [jobId, job] of jobs) if (job.isOpen && world.actor(jobAddress(jobId)) === undefined) loseSightOf(job)
    for (const { group, address, state } of groups.values())
      if (state !== 'forgotten' && world.actor(address) === undefined && !past.groups.includes(group))
        past.groups.push(group)
  }

  function loseSightOf(job: JobRecord): void {
    jobs.set(job.jobId, { ...job, isOpen: false, state: 'unknown', since: now.at })
    past.jobs.push(job.jobId)
  }

  function stepped(
    actor: Actor,
    event: EventObject,
    before: AnyMachineSnapshot | null,
    emissions: readonly Emission[],
  ): void {
    const { address, kind, snapshot: after } = actor
    if (before === after && emissions.length === 0) return
    const heard: StepRecord = { n: now.n, at: now.at, address, kind, event, before, after, emissions }
    lastOf.set(kind, heard)
    // A list of its own for every step: nights that forked share the old ones.
    const history = histories.get(address) ?? []
    histories.set(address, [...(history.length < STEPS_MAX ? history : history.slice(1)), heard])
    if (kind === 'job') keepJob(after, before, event)
    if (kind === 'gather') keepGroup(actor, after, before)
    if (after.status !== 'active') past.actors.push(address)
    if (past.actors.length > HISTORIES_OVER_MAX * SLACK)
      for (const one of oldest(past.actors, HISTORIES_OVER_MAX)) histories.delete(one)
  }

  function keepJob(snapshot: AnyMachineSnapshot, before: AnyMachineSnapshot | null, event: EventObject): void {
    const context = snapshot.context as JobContext
    const state = leafOf(snapshot)
    const known = jobs.get(context.jobId)
    const job: JobRecord = {
      jobId: context.jobId,
      context,
      snapshot,
      state,
      isOpen: snapshot.status === 'active',
      since: known && before && leafOf(before) === state ? known.since : now.at,
      progress: progressOf(event) ?? (state === known?.state ? known.progress : ''),
    }
    jobs.set(context.jobId, job)
    if (!job.isOpen && known?.isOpen !== false) keepEnd(job)
  }

  function keepEnd(job: JobRecord): void {
    const isSuccess = job.context.outcome?.kind === 'succeeded'
    tally = { over: tally.over + 1, succeeded: tally.succeeded + (isSuccess ? 1 : 0) }
    settled.push(job)
    if (settled.length > SETTLED_MAX * SLACK) oldest(settled, SETTLED_MAX)
    if (!isSuccess) failures.push(job)
    if (failures.length > FAILURES_MAX * SLACK) oldest(failures, FAILURES_MAX)
    past.jobs.push(job.jobId)
    if (past.jobs.length <= OVER_MAX * SLACK) return
    for (const jobId of oldest(past.jobs, OVER_MAX)) {
      forgottenUntil = jobs.get(jobId)?.since ?? forgottenUntil
      jobs.delete(jobId)
    }
  }

  function keepGroup({ address }: Actor, snapshot: AnyMachineSnapshot, before: AnyMachineSnapshot | null): void {
    const context = snapshot.context as GatherContext
    const state = leafOf(snapshot)
    const known = groups.get(context.group)
    // A group that was forgotten stays as it was last.
    if (state === 'forgotten' && known) return keepPastGroup(context.group)
    const since = known && before && leafOf(before) === state ? known.since : now.at
    groups.set(context.group, { group: context.group, address, context, snapshot, state, since })
  }

  function keepPastGroup(group: string): void {
    past.groups.push(group)
    if (past.groups.length > GROUPS_OVER_MAX * SLACK)
      // Its name may be in use again.
      for (const one of oldest(past.groups, GROUPS_OVER_MAX))
        if (world.actor(gatherAddress(one)) === undefined) groups.delete(one)
  }

  function keepRefusal({ caller, body }: Acknowledgement): void {
    if (body.error === 0) return
    refusals.push({ n: now.n, at: now.at, identity: caller.identity, code: body.code ?? '', result: body.result })
    if (refusals.length > REFUSALS_MAX) refusals.shift()
  }
}

/** Takes off what is beyond the newest `kept`. */
function oldest<One>(all: One[], kept: number): One[] {
  return all.splice(0, all.length - kept)
}

/** What is really taken of each pool's slots, and what was handed over before they are free. */
export function poolsOf({ world, jobs }: Night): readonly PoolInUse[] {
  const context = world.actor('queue')?.snapshot.context as QueueContext | undefined
  return context === undefined
    ? []
    : poolsInUse(context, context.configuration, jobId => jobs.get(jobId)?.state === 'starting')
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
    case 'data.follow':
      return `orders ${orderInWords(emission)}`
  }
}
