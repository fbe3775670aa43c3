import type { Announcement } from './domain/announcements.ts'
import type { DataId } from './domain/dataId.ts'
import type { Located } from './domain/located.ts'
import type { Pipeline } from './domain/pipeline.ts'
import type { Dataset, ExecutorReport, Metric } from './domain/reports.ts'
import type { Task } from './domain/work.ts'

/**
 * The executor as the machines know it: orders go in, reports come out. An order never fails and never answers;
 * whatever happens is reported, exactly one of exited, startFailed and lost for every start.
 */
export interface Executor {
  start(order: StartOrder): void
  stop(order: StopOrder): void
  /**
   * After a restart: take up a job that was starting or running; it is followed to its end, begun if it never was, or
   * reported lost with the evidence.
   */
  adopt(order: AdoptOrder): void
  /** Stops following. Processes of jobs go on. */
  close(): Promise<void>
}

/** How an executor speaks: synchronously, in order, from its own turn of the event loop. */
export type ReportSink = (report: ExecutorReport) => void

export interface StartOrder extends Task {
  readonly type: 'executor.start'
  readonly jobId: string
  /** 1 for the first. */
  readonly attempt: number
  readonly instance: string
  readonly pipeline: Pipeline
  /** Where raw files are, e.g. `/data/{instrument}/{dayObs}/{obsid}.fits`; '' where pipelines find their own. */
  readonly dataPath: string
  /**
   * What a locator answered, where one had to be asked; absent where dataPath is the answer. domain/located.ts reads
   * both.
   */
  readonly inputs?: Located
  /** What a gather job combines; null for every other job. Written to `members.json` in the job's directory. */
  readonly members: readonly GroupMember[] | null
  /**
   * How many slots its pool has: it is begun when its pipeline's slots fit beside those of the pool that run, after
   * those of the pool ordered before it. Absent: they are free, it is begun at once.
   */
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

/**
 * The locator as the machines know it: it says once whether the data of a job are there, and later when they come,
 * until told to forget.
 */
export interface Locator {
  order(order: DataOrder): void
}

export type DataOrder =
  | {
      readonly type: 'data.look'
      readonly jobId: string
      readonly dataId: DataId
      /**
       * Present where the machines themselves know what was ingested (ingest.ts): what is looked for then are events
       * that were missed, of all of these.
       */
      readonly detectors?: readonly number[]
      /**
       * Where the data would be, as the job was asked with. Put in by the engine: in no order of a machine, whose
       * recordings of old hold none.
       */
      readonly dataPath?: string
    }
  | { readonly type: 'data.forget'; readonly jobId: string }
  /** Report what is ingested of these sensors, named like `R22_S11`; none: report nothing. */
  | { readonly type: 'data.follow'; readonly sensors: readonly string[] }

/**
 * One member of a group that is combined: settled, or never processed by itself (then without pipeline, job and
 * outcome), as the machines know it; the executor makes its paths absolute in `members.json`.
 */
export interface GroupMember {
  readonly dataId: DataId
  readonly pipeline: string | null
  readonly jobId: string | null
  readonly outcome: string | null
  readonly datasets: readonly Dataset[]
  readonly metrics: readonly Metric[]
}

/** An announcement on its way out: its number is its identity wherever it is heard. */
export interface Numbered {
  /** `<entry>.<place>`; empty for what never was journaled (refusals at a door, answers given again). */
  readonly id: string
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly announcement: Announcement
}

/**
 * A sink: who is told what an instance says. It hears announcements in order and at least once; after a restart, or
 * when it could not take one, again from its cursor on. It never holds up another sink.
 */
export interface Sink {
  /**
   * Takes one announcement. Where it returns a promise, the next one comes when that is resolved. Throwing or rejecting
   * means "not now": what follows its cursor is brought again later, in order, from the journal. What it can never take
   * it passes over itself.
   */
  say(said: Numbered): void | Promise<void>
  /** Resolves when everything it has taken is where it belongs. */
  flushed(): Promise<void>
  /**
   * The id of the last announcement it has taken for good, as it is known where it puts them; null: none is known, it
   * begins with what is said from now on (and after a failure goes on behind what it had taken in this life). `0.0`: it
   * wants all there is.
   */
  cursor(): Promise<string | null> | string | null
  /**
   * What it has taken and not yet for good, oldest first. A sink that tells is not brought anything from the journal at
   * a restart: marks hold this, and the engine says again what follows the cursor.
   */
  unconfirmed?(): readonly Numbered[]
}
