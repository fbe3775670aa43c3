import type { Role } from './roles.ts'
import type { Configuration } from './configuration.ts'
import type { GatherPolicy, GroupRules } from './groupRules.ts'
import type { RequestedWork, Work } from './work.ts'

/** Who asked, under which message id, and where the acknowledgements go. The message id is the key of exactly-once. */
export interface Caller {
  readonly identity: string
  readonly id: string
  readonly reply: string | null
  /** What this caller may do, see access.ts. Absent where the door knows nothing of roles, and in older journals. */
  readonly roles?: readonly Role[]
  /** Whether the server vouches for identity and roles. Absent: they are a claim. */
  readonly proven?: boolean
}

/** A command as the machines hear it: decoded, checked, complete, stamped by the inbox. */
export type Command =
  | StartCommand
  | ReloadCommand
  | Plain<
      | 'command.enable'
      | 'command.disable'
      | 'command.standby'
      | 'command.exitControl'
      | 'command.pause'
      | 'command.resume'
    >
  | ({ readonly type: 'command.setLogLevel'; readonly level: number; readonly subsystem: string } & Asked)
  | ProcessDataCommand
  | ({ readonly type: 'command.abortJob'; readonly jobId: string; readonly askedAs?: 'abort_job' } & Asked)
  | CloseGroupCommand
  | RetryCommand

/** A command without fields of its own. */
type Plain<T extends string> = T extends unknown ? { readonly type: T } & Asked : never

export interface Asked {
  readonly caller: Caller
}

export interface StartCommand extends Asked {
  readonly type: 'command.start'
  readonly configurationOverride: string
  /**
   * What the inbox read from the configuration's files when the command came in, or the sentence that says what is
   * wrong with them.
   */
  readonly loaded: LoadedConfiguration
}

/** Applies the files as they are now, without giving up what is open. */
export interface ReloadCommand extends Asked {
  readonly type: 'command.reload'
  /** As in StartCommand, under the override that is applied. */
  readonly loaded: LoadedConfiguration
}

export type LoadedConfiguration =
  | {
      readonly ok: true
      readonly configuration: Configuration
      readonly applied: ConfigurationApplied
      readonly available: ConfigurationsAvailable
      readonly pipelineFiles?: PipelineFiles
    }
  | { readonly ok: false; readonly problem: string }

/** Names of the pipelines that have a file, applied or not; absent in journals that are older than this. */
export type PipelineFiles = readonly string[]

/** The event configurationApplied (salobj generics): what was read. */
export interface ConfigurationApplied {
  /** Comma list of the files read, in order. */
  readonly configurations: string
  readonly version: string
  readonly url: string
  readonly schemaVersion: string
  readonly otherInfo: string
}

/** The event configurationsAvailable (salobj generics): what `start` may name. */
export interface ConfigurationsAvailable {
  /** Comma list of override files. */
  readonly overrides: string
  readonly version: string
  readonly url: string
  readonly schemaVersion: string
}

/** obsid given: process it. Only group given: close that group and combine it (scope group). */
export interface ProcessDataCommand extends Asked, RequestedWork {
  readonly type: 'command.processData'
  /** Stamped by the inbox, unique for ever: the job's id, or the stem of one id per detector. */
  readonly jobId: string
  readonly after: readonly Prerequisite[]
  /** How the group of this exposure closes; null leaves it as it is. */
  readonly groupRules: GroupRules | null
  /**
   * With a group alone: exposures that belong to it, also such as were never processed by themselves. Absent: those
   * that were accepted.
   */
  readonly members?: readonly string[]
  readonly askedAs?: AskedAs
}

/**
 * Asked in the words of the Python OCPS, and so answered: when the processing has ended, with job_id and job_result
 * said as well. Absent: in our own words.
 */
export type AskedAs = 'execute'

/** The name a command was sent under. */
export function sentAs({ type, askedAs }: { readonly type: string; readonly askedAs?: string }): string {
  return askedAs ?? type.slice('command.'.length)
}

export interface Prerequisite {
  readonly jobId: string
  readonly requires: 'success' | 'settled'
}

/** Run again what ended without success. null: as it was. */
export interface RetryCommand extends Asked {
  readonly type: 'command.retry'
  /** Stamped by the inbox; the stem of the new jobs' ids. */
  readonly jobId: string
  readonly of:
    | { readonly by: 'jobId'; readonly jobId: string }
    | { readonly by: 'obsid'; readonly obsid: string }
    | { readonly by: 'group'; readonly group: string }
    /** A night, as YYYYMMDD. */
    | { readonly by: 'dayObs'; readonly dayObs: number }
  readonly pipeline: string | null
  readonly overrides: Work['overrides'] | null
  readonly version: string | null
}

export interface CloseGroupCommand extends Asked {
  readonly type: 'command.closeGroup'
  readonly jobId: string
  readonly group: string
  /** null: the group's own, or none at all. */
  readonly pipeline: string | null
  readonly policy: GatherPolicy | null
  readonly patienceMs: number | null
}
