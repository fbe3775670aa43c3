import type { Usage } from '../../machines/domain/outcome.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { AdoptOrder, Executor, ReportSink, StartOrder } from '../../machines/ports.ts'
import type { Script } from '../../src/executor/scripted.ts'
import type { Agenda } from './agenda.ts'
import { isLine } from './contents.ts'

/**
 * The machine the pipelines run on: processes that outlive OCPS, what they write, how they end. Every life of OCPS
 * connects with an executor of its own; one that takes over adopts what it knows of. It keeps the executor's contract,
 * the capacity included, and knows what really runs.
 */
export interface Processes {
  /** An executor for one life of OCPS; closed by the next one. */
  connect(report: ReportSink): Executor
  /** Processes that have begun and not ended. */
  running(): Iterable<Process>
  /** Ordered, and waiting for others to end. */
  waiting(): Iterable<Process>
  /** Called with each that begins, when it runs already. */
  onBegin(hear: (process: Process) => void): void
  /** Those of one job. */
  runningOf(jobId: string): readonly Process[]
  find(jobId: string, attempt: number): Process | undefined
  /** Attempts ever begun of a job. */
  attempts(jobId: string): number
}

export interface Process {
  readonly order: StartOrder
  readonly script: Script
  /** Words it said so far, in order; the last one is its end. */
  readonly words: ExecutorReport[]
  state: 'waiting' | 'begun' | 'started' | 'ended'
  stopping: boolean
}

const FIRST_PID = 100_001

export function createProcesses(agenda: Agenda, script: (order: StartOrder) => Script): Processes {
  const all = new Map<string, Process>()
  const alive = new Set<Process>()
  const attempts = new Map<string, number>()
  const byJob = new Map<string, readonly Process[]>()
  let pid = FIRST_PID
  let life = 0
  let speak: ReportSink = () => {}
  let hearBegin: (process: Process) => void = () => {}
  /** In the order they were ordered. Whoever comes after the present life has to order them again. */
  let waiting: Process[] = []
  let capacity = 0
  let taken = 0
  /** Attempts the present life follows; the words of others are kept in their files. */
  let followed = new Set<Process>()

  const say = (process: Process, word: ExecutorReport): void => {
    process.words.push(word)
    if (followed.has(process)) speak(word)
  }

  const end = (process: Process, exitCode: number | null, signal: string | null, by: Usage['stoppedBy']): void => {
    if (process.state === 'ended') return
    const { order, script: plan } = process
    const id = { jobId: order.jobId, attempt: order.attempt }
    process.state = 'ended'
    alive.delete(process)
    taken -= order.pipeline.slots
    agenda.later(0, beginWaiting)
    const others = (byJob.get(order.jobId) ?? []).filter(one => one !== process)
    if (others.length > 0) byJob.set(order.jobId, others)
    else byJob.delete(order.jobId)
    if (plan.startFailed && by === null)
      return say(process, { type: 'executor.startFailed', ...id, ...plan.startFailed })
    if (plan.lost !== undefined) return say(process, { type: 'executor.lost', ...id, reason: plan.lost })
    const usage = { ...NO_USAGE, stoppedBy: by }
    say(process, { type: 'executor.exited', ...id, exitCode, signal, usage, stderrTail: plan.stderrTail ?? '' })
  }

  const fits = ({ order }: Process): boolean =>
    capacity === 0 || alive.size === 0 || taken + order.pipeline.slots <= capacity

  const beginWaiting = (): void => {
    for (let first = waiting[0]; first && fits(first); first = waiting[0]) {
      waiting.shift()
      begin(first)
    }
  }

  const take = (order: StartOrder): void => {
    const process: Process = { order, script: script(order), words: [], state: 'waiting', stopping: false }
    all.set(`${order.jobId} ${order.attempt}`, process)
    followed.add(process)
    capacity = order.capacity ?? 0
    waiting.push(process)
    beginWaiting()
  }

  const takeOff = (process: Process): void => {
    const { jobId, attempt } = process.order
    process.state = 'ended'
    waiting = waiting.filter(one => one !== process)
    agenda.later(1, () => {
      const reason = 'it was stopped before a slot was free'
      say(process, { type: 'executor.startFailed', jobId, attempt, code: 'START_FAILED', reason })
      beginWaiting()
    })
  }

  const begin = (process: Process): void => {
    const { order } = process
    const { runs = 0, startFailed, reports = [], signal = null, exitCode = 0 } = process.script
    const { jobId, attempt } = order
    process.state = 'begun'
    attempts.set(jobId, (attempts.get(jobId) ?? 0) + 1)
    alive.add(process)
    taken += order.pipeline.slots
    byJob.set(jobId, [...(byJob.get(jobId) ?? []), process])
    hearBegin(process)
    agenda.later(5, () => {
      if (process.state !== 'begun') return
      if (startFailed) return end(process, null, null, null)
      process.state = 'started'
      say(process, { type: 'executor.started', jobId, attempt, pid: pid++ })
    })
    if (startFailed) return
    for (const { afterMs, report } of reports)
      agenda.later(5 + afterMs, () => {
        if (process.state === 'started') say(process, { ...report, jobId, attempt })
      })
    if (Number.isFinite(runs))
      agenda.later(5 + runs, () => end(process, signal === null ? exitCode : null, signal, null))
  }

  return {
    running: () => alive,
    waiting: () => waiting,
    onBegin: hear => {
      hearBegin = hear
    },
    runningOf: jobId => byJob.get(jobId) ?? NONE,
    find: (jobId, attempt) => all.get(`${jobId} ${attempt}`),
    attempts: jobId => attempts.get(jobId) ?? 0,
    connect(report) {
      const mine = ++life
      followed = new Set()
      speak = report
      for (const process of alive) process.stopping = false
      for (const { order } of waiting) all.delete(`${order.jobId} ${order.attempt}`)
      waiting = []
      return {
        start: order => {
          if (life === mine) take(order)
        },
        stop({ jobId, attempt, graceMs }) {
          const process = all.get(`${jobId} ${attempt}`)
          if (life !== mine || process === undefined || process.stopping) return
          process.stopping = true
          if (process.state === 'waiting') return takeOff(process)
          const by = process.script.ignoresTerm ? 'SIGKILL' : 'SIGTERM'
          // Some end well when asked to: the reason they were stopped must win over exit code 0.
          const isPolite = process.script.exitCode === 0 && by === 'SIGTERM'
          agenda.later(process.script.ignoresTerm ? graceMs : 20, () => {
            // Who dies in between leaves it to the next life to say it again.
            if (life === mine) end(process, isPolite ? 0 : null, isPolite ? null : by, by)
          })
        },
        adopt(order) {
          if (life === mine) agenda.later(10, () => life === mine && adopt(order))
        },
        close: async () => {},
      }
    },
  }

  function adopt({ start, started, reportsHeard }: AdoptOrder): void {
    const { jobId, attempt } = start
    const process = all.get(`${jobId} ${attempt}`)
    if (process === undefined && !started) return take(start)
    if (process === undefined)
      return speak({ type: 'executor.lost', jobId, attempt, reason: 'it was ordered but never given to a launcher' })
    followed.add(process)
    let lines = 0
    for (const word of process.words) {
      const isReport = isLine(word)
      if (isReport) lines += 1
      if (isReport ? lines > reportsHeard : word.type !== 'executor.started' || !started) speak(word)
    }
  }
}

const NONE: readonly Process[] = []

const NO_USAGE: Usage = {
  wallMs: 0,
  cpuMs: 0,
  peakMemoryKiB: 0,
  stdoutBytes: 0,
  stderrBytes: 0,
  stoppedBy: null,
  survivors: 0,
}
