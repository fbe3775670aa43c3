import type { Executor, ReportSink } from '../../machines/ports.ts'
import { createScriptedExecutor } from './scripted.ts'

/**
 * The executor of simulation mode (`--simulate`): nothing is started and nothing is read; every job says that it is
 * simulated, takes a second, and succeeds. For trying scripts and displays against an instance that looks real on the
 * wire.
 */
export function createSimulatedExecutor(report: ReportSink): Executor {
  return createScriptedExecutor({
    report,
    schedule: (ms, run) => void setTimeout(run, ms),
    script: () => ({
      runs: RUNS_MS,
      exitCode: 0,
      reports: [{ afterMs: RUNS_MS / 2, report: { type: 'executor.progress', fraction: 0.5, note: 'simulated' } }],
    }),
  })
}

// Long enough to be seen running, short enough that nobody waits for it.
const RUNS_MS = 1_000
