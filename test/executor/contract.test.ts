/**
 * Holds all three executors to the one contract. The programs are small shell scripts; the scripts of the twin say the
 * same.
 */
import { expect } from 'vitest'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import type { LauncherKind } from '../../src/executor/launcher.ts'
import { createScriptedExecutor, type Script } from '../../src/executor/scripted.ts'
import { keepsTheContract, type Scene, type World } from './contract.ts'
import { lacks } from '../needs.ts'
import { eachLauncher } from './eachLauncher.ts'
import { order, place } from './world.ts'

const REPORTS = `
echo '{"metric":"psf.fwhm","value":1.21,"unit":"arcsec"}' >&3
echo '{"progress":0.4,"note":"half way"}' >&3
echo '{"verdict":"poor seeing"}' >&3`

const PROGRAMS: Record<Scene, readonly string[]> = {
  succeeds: ['true'],
  'exits 3': ['sh', '-c', 'exit 3'],
  'dies of SIGUSR1': ['sh', '-c', 'kill -USR1 $$'],
  reports: ['sh', '-c', REPORTS],
  hangs: ['sleep', '1000'],
  'ignores SIGTERM': ['sh', '-c', `trap "" TERM; echo '{"progress":0}' >&3; while :; do sleep 1000; done`],
  'is missing': ['no-such-program'],
}

const SCRIPTS: Record<Scene, Script> = {
  succeeds: {},
  'exits 3': { exitCode: 3 },
  'dies of SIGUSR1': { signal: 'SIGUSR1' },
  reports: {
    runs: 10,
    reports: [
      { afterMs: 1, report: { type: 'executor.metric', metric: 'psf.fwhm', value: 1.21, unit: 'arcsec' } },
      { afterMs: 5, report: { type: 'executor.progress', fraction: 0.4, note: 'half way' } },
      { afterMs: 10, report: { type: 'executor.verdict', verdict: 'poor seeing' } },
    ],
  },
  hangs: { runs: Infinity },
  'ignores SIGTERM': {
    runs: Infinity,
    ignoresTerm: true,
    reports: [{ afterMs: 0, report: { type: 'executor.progress', fraction: 0, note: '' } }],
  },
  'is missing': { startFailed: { code: 'PROGRAM_NOT_FOUND', reason: 'The program does not exist.' } },
}

const NAMES = { c: 'the launcher in C', fallback: 'the launcher in Perl' } as const
const PREFIXED: Partial<Pipeline> = {
  pool: { name: 'gentle', slots: 1, runner: { kind: 'prefix', argv: ['nice', '-n', '3'] } },
}

eachLauncher(lacks('compiler'))('processes (launcher: %s)', kind => {
  keepsTheContract(NAMES[kind], () => processes(kind))
  keepsTheContract(
    `${NAMES[kind]} and a prefix`,
    () => processes(kind, PREFIXED),
    // The prefix is there and says itself what is not.
    { missing: { exitCode: 127, stderrTail: expect.stringContaining('no-such-program') } },
  )
})

function processes(kind: LauncherKind, pipeline: Partial<Pipeline> = {}): World {
  const at = place(kind)
  return {
    open: ear => at.open(ear),
    order: (scene, changes, more) => order(PROGRAMS[scene], changes, { ...pipeline, ...more }),
    leave: () => at.leave(),
  }
}

keepsTheContract('a script instead of processes', (): World => {
  const schedule = steppedClock()
  return {
    open: async ear =>
      createScriptedExecutor({
        report: ear.hear,
        schedule,
        script: ({ pipeline }) => Object.entries(SCRIPTS).find(([scene]) => scene === pipeline.name)?.[1] ?? {},
      }),
    order: (scene, changes, more) => order(['true'], changes, { name: scene, ...more }),
    leave: async () => {},
  }
})

/** A clock that steps to the next thing to do whenever the event loop turns. */
function steppedClock(): (ms: number, run: () => void) => void {
  let nowMs = 0
  let order = 0
  let due: { at: number; order: number; run: () => void }[] = []
  const step = (): void => {
    due = due.toSorted((a, b) => a.at - b.at || a.order - b.order)
    const next = due.shift()
    if (!next) return
    nowMs = next.at
    next.run()
  }
  return (ms, run) => {
    due.push({ at: nowMs + ms, order: order++, run })
    setImmediate(step)
  }
}
