import type { DataOrder, StartOrder, StopOrder } from '../ports.ts'
import type { AckBody, Announcement, DisplayImage } from './announcements.ts'
import type { Camera, IngestedImage } from './camera.ts'
import type {
  Caller,
  CloseGroupCommand,
  Command,
  ConfigurationsAvailable,
  PipelineFiles,
  ProcessDataCommand,
  RetryCommand,
} from './commands.ts'
import type { Configuration, Interest } from './configuration.ts'
import { encodeToken, type DataId } from './dataId.ts'
import type { GatherPolicy, GroupRules } from './groupRules.ts'
import type { MachineInput, MachineKind } from './inputs.ts'
import type { Located } from './located.ts'
import type { Outcome } from './outcome.ts'
import type { ExecutorReport, PoolUnreachable } from './reports.ts'
import type { GatherOptions, Work } from './work.ts'

/**
 * Where an actor is: `csc`, `queue`, `job.<jobId>`, `gather.<token>`, `reply.<token>`; under `ocps.<instance>.` it is
 * its NATS subject.
 */
export type Address = string

/** An address, or `job.*` and `gather.*`: every live actor of a kind, in the order they were opened. */
export type Audience = Address

/** The only outlet of a machine: plain data, carried out by the engine after the step. */
export type Emission =
  | Announcement
  | Order
  /** A message to another actor. To one that is gone or never was: nothing happens. */
  | { readonly type: 'tell'; readonly to: Audience; readonly message: Message }
  /** A new actor; nothing happens if the address is taken. */
  | { readonly type: 'open'; readonly address: Address; readonly input: MachineInput }
  /** Asks to be told `actor.ended` when an actor ends; told at once if it has. */
  | { readonly type: 'watch'; readonly address: Address }

export type Order = StartOrder | StopOrder | DataOrder

/** What an actor can be told by another one. The engine adds `at` (the entry's time) to everything it delivers. */
export type Message =
  | Command
  | ExecutorReport
  | PoolUnreachable
  | EngineMessage
  | QueueMessage
  | JobMessage
  | GatherMessage
  | ReplyMessage
  | ShelfMessage
  | DisplayMessage
  | IngestMessage

/** What the engine says about itself and about actors. */
export type EngineMessage =
  | {
      readonly type: 'engine.started'
      readonly instance: string
      /** 0 real, 1 simulated. */
      readonly simulationMode: number
      readonly versions: {
        readonly ocps: string
        readonly xstate: string
        readonly node: string
        readonly machines: string
      }
      readonly available: ConfigurationsAvailable
      readonly pipelineFiles?: PipelineFiles
      /** Who runs: host, process id, durability promise; evidence for a reader of the journal. */
      readonly host: string
      readonly pid: number
      readonly promise: string
    }
  | {
      readonly type: 'engine.fault'
      readonly errorCode: number
      readonly errorReport: string
      readonly traceback: string
    }
  | {
      readonly type: 'engine.configurationsAvailable'
      readonly available: ConfigurationsAvailable
      readonly pipelineFiles?: PipelineFiles
    }
  | { readonly type: 'actor.ended'; readonly address: Address; readonly end: End }

/**
 * How an actor ended: by its own decision, with its output; broken, because its machine threw, with its last context;
 * or unknown, for one that never was.
 */
export type End =
  | { readonly how: 'done'; readonly output: unknown }
  | { readonly how: 'broken'; readonly context: unknown }
  | { readonly how: 'unknown' }

export type QueueMessage =
  | { readonly type: 'queue.configure'; readonly configuration: Configuration }
  /** What is there, applied or not. */
  | { readonly type: 'queue.files'; readonly pipelineFiles: PipelineFiles }
  | { readonly type: 'queue.open' }
  | { readonly type: 'queue.close' }
  | { readonly type: 'queue.clear'; readonly reason: string }
  | { readonly type: 'queue.submit'; readonly command: ProcessDataCommand; readonly known: Known }
  | { readonly type: 'queue.closeGroup'; readonly command: CloseGroupCommand; readonly known: Known }
  | { readonly type: 'queue.resubmit'; readonly command: RetryCommand; readonly items: readonly ShelfItem[] }
  | { readonly type: 'queue.pause' | 'queue.resume'; readonly caller: Caller }
  /** A gather's own job: it counts like any other. */
  | { readonly type: 'job.opened'; readonly jobId: string }
  | {
      readonly type: 'job.ready'
      readonly jobId: string
      readonly priority: number
      readonly slots: number
      /** Left out: the default pool. */
      readonly pool?: string
    }
  | { readonly type: 'job.yielded'; readonly jobId: string }

/** A timer of an actor came due; its firing is journaled like any report. */
export interface ClockDue {
  readonly type: 'clock.due'
  readonly address: Address
  readonly timer: string
}

/**
 * Nothing is open: whoever reads the journal may begin here. Holds what is left when nothing is going on, as plain
 * data: the csc, the queue, groups that linger; the last jobs that others may still name; the last answers, so that a
 * command sent again is known.
 */
export interface Quiescent {
  readonly type: 'engine.quiescent'
  /** The machines that wrote it; others begin at the start of the journal instead. */
  readonly machines: string
  /** Of the form of all that follows; left out: 1. */
  readonly format?: number
  readonly actors: readonly QuietActor[]
  readonly ended: readonly (readonly [jobId: string, kind: Outcome['kind']])[]
  readonly answers: readonly QuietAnswer[]
}

/**
 * A night that never rests is written down as it is, now and then, so that whoever reads the journal may begin here,
 * too. It is large, so it comes in parts, one entry each, one right after the other; the last completes it.
 */
export interface Checkpoint {
  readonly type: 'engine.checkpoint'
  /** As in Quiescent. */
  readonly machines: string
  readonly format?: number
  /** 1, 2, … `of`. */
  readonly part: number
  readonly of: number
  /** A piece of the whole state as JSON; see Whole. */
  readonly text: string
}

/** What the texts of a checkpoint are together. */
export interface Whole extends Omit<Quiescent, 'type' | 'machines' | 'format'> {
  /** Said, but not known to be heard when this was written: whoever begins here says it again if it was not. */
  readonly unsaid: readonly { readonly id: string; readonly at: number; readonly announcement: Announcement }[]
}

export interface QuietActor {
  readonly address: Address
  readonly kind: MachineKind
  readonly value: unknown
  readonly context: unknown
  /** History states: id → ids of the states they stand for. */
  readonly history: Readonly<Record<string, readonly string[]>>
  readonly timers: readonly (readonly [timer: string, due: number])[]
  /** Who is told when it ends; left out where that is nobody. */
  readonly watchers?: readonly Address[]
}

export interface QuietAnswer {
  readonly id: string
  readonly fingerprint: string
  readonly acks: readonly AckBody[]
  /**
   * When it was acknowledged last, milliseconds since 1970 UTC; absent in marks of old, which stand for their own time.
   */
  readonly at?: number
}

/**
 * What was said after earlier entries, in short: entry number and digest of its announcements. A replay that says
 * anything else is found out.
 */
export interface Said {
  readonly type: 'engine.said'
  readonly digests: readonly (readonly [n: number, digest: string])[]
}

/** What a journal entry can hold: everything that comes in by one of the doors. */
export type Input =
  | Command
  | ExecutorReport
  | PoolUnreachable
  | LocatorAnswer
  | Extract<IngestMessage, { type: 'data.ingested' }>
  | Exclude<EngineMessage, { type: 'actor.ended' }>
  | ClockDue
  | Quiescent
  | Checkpoint
  | Said

/**
 * Something an actor hears: the message and the time of the journal entry it follows from, milliseconds since 1970 UTC.
 */
export type Heard<M> = M & { readonly at: number }

/** Which of the jobs and groups a command names the registry knows, looked up when the command is delivered. */
export type Known = Readonly<Record<Address, 'open' | 'ended' | 'unknown'>>

export type JobMessage =
  | { readonly type: 'slot.granted' }
  | { readonly type: 'job.abort'; readonly reason: string; readonly caller: Caller | null }
  /** The locator answers data.look: not there yet, or there; with inputs where it says where that is. */
  | { readonly type: 'data.absent'; readonly jobId: string }
  | { readonly type: 'data.present'; readonly jobId: string; readonly inputs?: Located }
  | { readonly type: 'data.located'; readonly jobId: string; readonly inputs: Located }

/** Journaled before the job hears it. */
export type LocatorAnswer = Extract<JobMessage, { type: 'data.present' | 'data.absent' | 'data.located' }>

export type GatherMessage =
  | {
      readonly type: 'member.accepted'
      readonly jobId: string
      readonly dataId: DataId
      readonly pipeline: string
      readonly rules: GroupRules | null
      /** Under which the member was admitted. */
      readonly configuration: Configuration
      /** The first job of its kind, where it is a retry: it takes that one's place. */
      readonly retryOf?: string
    }
  | {
      readonly type: 'group.close'
      readonly caller: Caller
      /** Synchronous mode: who answers the caller; null: the group answers at once. */
      readonly answerTo: Address | null
      readonly pipeline: string | null
      readonly policy: GatherPolicy | null
      readonly patienceMs: number | null
      readonly options: GatherOptions | null
      readonly configuration: Configuration
      /** How many exposures the group has; absent: as it was said before. */
      readonly expected?: number
      /** Exposures that belong to it, processed by themselves or not; absent: those that were accepted. */
      readonly members?: readonly DataId[]
      /** Only this detector is combined; absent: all are. */
      readonly detector?: number
    }
  | { readonly type: 'group.abandon'; readonly reason: string }

/** A job that ended without success: what it takes to run it again. */
export interface ShelfItem extends Omit<Work, 'readiness'> {
  readonly jobId: string
  /** The first job of this kind, when it is a retry itself. */
  readonly retryOf: string | null
  /** When it was accepted, milliseconds since 1970 UTC. */
  readonly at: number
  /** Absent of one that was put there by an OCPS that did not keep it, which stands for runNow. */
  readonly readiness?: Work['readiness']
  readonly outcome: Outcome['kind']
}

export type ShelfMessage =
  | { readonly type: 'shelf.keep'; readonly item: ShelfItem }
  | { readonly type: 'shelf.retry'; readonly command: RetryCommand }
  | { readonly type: 'shelf.taken'; readonly jobIds: readonly string[] }

export type DisplayMessage =
  | { readonly type: 'display.configure'; readonly interests: readonly Interest[] }
  /** A dataset was announced. */
  | { readonly type: 'display.offer'; readonly image: DisplayImage }

export type IngestMessage =
  | { readonly type: 'ingest.configure'; readonly camera: Camera | null }
  /** The locator heard of these files; some of them perhaps before. */
  | { readonly type: 'data.ingested'; readonly images: readonly IngestedImage[] }
  /** Of a job: put to this machine instead of to the locator, where it is there. */
  | Extract<DataOrder, { type: 'data.look' | 'data.forget' }>

export type ReplyMessage =
  | { readonly type: 'reply.await'; readonly address: Address }
  /** A group's answer: what the reply says at last. */
  | { readonly type: 'reply.finish'; readonly body: AckBody }

export function tell(to: Audience, message: Message): Emission {
  return { type: 'tell', to, message }
}

export function watch(address: Address): Emission {
  return { type: 'watch', address }
}

export function jobAddress(jobId: string): Address {
  return `job.${jobId}`
}

export function gatherAddress(group: string): Address {
  return `gather.${encodeToken(group)}`
}

export function replyAddress(caller: Caller): Address {
  return `reply.${encodeToken(caller.id)}`
}
