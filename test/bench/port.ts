/**
 * What the bench asks of every system it measures: OCPS, its peers and the bare loops alike. A peer sets itself up as
 * its own documentation recommends, under a folder of its own and on loopback; what is asked of it when is
 * measures.ts's.
 */
export interface Peer {
  readonly name: string
  /** What becomes of accepted jobs when its daemon dies by `kill -9`, one clause. */
  readonly durability: string
  /**
   * At most so many jobs of one kind in one run, because it is slow: rates are steady by then. null: as many as there
   * are.
   */
  readonly jobsMax: number | null
  /** Jobs to watch on their way, one at a time. */
  readonly watchedMax: number
  /** How many jobs may live at once to find out what each takes in memory; null: its memory is not looked at. */
  readonly liveMax: number | null
  /** How deep its queue is filled, jobs; empty: it has no queue that can be held. */
  readonly depths: readonly number[]
  /** null, or the sentence that says why it is skipped and what to install. May install into the bench's cache. */
  available(): Promise<string | null>
  version(): Promise<string>
  start(place: Place): Promise<Running>
}

export interface Place {
  /** Exists and is the peer's own; removed afterwards. */
  readonly dir: string
  /** Jobs at a time. */
  readonly concurrency: number
  /** Every kind of job it will be given. */
  readonly works: readonly Work[]
}

/** One kind of job. `{id}` in the argv becomes the job's own id. */
export interface Work {
  readonly name: string
  readonly argv: readonly string[]
  readonly count: number
}

/** A running peer, ready to take jobs. Rejects whatever goes wrong with a sentence. */
export interface Running {
  /** Submits everything as fast as it takes it; ends when the script has seen the last result. */
  run(work: Work): Promise<Ran>
  /** Jobs one at a time on an idle system. null: it gives no answers that could be timed. */
  readonly watch: ((work: Work) => Promise<Watched>) | null
  /**
   * So many members, then one job that starts when all of them have ended; their ids are `member…` and `gather`. null:
   * it knows no such thing.
   */
  readonly gather: ((work: Work) => Promise<void>) | null
  readonly queue: HeldQueue | null
  /** kill -9 of what holds the queue, then a start. */
  readonly recover: (() => Promise<Recovered>) | null
  /** Replays what it wrote down of this run, entries per second. */
  readonly replay: (() => Promise<number>) | null
  /** Times at which a heartbeat was heard since it was started, milliseconds. */
  readonly heartbeats: (() => readonly number[]) | null
  /** How late its event loop was since this was asked last. null: it has none that could be asked. */
  readonly delays: (() => Promise<Delays>) | null
  stop(): Promise<void>
}

/** Milliseconds. */
export interface Delays {
  readonly p50: number
  readonly p99: number
}

export interface Ran {
  /** From the first submission to the last result seen. */
  readonly seconds: number
  /** Submission → acknowledged, one per job, ms; empty where nothing is acknowledged. */
  readonly accepted: readonly number[]
}

/** When things happened, by job: milliseconds since 1970 on this machine's clock. */
export interface Watched {
  readonly submitted: Readonly<Record<string, number>>
  readonly accepted: Readonly<Record<string, number>>
  readonly seen: Readonly<Record<string, number>>
}

export interface Recovered {
  /** From the blow until it answers again. */
  readonly ms: number
  /** How often it had to be started; once, unless a start fails. */
  readonly starts: number
  /** How many jobs waited just before it, and after. */
  readonly waitedBefore: number
  readonly waiting: number
}

export interface HeldQueue {
  /** Nothing new starts from now on. */
  hold(): Promise<void>
  /** So many more jobs wait. Milliseconds to acknowledge each. */
  fill(work: Work): Promise<readonly number[]>
  /**
   * Lets the queue go until so many results were seen, and holds it again, until nothing runs. Seconds to the last of
   * these results.
   */
  drain(count: number): Promise<number>
}

/** What a running peer may lack. */
export type Ability = 'watch' | 'gather' | 'queue' | 'recover' | 'replay' | 'heartbeats' | 'delays'

export function inFull(argv: readonly string[], id: string): string[] {
  return argv.map(word => word.replaceAll('{id}', id))
}
