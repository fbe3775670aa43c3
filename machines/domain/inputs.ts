import type { GroupMember } from '../ports.ts'
import type { AskedAs, Caller, Prerequisite } from './commands.ts'
import type { Camera } from './camera.ts'
import type { Configuration, Interest } from './configuration.ts'
import type { GroupRules } from './groupRules.ts'
import type { Pipeline } from './pipeline.ts'
import type { Work } from './work.ts'

/** What each machine is given when its actor is opened. */
export type MachineInput =
  | CscInput
  | QueueInput
  | JobInput
  | GatherInput
  | ReplyInput
  | ShelfInput
  | DisplayInput
  | IngestInput

export type MachineKind = MachineInput['kind']

export interface CscInput {
  readonly kind: 'csc'
  /** The name on the wire, e.g. LATISS. */
  readonly instance: string
}

export interface QueueInput {
  readonly kind: 'queue'
  readonly instance: string
}

export interface JobInput extends Omit<Work, 'pipeline'> {
  readonly kind: 'job'
  readonly instance: string
  readonly jobId: string
  readonly commandId: string
  readonly dataPath: string
  readonly pipeline: Pipeline
  /** Pipelines to try when this one has failed for good, in order. */
  readonly fallbacks: readonly Pipeline[]
  /** The first job of this kind, when this one was retried from the shelf. */
  readonly retryOf: string | null
  readonly after: readonly Prerequisite[]
  /** What a gather job combines; null for every other job. */
  readonly members: readonly GroupMember[] | null
  /**
   * How many slots there are, where it may be handed to the executor before one is free; absent where one is free
   * whenever it is handed over.
   */
  readonly capacity?: number
  readonly askedAs?: AskedAs
  /**
   * What was asked for at first, where a fallback took over with less; to be retried with. In a mark of old only what a
   * fallback changes.
   */
  readonly first?: Partial<Omit<Work, 'pipeline'>>
  /** Whose command asked for it, as they call themselves; absent where none did, and in journals of old. */
  readonly askedBy?: string
}

export interface GatherInput {
  readonly kind: 'gather'
  readonly instance: string
  readonly group: string
  /** The stamp of the command that opened it; the ids of its gather jobs begin with it. */
  readonly stem: string
  readonly rules: GroupRules | null
  readonly configuration: Configuration
}

export interface ReplyInput {
  readonly kind: 'reply'
  readonly caller: Caller
  readonly jobIds: readonly string[]
  readonly ackTimeoutMs: number
  readonly askedAs?: AskedAs
}

export interface ShelfInput {
  readonly kind: 'shelf'
}

export interface DisplayInput {
  readonly kind: 'display'
  readonly interests: readonly Interest[]
}

export interface IngestInput {
  readonly kind: 'ingest'
  readonly camera: Camera
}
