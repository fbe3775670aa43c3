import type { AskedAs, Caller, ConfigurationApplied, ConfigurationsAvailable } from './commands.ts'
import type { DataId } from './dataId.ts'
import type { GatherPolicy } from './groupRules.ts'
import type { Outcome } from './outcome.ts'
import type { Dataset, Metric } from './reports.ts'
import type { Refusal } from './refusals.ts'
import type { Work } from './work.ts'

/**
 * Announcements: what the machines say to the world. The engine numbers them and the feed carries them:
 * acknowledgements to who asked, events (retained, so that a late joiner has the present) and telemetry (live only).
 */
export type Announcement = Acknowledgement | EventAnnouncement | TelemetryAnnouncement

/** salobj's acknowledgement codes (ts_xml SalRetCode). */
export const ACK = {
  INPROGRESS: 301,
  COMPLETE: 303,
  NOPERM: -300,
  NOACK: -301,
  FAILED: -302,
  ABORTED: -303,
  TIMEOUT: -304,
} as const

export interface Acknowledgement {
  readonly type: 'ack'
  readonly caller: Caller
  readonly body: AckBody
  readonly askedAs?: AskedAs
}

export interface AckBody {
  readonly ack: (typeof ACK)[keyof typeof ACK]
  /** 0, or 1 with a failed acknowledgement (salobj). */
  readonly error: 0 | 1
  /** `Done`, or a sentence that begins with `Failed: `. */
  readonly result: string
  /** Why it was refused, or in synchronous mode why it failed; null when all is well. */
  readonly code: Refusal['code'] | Outcome['code'] | null
  /** Jobs this command made, in the order of its detectors. */
  readonly jobIds: readonly string[]
  /** With INPROGRESS: another acknowledgement comes within so many seconds. */
  readonly timeout: number
}

/** An event: one topic, for some topics one per key. */
export type EventAnnouncement = { readonly type: 'event' } & Event

export type Event =
  | { readonly topic: 'summaryState'; readonly key: null; readonly body: { readonly summaryState: number } }
  | {
      readonly topic: 'errorCode'
      readonly key: null
      readonly body: { readonly errorCode: number; readonly errorReport: string; readonly traceback: string }
    }
  | {
      readonly topic: 'logLevel'
      readonly key: null
      readonly body: { readonly level: number; readonly subsystem: string }
    }
  | { readonly topic: 'simulationMode'; readonly key: null; readonly body: { readonly mode: number } }
  | { readonly topic: 'softwareVersions'; readonly key: null; readonly body: SoftwareVersions }
  | { readonly topic: 'configurationsAvailable'; readonly key: null; readonly body: ConfigurationsAvailable }
  | { readonly topic: 'configurationApplied'; readonly key: null; readonly body: ConfigurationApplied }
  | { readonly topic: 'jobState'; readonly key: string; readonly body: JobState }
  | { readonly topic: 'jobResult'; readonly key: string; readonly body: JobResult }
  | { readonly topic: 'groupState'; readonly key: string; readonly body: GroupState }
  | { readonly topic: 'groupResult'; readonly key: string; readonly body: GroupResult }
  | { readonly topic: 'displayRequest'; readonly key: string; readonly body: DisplayRequest }

export interface SoftwareVersions {
  readonly salVersion: string
  readonly xmlVersion: string
  readonly cscVersion: string
  /** Comma list of name=version. */
  readonly subsystemVersions: string
}

export interface JobState {
  readonly jobId: string
  readonly state: 'held' | 'queued' | 'starting' | 'running' | 'stopping' | 'backingOff' | 'settled'
  readonly dataId: DataId
  readonly pipeline: string
  readonly attempt: number
  /** Only when settled. */
  readonly outcome: Outcome['kind'] | null
  /** Why it is not further; '' when there is nothing to say. */
  readonly note: string
}

export interface JobResult {
  readonly jobId: string
  readonly dataId: DataId
  readonly pipeline: string
  readonly version: string
  /** The message id of the command that asked for it. */
  readonly commandId: string
  readonly attempt: number
  /** Pipelines that were tried before this one and failed, in order. */
  readonly fellBackFrom: readonly string[]
  /** The first job of this kind, when this one was retried from the shelf. */
  readonly retryOf: string | null
  readonly askedAs?: AskedAs
  /** Whose command asked for it, as they call themselves; null where none did. */
  readonly askedBy: string | null
  readonly overrides: Work['overrides']
  readonly configFile: string | null
  /** Where its outputs are, under the instance's work directory; null for a job nothing of which ever ran. */
  readonly directory: string | null
  readonly outcome: Outcome
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  /** What QA thinks of the data; apart from the outcome (DMTN-133). */
  readonly verdict: string | null
  /** Milliseconds since 1970 UTC; null for what never came. */
  readonly times: {
    readonly accepted: number
    readonly queued: number | null
    readonly started: number | null
    readonly settled: number
  }
}

export interface GroupState {
  readonly group: string
  readonly state: 'open' | 'closing' | 'gathering' | 'gathered' | 'abandoned'
  readonly revision: number
  readonly accepted: number
  readonly settled: number
  readonly succeeded: number
  /** Identities of members that ended without success. */
  readonly failed: readonly string[]
}

export interface GroupResult {
  readonly group: string
  /** 1 for the first closing; a later one supersedes it. */
  readonly revision: number
  /**
   * complete: everybody who was promised is combined. partial: some are not. skipped, failed: nothing was combined, by
   * policy. aborted: stopped.
   */
  readonly outcome: 'complete' | 'partial' | 'skipped' | 'failed' | 'aborted'
  readonly policy: GatherPolicy
  readonly closedBy: 'command' | 'expected' | 'deadline'
  readonly message: string
  readonly members: readonly MemberResult[]
  /** Identities that ended without success. */
  readonly failed: readonly string[]
  /** Identities that had not settled when patience ended. */
  readonly missing: readonly string[]
  /**
   * Only where expected exposures never came, so that nobody can name them: how many are missing, those in `missing`
   * included.
   */
  readonly missingCount?: number
  /** Only where one detector of the group was combined. */
  readonly detector?: number
  /** The gather job and how it ended; null where the group has no pipeline or none was run. */
  readonly jobId: string | null
  readonly pipeline: string | null
  readonly gather: Outcome | null
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  readonly verdict: string | null
}

export interface MemberResult {
  readonly identity: string
  /** null, as is the pipeline, for an exposure that was named in members and never processed by itself. */
  readonly jobId: string | null
  readonly pipeline: string | null
  readonly outcome: Outcome['kind'] | null
}

/** What a view is asked to show: the newest image there is for it, or nothing any more. */
export interface DisplayRequest {
  /** As the configuration names it. */
  readonly view: string
  readonly image: DisplayImage | null
}

/** A dataset of a job, and whose data it shows. The path is relative to the job's directory. */
export interface DisplayImage extends Dataset {
  readonly jobId: string
  readonly dataId: DataId
  readonly pipeline: string
}

/** What a running job says of itself, live. */
export type TelemetryAnnouncement = {
  readonly type: 'telemetry'
  readonly jobId: string
  readonly dataId: DataId
  readonly pipeline: string
} & (
  | { readonly topic: 'metric'; readonly body: Metric }
  | { readonly topic: 'dataset'; readonly body: Dataset }
  | { readonly topic: 'progress'; readonly body: { readonly fraction: number | null; readonly note: string } }
  | { readonly topic: 'verdict'; readonly body: { readonly verdict: string } }
  | { readonly topic: 'badReport'; readonly body: { readonly reason: string } }
)

export function complete(caller: Caller, jobIds: readonly string[] = [], result = 'Done'): Acknowledgement {
  return { type: 'ack', caller, body: { ack: ACK.COMPLETE, error: 0, result, code: null, jobIds, timeout: 0 } }
}

export function inProgress(
  caller: Caller,
  jobIds: readonly string[],
  timeoutMs: number,
  askedAs?: AskedAs,
): Acknowledgement {
  // Scripts that send execute read the job's id there (base_make_calibrations).
  const result = askedAs ? JSON.stringify({ job_id: jobIds[0] }) : 'In progress'
  return {
    type: 'ack',
    caller,
    body: { ack: ACK.INPROGRESS, error: 0, result, code: null, jobIds, timeout: timeoutMs / 1000 },
    ...(askedAs && { askedAs }),
  }
}

export function refused(caller: Caller, { code, reason }: Refusal): Acknowledgement {
  return {
    type: 'ack',
    caller,
    body: {
      ack: code === 'NOT_PERMITTED' ? ACK.NOPERM : ACK.FAILED,
      error: 1,
      result: `Failed: ${reason}`,
      code,
      jobIds: [],
      timeout: 0,
    },
  }
}
