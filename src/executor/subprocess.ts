/**
 * The executor that runs pipelines as subprocesses of this machine. It promises one of exited, startFailed and lost for
 * every start and every adoption, after all that the job reported; and that no order blocks the event loop or starts a
 * process from it. The launcher starts and ends processes, reportsFile.ts reads what they say, orphans.ts follows those
 * of an earlier life; what a report means is left to the machines.
 */
import { mkdirSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { DEFAULT_POOL } from '../../machines/domain/pools.ts'
import type { ExecutorReport, PoolUnreachable } from '../../machines/domain/reports.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'
import type { AdoptOrder, Executor, ReportSink, StartOrder, StopOrder } from '../../machines/ports.ts'
import { type Attempt, idOf, prepare, type Preparing } from './attempt.ts'
import { createBlame } from './blame.ts'
import { ledgerDirectory } from './directory.ts'
import { exited, startFailure } from './endings.ts'
import { ownEnvironment } from './environment.ts'
import { createFollower } from './follow.ts'
import type { LauncherKind } from './launcher.ts'
import { superviseLauncher, type SupervisedLauncher } from './launchers.ts'
import { claimWorkDir, deafenLaunchers, openLedger, tidyLedger } from './ledger.ts'
import { createOrphans, type Orphan, slotsByPool } from './orphans.ts'
import { attemptKey, elsewhereRequest, type LauncherMessage, stopRequest } from './protocol.ts'
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

/** Rejects with a sentence when the work directory cannot be made or no launcher can be started. */
export async function createSubprocessExecutor(options: SubprocessOptions): Promise<Executor> {
  const workDir = resolve(options.workDir)
  const ledgerDir = ledgerDirectory(workDir)
  mkdirSync(ledgerDir, { recursive: true })
  claimWorkDir(workDir, options.instance)
  deafenLaunchers(ledgerDir)
  tidyLedger(ledgerDir, Date.now(), options.isJournalNew ?? false)
  const executor = new SubprocessExecutor(options, workDir, ledgerDir)
  await executor.open()
  return executor
}

class SubprocessExecutor implements Executor {
  readonly #options: SubprocessOptions
  readonly #ledgerDir: string
  readonly #preparing: Preparing
  readonly #jobs = new Map<string, Attempt>()
  readonly #follower: ReturnType<typeof createFollower>
  readonly #blame = createBlame()
  readonly #orphans: ReturnType<typeof createOrphans>
  #launchers: SupervisedLauncher | null = null
  #adopting: Attempt[] = []
  /** Pool → what the present launcher was told of slots that others' processes take. */
  readonly #elsewhere = new Map<string, number>()
  #closed = false

  constructor(options: SubprocessOptions, workDir: string, ledgerDir: string) {
    this.#options = options
    this.#ledgerDir = ledgerDir
    this.#preparing = {
      workDir,
      pipelinesDir: resolve(options.pipelinesDir),
      own: ownEnvironment(options.env ?? process.env),
      report: word => this.#report(word),
    }
    this.#follower = createFollower(options.observe)
    this.#orphans = createOrphans({
      ledgerDir,
      whenActive: act => this.#whenActive(act),
      ownLauncher: () => this.#launchers?.pid() ?? null,
    })
  }

  async open(): Promise<void> {
    const { launcher = null, cacheDir, log } = this.#options
    this.#launchers = await superviseLauncher({
      kind: launcher,
      cacheDir: resolve(cacheDir),
      ledgerDir: this.#ledgerDir,
      log,
      whenActive: act => this.#whenActive(act),
      hear: said => this.#hear(said),
      died: (pid, reason) => this.#launcherDied(pid, reason),
      hopeless: reason => this.#giveUp(reason),
    })
    // Whatever is adopted is adopted in the turn we return in; after that, what runs and is nobody's is left over.
    setImmediate(() => this.#endStrays())
  }

  start(order: StartOrder): void {
    const job = prepare(this.#preparing, order, 0)
    if ('problem' in job) return this.#refuse(order, job.problem)
    this.#jobs.set(job.key, job)
    this.#ask(job)
  }

  stop({ jobId, attempt, graceMs }: StopOrder): void {
    const job = this.#jobs.get(attemptKey(jobId, attempt))
    if (!job) return this.#options.log.info({ jobId, attempt }, 'asked to stop a job that has ended already')
    job.stopGraceMs ??= graceMs
    if (this.#orphans.stop(job.key, graceMs)) return
    this.#whenActive(() => {
      if (!this.#closed) this.#send(stopRequest(jobId, attempt, graceMs))
    })
  }

  adopt({ start, reportsHeard, started }: AdoptOrder): void {
    const job = prepare(this.#preparing, start, reportsHeard)
    if ('problem' in job) return this.#refuse(start, job.problem)
    this.#jobs.set(job.key, job)
    job.started = started
    if (this.#adopting.length === 0) setImmediate(() => this.#takeUp())
    this.#adopting.push(job)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#follower.close()
    this.#orphans.close()
    await this.#launchers?.close()
  }

  // ── what is reported ───────────────────────────────────────────────────────────────────

  #report(word: ExecutorReport): void {
    if (!this.#closed) this.#options.report(word)
  }

  /** The last word about a job, after everything it reported. */
  #conclude(job: Attempt, word: () => ExecutorReport): void {
    this.#follower.finish(job.reports, () => {
      this.#jobs.delete(job.key)
      this.#report(word())
    })
  }

  #started(job: Attempt, pid: number): void {
    this.#follower.add(job.reports)
    if (!job.started) this.#report({ type: 'executor.started', ...idOf(job), pid, where: job.where })
    job.started = true
  }

  #failed(job: Attempt, failure: { errno: number; where: string }): void {
    this.#jobs.delete(job.key)
    this.#report({ type: 'executor.startFailed', ...idOf(job), ...startFailure(failure, job) })
  }

  #lost(job: Attempt, reason: string): void {
    this.#conclude(job, () => ({ type: 'executor.lost', ...idOf(job), reason }))
  }

  /** An order never answers: what is known at once is said in a turn of our own. */
  #refuse({ jobId, attempt }: Pick<StartOrder, 'jobId' | 'attempt'>, reason: string): void {
    setImmediate(() => this.#report({ type: 'executor.startFailed', jobId, attempt, code: 'START_FAILED', reason }))
  }

  // ── our launcher ───────────────────────────────────────────────────────────────────────

  #whenActive(act: () => void): void {
    const { whenActive } = this.#options
    if (whenActive) whenActive(act)
    else act()
  }

  #send(request: string): void {
    this.#launchers?.send(request)
  }

  #ask(job: Attempt): void {
    job.isHeldBack = true
    this.#whenActive(() => {
      job.isHeldBack = false
      if (this.#closed) return
      const refusal = this.#blame.refusal(job.pipeline, performance.now())
      if (refusal !== null) {
        this.#jobs.delete(job.key)
        return this.#refuse(job, refusal)
      }
      this.#tellElsewhere()
      this.#send(job.request)
      if (job.stopGraceMs !== null) this.#send(stopRequest(job.jobId, job.attempt, job.stopGraceMs))
    })
  }

  #hear(said: LauncherMessage): void {
    if (said.kind === 'hello' || said.kind === 'deaf' || said.kind === 'awake') return
    const job = this.#jobs.get(said.key)
    if (!job) return
    if (said.kind === 'started') this.#started(job, said.pid)
    if (said.kind === 'failed') this.#failed(job, said)
    if (said.kind === 'ended') this.#blame.jobEnded(job.pipeline)
    if (said.kind === 'ended') this.#conclude(job, () => exited(idOf(job), said.ending, job.directory, null))
  }

  /** Jobs it had begun go on without it; those it never read are asked of the next one. True: it had begun some. */
  #launcherDied(pid: number, reason: string): boolean {
    this.#options.observe?.('launcherDeaths', 1)
    const begun = this.#begunBy(pid)
    const guilty = this.#blame.launcherDied(
      begun.map(({ pipeline }) => pipeline),
      performance.now(),
    )
    if (guilty !== null)
      this.#options.log.error({ pipeline: guilty, reason }, this.#blame.refusal(guilty, performance.now()) ?? '')
    this.#elsewhere.clear()
    this.#follow(this.#inHand())
    this.#tellElsewhere()
    return begun.length > 0
  }

  #giveUp(reason: string): void {
    // One launcher starts the jobs of all pools of this machine: what the default pool has lost they have all lost.
    this.#options.unreachable?.({ type: 'executor.unreachable', pool: DEFAULT_POOL, reason })
    this.#elsewhere.clear()
    for (const job of this.#inHand()) {
      this.#jobs.delete(job.key)
      this.#report({ type: 'executor.startFailed', ...idOf(job), code: 'START_FAILED', reason })
    }
  }

  /**
   * What ran at a launcher that is gone or stopped, the last to begin at the end. It may not have come to telling us:
   * the ledger has it all.
   */
  #begunBy(pid: number): Attempt[] {
    const held = new Map(this.#inHand().map(job => [job.key, job]))
    const ledger = openLedger(this.#ledgerDir, new Set(held.keys()))
    return ledger.keys().flatMap(key => {
      const entry = ledger.entry(key)
      const job = held.get(key)
      return job && entry?.launcher.pid === pid && entry.ending === null && entry.failure === null ? job : []
    })
  }

  /**
   * Those our present launcher has. One that is held back goes to whoever is there when it comes out; followed
   * meanwhile, it would be asked for twice.
   */
  #inHand(): Attempt[] {
    return [...this.#jobs.values()].filter(
      job => !job.isHeldBack && !this.#orphans.has(job.key) && !this.#adopting.includes(job),
    )
  }

  /** Our launcher keeps to the capacity; what it did not start it cannot count. */
  #tellElsewhere(): void {
    const adopted = slotsByPool(this.#adopting)
    const followed = this.#orphans.slots()
    for (const pool of new Set([...this.#elsewhere.keys(), ...adopted.keys(), ...followed.keys()])) {
      const slots = (adopted.get(pool) ?? 0) + (followed.get(pool) ?? 0)
      if (slots === (this.#elsewhere.get(pool) ?? 0)) continue
      this.#elsewhere.set(pool, slots)
      this.#send(elsewhereRequest(pool, slots))
    }
  }

  #tellElsewhereWhenActive(): void {
    this.#whenActive(() => void (this.#closed || this.#tellElsewhere()))
  }

  // ── jobs of an earlier life ────────────────────────────────────────────────────────────

  /** All that are adopted in one turn are looked up together: the ledger may be long. */
  #takeUp(): void {
    const all = this.#adopting
    this.#adopting = []
    if (this.#closed) return
    this.#follow(all)
    this.#tellElsewhereWhenActive()
  }

  #follow(left: readonly Attempt[]): void {
    this.#orphans.take(left.map(job => this.#orphan(job)))
    for (const job of left) if (job.stopGraceMs !== null) this.#orphans.stop(job.key, job.stopGraceMs)
  }

  #orphan(job: Attempt): Orphan {
    const over = (word: () => void): void => {
      word()
      this.#tellElsewhereWhenActive()
    }
    const { key, directory, slots, pool } = job
    return {
      key,
      directory,
      slots,
      pool,
      started: pid => this.#started(job, pid),
      failed: failure => over(() => this.#failed(job, failure)),
      ended: (ending, stoppedBy) =>
        over(() => this.#conclude(job, () => exited(idOf(job), ending, directory, stoppedBy))),
      lost: reason => over(() => this.#lost(job, reason)),
      notGiven: () => over(() => this.#begin(job)),
    }
  }

  /** What waited for a slot when its launcher or OCPS died is begun by ours, unless it was to be stopped. */
  #begin(job: Attempt): void {
    if (job.started)
      this.#lost(job, 'It is said to have been ordered, but no launcher here was ever given it, so it never ran')
    else if (job.stopGraceMs === null) this.#ask(job)
    else this.#failed(job, STOPPED_WAITING)
  }

  #endStrays(): void {
    if (this.#closed) return
    const { instance, log } = this.#options
    const claimed = () => new Set(Array.from(this.#jobs.values(), ({ directory }) => directory))
    void endStrays({
      workDir: this.#preparing.workDir,
      instance,
      isClaimed: directory => claimed().has(directory),
      whenActive: act => this.#whenActive(() => void (this.#closed || act())),
      log,
    })
  }
}

/** As the launcher says it. */
const STOPPED_WAITING = { errno: constants.errno.ECANCELED, where: 'waiting' }
