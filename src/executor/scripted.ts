/**
 * The executor's twin: plays a script for each job instead of running anything, on whatever clock it is given, so that
 * a whole night can be stepped through in memory. It keeps the contract of the real one (test/executor/contract.ts); it
 * knows no files and no processes.
 */
import type { Usage } from '../../machines/domain/outcome.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { Executor, ReportSink, StartOrder } from '../../machines/ports.ts'
import { createCapacityBook, neverBegan } from '../../machines/domain/capacity.ts'
import type { LineReport } from './reportLines.ts'

type StartFailed = Extract<ExecutorReport, { type: 'executor.startFailed' }>

/** What a job will do. Left out: it starts at once and succeeds at once. */
export interface Script {
  /** From start to the end by itself, milliseconds; Infinity for one that hangs. */
  readonly runs?: number
  readonly exitCode?: number
  /** Ends by this signal instead of an exit code. */
  readonly signal?: string
  readonly startFailed?: Pick<StartFailed, 'code' | 'reason'>
  /** Nothing tells how it ended: this is the evidence. */
  readonly lost?: string
  /** In order of time; those after the end are never written. */
  readonly reports?: readonly { readonly afterMs: number; readonly report: LineReport }[]
  /** Goes on after SIGTERM, until the grace is over. */
  readonly ignoresTerm?: boolean
  readonly stderrTail?: string
}

export interface ScriptedOptions {
  readonly report: ReportSink
  /** Calls once, later, after that many milliseconds of the clock in use; 0 is later too. */
  readonly schedule: (ms: number, run: () => void) => void
  readonly script: (order: StartOrder) => Script
}

interface Play {
  readonly order: StartOrder
  readonly script: Script
  state: 'waiting' | 'begun' | 'ended'
  stopping: boolean
}

/** Pids count from here: they look like pids, and none is real. */
const FIRST_PID = 100_001

export function createScriptedExecutor({ report, schedule, script }: ScriptedOptions): Executor {
  const plays = new Map<string, Play>()
  const book = createCapacityBook<Play>()
  let pid = FIRST_PID
  let closed = false

  const end = (play: Play, word: (id: { jobId: string; attempt: number }) => ExecutorReport): void => {
    if (play.state === 'ended' || closed) return
    play.state = 'ended'
    const { jobId, attempt } = play.order
    plays.delete(`${jobId} ${attempt}`)
    report(word({ jobId, attempt }))
    for (const next of book.end(play)) begin(next, false, 0)
  }

  const exit = (play: Play, exitCode: number | null, signal: string | null, stoppedBy: Usage['stoppedBy']): void =>
    end(play, id => ({
      type: 'executor.exited',
      ...id,
      exitCode,
      signal,
      usage: { ...NO_USAGE, wallMs: play.script.runs === Infinity ? 0 : (play.script.runs ?? 0), stoppedBy },
      stderrTail: play.script.stderrTail ?? '',
    }))

  const take = (order: StartOrder): Play => {
    const play: Play = { order, script: script(order), state: 'waiting', stopping: false }
    plays.set(`${order.jobId} ${order.attempt}`, play)
    return play
  }

  const begin = (play: Play, started: boolean, reportsHeard: number): void => {
    const { runs = 0, startFailed, lost, reports = [], signal = null, exitCode = 0 } = play.script
    const { jobId, attempt } = play.order
    play.state = 'begun'
    schedule(0, () => {
      if (play.state === 'ended' || closed) return
      if (startFailed) return end(play, id => ({ type: 'executor.startFailed', ...id, ...startFailed }))
      if (!started) report({ type: 'executor.started', jobId, attempt, pid: pid++, where: 'local' })
      for (const line of reports.slice(reportsHeard))
        if (line.afterMs <= runs)
          schedule(line.afterMs, () => {
            if (play.state !== 'ended' && !closed) report({ ...line.report, jobId, attempt })
          })
      if (!Number.isFinite(runs)) return
      // Scheduled after its reports, so that at the same moment they come first.
      schedule(runs, () => {
        if (lost !== undefined) end(play, id => ({ type: 'executor.lost', ...id, reason: lost }))
        else exit(play, signal === null ? exitCode : null, signal, null)
      })
    })
  }

  const order = (asked: StartOrder): void => {
    for (const next of book.order(take(asked), asked.pipeline, asked.capacity)) begin(next, false, 0)
  }

  return {
    start: order,
    stop: ({ jobId, attempt, graceMs }) => {
      const play = plays.get(`${jobId} ${attempt}`)
      if (!play || play.stopping) return
      play.stopping = true
      if (play.state === 'waiting')
        return schedule(0, () =>
          end(play, id => ({ type: 'executor.startFailed', ...id, ...neverBegan(play.order.pipeline.name) })),
        )
      const by = play.script.ignoresTerm ? 'SIGKILL' : 'SIGTERM'
      schedule(play.script.ignoresTerm ? graceMs : 0, () => exit(play, null, by, by))
    },
    /** Plays the rest as if it had started now: a twin has no past life to look into. */
    adopt: ({ start, started, reportsHeard }) => {
      if (!started) return order(start)
      const play = take(start)
      book.begin(play, start.pipeline)
      begin(play, true, reportsHeard)
    },
    close: async () => {
      closed = true
    },
  }
}

const NO_USAGE: Usage = {
  wallMs: 0,
  cpuMs: 0,
  peakMemoryKiB: 0,
  stdoutBytes: 0,
  stderrBytes: 0,
  stoppedBy: null,
  survivors: 0,
}
