/**
 * The executor that runs pipelines as subprocesses of this machine. It promises one of exited, startFailed and lost for
 * every start and every adoption, after all that the job reported; and that no order blocks the event loop or starts a
 * process from it. The launcher starts and ends processes, reportsFile.ts reads what they say, orphans.ts follows those
 * of an earlier life; what a report means is left to the machines.
 */
import { mkdirSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { DEFAULT_POOL, poolOf } from '../../machines/domain/pools.ts'
import type { ExecutorReport, PoolUnreachable } from '../../machines/domain/reports.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'
import type { AdoptOrder, Executor, ReportSink, StartOrder, StopOrder } from '../../machines/ports.ts'
import { createBlame } from './blame.ts'
import { commandLine } from './commandLine.ts'
import { inputsOf } from '../../machines/domain/located.ts'
import { jobDirectory, ledgerDirectory, membersText } from './directory.ts'
import { exited, startFailure } from './endings.ts'
import { environment, ownEnvironment } from './environment.ts'
import { createFollower } from './follow.ts'
import type { LauncherKind } from './launcher.ts'
import { superviseLauncher } from './launchers.ts'
import { claimWorkDir, deafenLaunchers, openLedger, tidyLedger } from './ledger.ts'
import { createOrphans, type Orphan, slotsByPool } from './orphans.ts'
import { attemptKey, elsewhereRequest, runRequest, type LauncherMessage, stopRequest } from './protocol.ts'
import { type ReportsFile, reportsFile } from './reportsFile.ts'
import { starterOf } from './runners/list.ts'
import { endStrays } from './strays.ts'

export interface SubprocessOptions {
  readonly instance: string
  /** Each job gets a directory in it; also holds the ledger. Made if missing. */
  readonly workDir: string
  /** The compiled launcher is kept here. */
  readonly cacheDir: string
  readonly pipelinesDir: string
  readonly report: ReportSink
  readonly log: Log
  readonly observe?: Observe | undefined
  /**
   * Acts now, later in order, or never: left out, always now. An OCPS that was frozen must not start or stop what
   * another has taken over.
   */
  readonly whenActive?: (act: () => void) => void
  /** True where nothing the ledger holds can be about this journal's jobs. Left out: false. */
  readonly isJournalNew?: boolean
  /** Told when no process can be started any more, whatever is tried; what was asked for is reported startFailed. */
  readonly unreachable?: (report: PoolUnreachable) => void
  /** Left out: c, and fallback where that cannot be had. */
  readonly launcher?: LauncherKind
  /** Left out: OCPS' own. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

interface Job {
  readonly key: string
  readonly jobId: string
  readonly attempt: number
  readonly pipeline: string
  readonly program: string
  /** The pool whose runner names the program; null: the pipeline does. */
  readonly runnerOf: string | null
  readonly where: string
  readonly slots: number
  readonly pool: string
  readonly directory: string
  readonly request: string
  readonly reports: ReportsFile
  /** True once executor.started has been reported, in this life or an earlier one. */
  started: boolean
  /** Its request waits until we are sure to be the active OCPS: no launcher can have it yet. */
  isHeldBack: boolean
  stopGraceMs: number | null
}

/** Rejects with a sentence when the work directory cannot be made or no launcher can be started. */
export async function createSubprocessExecutor(options: SubprocessOptions): Promise<Executor> {
  const workDir = resolve(options.workDir)
  const ledgerDir = ledgerDirectory(workDir)
  const pipelinesDir = resolve(options.pipelinesDir)
  mkdirSync(ledgerDir, { recursive: true })
  const whenActive = options.whenActive ?? (act => act())
  claimWorkDir(workDir, options.instance)
  deafenLaunchers(ledgerDir)
  tidyLedger(ledgerDir, Date.now(), options.isJournalNew ?? false)
  const own = ownEnvironment(options.env ?? process.env)
  const jobs = new Map<string, Job>()
  const follower = createFollower(options.observe)
  const blame = createBlame()
  const orphans = createOrphans({ ledgerDir, whenActive, ownLauncher: () => launchers.pid() })
  let adopting: Job[] = []
  /** Pool → what the present launcher was told of slots that others' processes take. */
  const elsewhere = new Map<string, number>()
  let closed = false

  const report = (word: ExecutorReport): void => {
    if (!closed) options.report(word)
  }

  /** The last word about a job, after everything it reported. */
  const conclude = (job: Job, word: () => ExecutorReport): void => {
    follower.finish(job.reports, () => {
      jobs.delete(job.key)
      report(word())
    })
  }

  const started = (job: Job, pid: number): void => {
    follower.add(job.reports)
    if (!job.started) report({ type: 'executor.started', ...idOf(job), pid, where: job.where })
    job.started = true
  }

  const failed = (job: Job, failure: { errno: number; where: string }): void => {
    jobs.delete(job.key)
    report({ type: 'executor.startFailed', jobId: job.jobId, attempt: job.attempt, ...startFailure(failure, job) })
  }

  const lost = (job: Job, reason: string): void =>
    conclude(job, () => ({ type: 'executor.lost', jobId: job.jobId, attempt: job.attempt, reason }))

  const hear = (said: LauncherMessage): void => {
    if (said.kind === 'hello' || said.kind === 'deaf' || said.kind === 'awake') return
    const job = jobs.get(said.key)
    if (!job) return
    if (said.kind === 'started') started(job, said.pid)
    if (said.kind === 'failed') failed(job, said)
    if (said.kind === 'ended') blame.jobEnded(job.pipeline)
    if (said.kind === 'ended') conclude(job, () => exited(idOf(job), said.ending, job.directory, null))
  }

  const ask = (job: Job): void => {
    job.isHeldBack = true
    whenActive(() => {
      job.isHeldBack = false
      if (closed) return
      const refusal = blame.refusal(job.pipeline, performance.now())
      if (refusal !== null) return refuseAsked(job, refusal)
      tellElsewhere()
      launchers.send(job.request)
      if (job.stopGraceMs !== null) launchers.send(stopRequest(job.jobId, job.attempt, job.stopGraceMs))
    })
  }

  /** An order never answers, so in a turn of its own. */
  const refuseAsked = (job: Job, reason: string): void => {
    jobs.delete(job.key)
    setImmediate(() => report({ type: 'executor.startFailed', ...idOf(job), code: 'START_FAILED', reason }))
  }

  /**
   * What ran at a launcher that is gone or stopped, the last to begin at the end. It may not have come to telling us:
   * the ledger has it all.
   */
  const begunBy = (pid: number): Job[] => {
    const held = new Map(inHand().map(job => [job.key, job]))
    const ledger = openLedger(ledgerDir, new Set(held.keys()))
    return ledger.keys().flatMap(key => {
      const entry = ledger.entry(key)
      const job = held.get(key)
      return job && entry?.launcher.pid === pid && entry.ending === null && entry.failure === null ? job : []
    })
  }

  /** Our launcher keeps to the capacity; what it did not start it cannot count. */
  const tellElsewhere = (): void => {
    const adopted = slotsByPool(adopting)
    const followed = orphans.slots()
    for (const pool of new Set([...elsewhere.keys(), ...adopted.keys(), ...followed.keys()])) {
      const slots = (adopted.get(pool) ?? 0) + (followed.get(pool) ?? 0)
      if (slots === (elsewhere.get(pool) ?? 0)) continue
      elsewhere.set(pool, slots)
      launchers.send(elsewhereRequest(pool, slots))
    }
  }

  const orphan = (job: Job, notGiven: () => void): Orphan => {
    const over = (word: () => void): void => {
      word()
      whenActive(() => void (closed || tellElsewhere()))
    }
    return {
      key: job.key,
      directory: job.directory,
      slots: job.slots,
      pool: job.pool,
      started: pid => started(job, pid),
      failed: failure => over(() => failed(job, failure)),
      ended: (ending, stoppedBy) =>
        over(() => conclude(job, () => exited(idOf(job), ending, job.directory, stoppedBy))),
      lost: reason => over(() => lost(job, reason)),
      notGiven: () => over(notGiven),
    }
  }

  /**
   * Those our present launcher has. One that is held back goes to whoever is there when it comes out; followed
   * meanwhile, it would be asked for twice.
   */
  const inHand = (): Job[] =>
    [...jobs.values()].filter(job => !job.isHeldBack && !orphans.has(job.key) && !adopting.includes(job))

  const follow = (left: readonly Job[], notGiven: (job: Job) => void): void => {
    orphans.take(left.map(job => orphan(job, () => notGiven(job))))
    for (const job of left) if (job.stopGraceMs !== null) orphans.stop(job.key, job.stopGraceMs)
  }

  /** What waited for a slot when its launcher or OCPS died is begun by ours, unless it was to be stopped. */
  const begin = (job: Job): void => {
    if (job.started)
      lost(job, 'It is said to have been ordered, but no launcher here was ever given it, so it never ran')
    else if (job.stopGraceMs === null) ask(job)
    else failed(job, STOPPED_WAITING)
  }

  /** All that are adopted in one turn are looked up together: the ledger may be long. */
  const takeUp = (): void => {
    const all = adopting
    adopting = []
    if (closed) return
    follow(all, begin)
    whenActive(() => void (closed || tellElsewhere()))
  }

  const launchers = await superviseLauncher({
    kind: options.launcher ?? null,
    cacheDir: resolve(options.cacheDir),
    ledgerDir,
    log: options.log,
    whenActive,
    hear,
    // Jobs it had begun go on without it; those it never read are asked of the next one.
    died: (pid, reason) => {
      options.observe?.('launcherDeaths', 1)
      const begun = begunBy(pid)
      const guilty = blame.launcherDied(
        begun.map(({ pipeline }) => pipeline),
        performance.now(),
      )
      if (guilty !== null)
        options.log.error({ pipeline: guilty, reason }, blame.refusal(guilty, performance.now()) ?? '')
      elsewhere.clear()
      follow(inHand(), begin)
      tellElsewhere()
      return begun.length > 0
    },
    hopeless: reason => {
      // One launcher starts the jobs of all pools of this machine: what the default pool has lost they have all lost.
      options.unreachable?.({ type: 'executor.unreachable', pool: DEFAULT_POOL, reason })
      elsewhere.clear()
      for (const job of inHand()) {
        jobs.delete(job.key)
        report({ type: 'executor.startFailed', ...idOf(job), code: 'START_FAILED', reason })
      }
    },
  })

  const prepare = (order: StartOrder, reportsHeard: number): Job | { readonly problem: string } => {
    const directory = jobDirectory(workDir, order.jobId)
    const inputs = inputsOf(order)
    const around = { inputs, pipelinesDir, directory }
    const argv = commandLine(order, around)
    const env = environment(order, around, own)
    if ('problem' in argv) return argv
    if ('problem' in env) return env
    const id = { jobId: order.jobId, attempt: order.attempt }
    const { outputMaxBytes, slots } = order.pipeline
    const { capacity = 0 } = order
    const starter = starterOf(order.pipeline.pool?.runner ?? { kind: 'none' })
    const started = starter.argv(argv.ok)
    const pool = poolOf(order.pipeline)
    const request = { ...id, directory, argv: started, env: env.ok, outputMaxBytes, slots, capacity, pool }
    return {
      ...id,
      key: attemptKey(order.jobId, order.attempt),
      pipeline: order.pipeline.name,
      program: started[0] ?? '',
      runnerOf: started === argv.ok ? null : pool,
      where: starter.where,
      slots,
      pool,
      directory,
      request: runRequest({ ...request, members: membersText(order, inputs, workDir) }),
      reports: reportsFile(directory, reportsHeard, line => report({ ...line, ...id })),
      started: false,
      isHeldBack: false,
      stopGraceMs: null,
    }
  }

  /** An order never answers: what is known at once is said in a turn of our own. */
  const refuse = (order: StartOrder, reason: string): void => {
    const { jobId, attempt } = order
    setImmediate(() => report({ type: 'executor.startFailed', jobId, attempt, code: 'START_FAILED', reason }))
  }

  // Whatever is adopted is adopted in the turn we return in; after that, what runs and is nobody's is left over.
  setImmediate(() => {
    const claimed = () => new Set(Array.from(jobs.values(), ({ directory }) => directory))
    if (closed) return
    void endStrays({
      workDir,
      instance: options.instance,
      isClaimed: directory => claimed().has(directory),
      whenActive: act => whenActive(() => void (closed || act())),
      log: options.log,
    })
  })

  return {
    start: order => {
      const job = attempted(() => prepare(order, 0))
      if ('problem' in job) return refuse(order, job.problem)
      jobs.set(job.key, job)
      ask(job)
    },

    stop: ({ jobId, attempt, graceMs }: StopOrder) => {
      const job = jobs.get(attemptKey(jobId, attempt))
      if (!job) return options.log.info({ jobId, attempt }, 'asked to stop a job that has ended already')
      job.stopGraceMs ??= graceMs
      if (!orphans.stop(job.key, graceMs))
        whenActive(() => {
          if (!closed) launchers.send(stopRequest(jobId, attempt, graceMs))
        })
    },

    adopt: ({ start, reportsHeard, started }: AdoptOrder) => {
      const job = attempted(() => prepare(start, reportsHeard))
      if ('problem' in job) return refuse(start, job.problem)
      jobs.set(job.key, job)
      job.started = started
      if (adopting.length === 0) setImmediate(takeUp)
      adopting.push(job)
    },

    close: async () => {
      closed = true
      follower.close()
      orphans.close()
      await launchers.close()
    },
  }
}

/** As the launcher says it. */
const STOPPED_WAITING = { errno: constants.errno.ECANCELED, where: 'waiting' }

function idOf({ jobId, attempt }: Job): { jobId: string; attempt: number } {
  return { jobId, attempt }
}

/**
 * An id that is no text (half a surrogate) cannot be spelled; that is a job that does not start, not a broken executor.
 */
function attempted(prepare: () => Job | { readonly problem: string }): Job | { readonly problem: string } {
  try {
    return prepare()
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}
