import type { GroupResult, GroupState, JobResult, JobState } from '../../machines/domain/announcements.ts'
import type { ShelfItem } from '../../machines/domain/messages.ts'
import type { Dataset, Metric } from '../../machines/domain/reports.ts'

/** The answers to questions about the present, as they come over the wire. Times are milliseconds since 1970 UTC. */
export interface StateAnswer extends Present {
  readonly instance: string
  /** Without credentials. */
  readonly natsUrl: string
  readonly serverVersion: string
  /** How durable an accepted command is: power-safe, process-crash-safe, or as the server is configured. */
  readonly promise: string
  /** What an accepted command survives for certain: the loss of power, or only that of a process. */
  readonly survives: 'power' | 'process'
  /** Where the jobs' directories are, on `host`. */
  readonly workDir: string
  readonly versions: Readonly<Record<string, string>>
  readonly pid: number
  readonly host: string
}

/** What the actors are, without what only the process knows. */
export interface Present {
  readonly summaryState: string
  readonly errorCode: number
  readonly errorReport: string
  readonly logLevel: number
  /** Comma list of the files applied; null before `start`. */
  readonly configuration: string | null
  /** What they held when they were applied, in short, as `ocps config check` says it; null before `start`. */
  readonly configurationVersion: string | null
  /** The files hold something else now. */
  readonly isReloadDue: boolean
  readonly queue: {
    readonly state: string
    readonly mode: string | null
    readonly waiting: number
    /** Those that have their slots. */
    readonly running: number
    /** Handed over before their slots are free; 0 without prefetch. */
    readonly ahead: number
    readonly held: number
    readonly slots: number
    readonly slotsTaken: number
    /** Only where there is more than one. */
    readonly pools?: readonly PoolAnswer[]
  }
  /** Groups that are open or remembered. */
  readonly groups: number
  /** Jobs that ended without success and can be retried. */
  readonly shelf: number
}

export interface PoolAnswer {
  readonly pool: string
  readonly slots: number
  readonly slotsTaken: number
  readonly running: number
  readonly ahead: number
  readonly waiting: number
}

export interface JobTimes {
  readonly accepted: number
  readonly queued: number | null
  readonly started: number | null
  /** Only of a settled job. */
  readonly settled?: number
}

export interface JobAnswer
  extends Pick<JobState, 'jobId' | 'state' | 'dataId' | 'pipeline' | 'attempt'>,
    Pick<JobResult, 'version' | 'commandId' | 'askedBy' | 'overrides' | 'configFile' | 'directory'> {
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  readonly verdict: string | null
  readonly times: JobTimes
  /** Why it is not further; only of an open job. */
  readonly note?: string
  readonly attemptsMax?: number
  /** null while it is open. */
  readonly result: JobResult | null
}

export interface ShelfAnswer {
  readonly jobs: readonly ShelfItem[]
}

export interface JobsAnswer {
  readonly jobs: readonly Pick<JobAnswer, 'jobId' | 'state' | 'dataId' | 'pipeline' | 'attempt' | 'times'>[]
  /** How many there are; more than `jobs` holds where the list was cut. */
  readonly open: number
}

export interface GroupAnswer extends Pick<GroupState, 'group' | 'revision'> {
  /** As in GroupState; `finished` for one that is remembered by its result only. */
  readonly state: GroupState['state'] | 'concluding' | 'finished'
  readonly accepted?: number
  readonly settled?: number
  readonly succeeded?: number
  readonly failed: readonly string[]
  readonly members: readonly {
    readonly identity: string
    /** null, as is the pipeline, for one that was never processed by itself. */
    readonly jobId: string | null
    readonly pipeline: string | null
    readonly outcome: string | null
  }[]
  readonly result: GroupResult | null
}
