/**
 * What tests of executors share: orders, a listener that can be waited on, and a real executor in a folder of its own.
 * Nothing here sleeps; waiting for a report has no bound but the test's.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { Executor, StartOrder } from '../../machines/ports.ts'
import type { LauncherKind } from '../../src/executor/launcher.ts'
import { createSubprocessExecutor } from '../../src/executor/subprocess.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'

export function order(
  command: Pipeline['command'],
  changes: Partial<StartOrder> = {},
  pipeline: Partial<Pipeline> = {},
): StartOrder {
  return {
    type: 'executor.start',
    jobId: 'j1',
    attempt: 1,
    instance: 'LATISS',
    dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: null },
    dataPath: '/data/{instrument}/{dayObs}/{obsid}.fits',
    overrides: {},
    configFile: null,
    version: '',
    members: null,
    ...changes,
    pipeline: {
      name: 'quicklook',
      description: '',
      scope: 'exposure',
      command,
      env: {},
      timeLimitMs: 60_000,
      graceMs: 100,
      slots: 1,
      outputMaxBytes: 1_000_000,
      retries: { attemptsMax: 1, backoffMs: 0, on: [] },
      overrides: {},
      configFiles: [],
      fallback: [],
      ...pipeline,
    },
  }
}

/** Ends of a job: exactly one of these for every start. */
export const ENDS = ['executor.exited', 'executor.startFailed', 'executor.lost']

export interface Ear {
  readonly reports: ExecutorReport[]
  readonly hear: (report: ExecutorReport) => void
  /** The first report that fits, now or later. */
  until<T extends ExecutorReport['type']>(type: T, jobId?: string): Promise<Extract<ExecutorReport, { type: T }>>
  /** How a job ended. */
  end(jobId?: string): Promise<ExecutorReport>
}

export function ear(): Ear {
  const reports: ExecutorReport[] = []
  const waiting = new Set<() => void>()
  const first = <T>(find: () => T | undefined): Promise<T> =>
    new Promise(resolve => {
      const look = (): void => {
        const found = find()
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return {
    reports,
    hear: report => {
      reports.push(report)
      for (const look of waiting) look()
    },
    until: (type, jobId = 'j1') => first(() => reports.find(isA(type, jobId))),
    end: (jobId = 'j1') => first(() => reports.find(one => ENDS.includes(one.type) && one.jobId === jobId)),
  }
}

function isA<T extends ExecutorReport['type']>(type: T, jobId: string) {
  return (report: ExecutorReport): report is Extract<ExecutorReport, { type: T }> =>
    report.type === type && report.jobId === jobId
}

export interface Place {
  readonly root: string
  readonly workDir: string
  /** Writes a program and gives its path. */
  program(name: string, text: string): string
  open(ear: Ear, env?: Record<string, string | undefined>, whenActive?: (act: () => void) => void): Promise<Executor>
  /** The pids of launchers, from the ledger. */
  launchers(): number[]
  file(jobId: string, name: string): string
  /** Closes what was opened, waits for its launchers, removes the folder. */
  leave(): Promise<void>
}

/**
 * Where the launcher is compiled to, once a file of tests: what an earlier run left would hide that there is no
 * compiler.
 */
export const cacheDir = mkdtempSync(join(tmpdir(), 'ocps-launcher-'))
cleanUpAfterAll()(() => rmSync(cacheDir, { recursive: true, force: true }))

export function place(launcher: LauncherKind, workDirInside = 'work'): Place {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'ocps-executor-')))
  const workDir = join(root, workDirInside)
  const opened: Executor[] = []
  const launchers = (): number[] => readdirSync(join(workDir, '.ledger')).map(name => Number(name.split('-')[1]))
  return {
    root,
    workDir,
    program: (name, text) => {
      writeFileSync(join(root, name), text)
      chmodSync(join(root, name), 0o755)
      return join(root, name)
    },
    open: async (ear, env = process.env, whenActive = act => act()) => {
      const executor = await createSubprocessExecutor({
        instance: 'LATISS',
        workDir,
        cacheDir,
        pipelinesDir: join(root, 'pipelines'),
        report: ear.hear,
        log: { info: () => {}, warn: () => {}, error: () => {} },
        launcher,
        env,
        whenActive,
      })
      opened.push(executor)
      return executor
    },
    launchers,
    file: (jobId, name) => readFileSync(join(workDir, jobId, name), 'utf8'),
    leave: async () => {
      for (const executor of opened) await executor.close()
      for (const pid of launchers()) await gone(pid)
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** Resolves when a process has ended. */
export async function gone(pid: number): Promise<void> {
  while (isThere(pid)) await new Promise(resolve => setImmediate(resolve))
}

/** A zombie is not there any more: it only waits to be counted. */
export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return process.platform !== 'linux' || !/^State:\s+[ZX]/mu.test(statusOf(pid))
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return 'State: X'
  }
}

/** Resolves when the condition holds; for facts about files and processes that nobody announces. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}
