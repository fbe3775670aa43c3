import { poolOf } from '../../machines/domain/pools.ts'
import { inputsOf } from '../../machines/domain/located.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { StartOrder } from '../../machines/ports.ts'
import { commandLine } from './commandLine.ts'
import { jobDirectory, membersText } from './directory.ts'
import { environment, type OwnEnvironment } from './environment.ts'
import { attemptKey, runRequest } from './protocol.ts'
import { type ReportsFile, reportsFile } from './reportsFile.ts'
import { starterOf } from './runners/list.ts'

/** One attempt of a job as the executor keeps it, from the order to its last word. */
export interface Attempt {
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

export interface Preparing {
  readonly workDir: string
  readonly pipelinesDir: string
  readonly own: OwnEnvironment
  readonly report: (word: ExecutorReport) => void
}

/** What an order comes to, or why it comes to nothing. */
export function prepare(around: Preparing, order: StartOrder, reportsHeard: number): Attempt | { problem: string } {
  try {
    return prepared(around, order, reportsHeard)
  } catch (error) {
    // An id that is no text (half a surrogate) cannot be spelled: a job that does not start, not a broken executor.
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function prepared(around: Preparing, order: StartOrder, reportsHeard: number): Attempt | { problem: string } {
  const { workDir, pipelinesDir, own, report } = around
  const directory = jobDirectory(workDir, order.jobId)
  const inputs = inputsOf(order)
  const place = { inputs, pipelinesDir, directory }
  const argv = commandLine(order, place)
  const env = environment(order, place, own)
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

export function idOf({ jobId, attempt }: Attempt): { jobId: string; attempt: number } {
  return { jobId, attempt }
}
