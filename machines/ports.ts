import type { DataId } from './domain/dataId.ts'
import type { Located } from './domain/located.ts'
import type { OverrideValue, Pipeline } from './domain/pipeline.ts'
import type { Dataset, ExecutorReport, Metric } from './domain/reports.ts'

/**
 * The executor as the machines know it: orders go in, reports come out. An order never fails and never answers; whatever happens is
 * reported, exactly one of exited, startFailed and lost for every start.
 */
export interface Executor {
  start(order: StartOrder): void
  stop(order: StopOrder): void
  /** After a restart: take up a job that was starting or running; it is followed to its end, begun if it never was, or reported lost with the evidence. */
  adopt(order: AdoptOrder): void
  /** Stops following. Processes of jobs go on. */
  close(): Promise<void>
}

/** How an executor speaks: synchronously, in order, from its own turn of the event loop. */
export type ReportSink = (report: ExecutorReport) => void

export interface StartOrder {
  readonly type: 'executor.start'
  readonly jobId: string
  /** 1 for the first. */
  readonly attempt: number
  readonly instance: string
  readonly pipeline: Pipeline
  readonly dataId: DataId
  /** Where raw files are, e.g. `/data/{instrument}/{dayObs}/{obsid}.fits`; '' where pipelines find their own. */
  readonly dataPath: string
  /** What a locator answered, where one had to be asked; absent where dataPath is the answer. domain/located.ts reads both. */
  readonly inputs?: Located
  readonly overrides: Readonly<Record<string, OverrideValue>>
  readonly configFile: string | null
  /** Software version asked for, '' for the site's default. */
  readonly version: string
  /** What a gather job combines; null for every other job. Written to `members.json` in the job's directory. */
  readonly members: readonly GroupMember[] | null
  /** How many slots there are: it is begun when its pipeline's slots fit beside those that run, after those ordered before it. Absent: they are free, it is begun at once. */
  readonly capacity?: number
}

export interface StopOrder {
  readonly type: 'executor.stop'
  readonly jobId: string
  readonly attempt: number
  readonly graceMs: number
}

export interface AdoptOrder {
  readonly type: 'executor.adopt'
  readonly start: StartOrder
  /** How far the reports file has been journaled already, in reports (lines), so that none is heard twice. */
  readonly reportsHeard: number
  /** True when executor.started was journaled. */
  readonly started: boolean
}

/** The locator as the machines know it: it says once whether the data of a job are there, and later when they come, until told to forget. */
export interface Locator {
  order(order: DataOrder): void
}

export type DataOrder =
  | {
      readonly type: 'data.look'
      readonly jobId: string
      readonly dataId: DataId
      /** Present where the machines themselves know what was ingested (ingest.ts): what is looked for then are events that were missed, of all of these. */
      readonly detectors?: readonly number[]
      /** Where the data would be, as the job was asked with. Put in by the engine: in no order of a machine, whose recordings of old hold none. */
      readonly dataPath?: string
    }
  | { readonly type: 'data.forget'; readonly jobId: string }
  /** Report what is ingested of these sensors, named like `R22_S11`; none: report nothing. */
  | { readonly type: 'data.follow'; readonly sensors: readonly string[] }

/** One member of a group that is combined: settled, or never processed by itself (then without pipeline, job and outcome), as the machines know it; the executor makes its paths absolute in `members.json`. */
export interface GroupMember {
  readonly dataId: DataId
  readonly pipeline: string | null
  readonly jobId: string | null
  readonly outcome: string | null
  readonly datasets: readonly Dataset[]
  readonly metrics: readonly Metric[]
}
