import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { Executor, StartOrder } from '../../machines/ports.ts'
import type { LauncherKind } from '../../src/executor/launcher.ts'
import { createSubprocessExecutor, type SubprocessOptions } from '../../src/executor/subprocess.ts'
import { eventually } from '../bus/eventually.ts'
import { eachLauncher } from '../executor/eachLauncher.ts'
import { cacheDir, ENDS, isThere, order } from '../executor/world.ts'
import { lacks } from '../needs.ts'

/*
 * One work directory in the hands of two executors, as when a frozen OCPS has been replaced; and what a work directory
 * holds that is nobody's any more.
 */
let root: string
let opened: Executor[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ocps-recovery-'))
  opened = []
})
afterEach(async () => {
  for (const executor of opened) await executor.close()
  rmSync(root, { recursive: true, force: true })
})

interface Opened {
  readonly executor: Executor
  readonly reports: readonly ExecutorReport[]
  readonly warnings: readonly string[]
}

async function open(launcher: LauncherKind, more: Partial<SubprocessOptions> = {}): Promise<Opened> {
  const reports: ExecutorReport[] = []
  const warnings: string[] = []
  const executor = await createSubprocessExecutor({
    instance: 'LATISS',
    workDir: join(root, 'work'),
    cacheDir,
    pipelinesDir: root,
    report: report => reports.push(report),
    log: { info: () => {}, warn: (_, message) => warnings.push(message), error: () => {} },
    launcher,
    ...more,
  })
  opened.push(executor)
  return { executor, reports, warnings }
}

/** What OCPS itself would take. */
const USUAL = lacks('compiler') ? 'fallback' : 'c'

/** Writes one line each time it runs. */
const touch = (jobId: string): StartOrder => order(['/bin/sh', '-c', `echo ran >> ${root}/${jobId}`], { jobId })
const runsOf = (jobId: string): string => readFileSync(join(root, jobId), 'utf8')
const hasEnded = ({ reports }: Opened): boolean => reports.some(({ type }) => ENDS.includes(type))
const forgotten = (): void => {}
const adoption = (start: StartOrder) => ({ type: 'executor.adopt', start, reportsHeard: 0, started: false }) as const

eachLauncher(lacks('compiler'))('with the launcher %s', kind => {
  it('an executor that was replaced starts nothing any more, and who replaced it knows at once that the job never ran, and runs it', async () => {
    // Never active again.
    const old = await open(kind, { whenActive: forgotten })
    const present = await open(kind)
    const began = performance.now()
    old.executor.start(touch('j1'))
    present.executor.adopt(adoption(touch('j1')))
    await eventually('it has ended', () => hasEnded(present))
    expect(present.reports).toMatchObject([{ type: 'executor.started' }, { type: 'executor.exited', exitCode: 0 }])
    expect(runsOf('j1')).toBe('ran\n')
    // Not after the wait for a launcher that says nothing.
    expect(performance.now() - began).toBeLessThan(900)
    expect(old.reports).toEqual([])
    present.executor.start(touch('j2'))
    await eventually('the next job ends', () =>
      present.reports.some(({ type, jobId }) => type === 'executor.exited' && jobId === 'j2'),
    )
  })

  it('an order that lay in the pipe of a frozen launcher is not carried out when it thaws, but once by who replaced it', async () => {
    let isReplaced = false
    const old = await open(kind, { whenActive: act => (isReplaced ? undefined : act()) })
    const [ledger = ''] = readdirSync(join(root, 'work', '.ledger'))
    const launcher = Number(ledger.split('-')[1])
    process.kill(launcher, 'SIGSTOP')
    old.executor.start(touch('j1'))
    isReplaced = true
    const present = await open(kind)
    process.kill(launcher, 'SIGCONT')
    present.executor.adopt(adoption(touch('j1')))
    await eventually('it has ended', () => hasEnded(present))
    await old.executor.close()
    await eventually('the old launcher has ended', () => !isThere(launcher))
    expect(runsOf('j1')).toBe('ran\n')
  })

  it('an executor that is still the active one, though another one had begun to replace it, goes on', async () => {
    const active = await open(kind)
    const gate = join(root, 'go')
    active.executor.start(
      order(['/bin/sh', '-c', `while [ ! -e ${gate} ]; do sleep 0.02; done; exit 3`], { jobId: 'j1' }),
    )
    await eventually('it runs', () => active.reports.length === 1)
    const pretender = await open(kind)
    await pretender.executor.close()
    active.executor.start(touch('go'))
    const ends = () => active.reports.filter(({ type }) => type === 'executor.exited').map(({ jobId }) => jobId)
    await eventually('both end', () => ends().length === 2)
    expect(active.reports.map(({ jobId, type }) => `${jobId} ${type}`).toSorted()).toEqual([
      'go executor.exited',
      'go executor.started',
      'j1 executor.exited',
      'j1 executor.started',
    ])
  })

  it('what a replaced executor has started goes on and is followed by the one that replaced it', async () => {
    const old = await open(kind)
    const start = order(['/bin/sh', '-c', `while [ ! -e ${root}/go ]; do sleep 0.02; done; exit 3`], { jobId: 'j1' })
    old.executor.start(start)
    await eventually('it runs', () => old.reports.length > 0)
    await old.executor.close()
    const present = await open(kind)
    present.executor.adopt({ ...adoption(start), started: true })
    present.executor.start(touch('go'))
    await eventually('both end', () => present.reports.filter(({ type }) => type === 'executor.exited').length === 2)
    expect(present.reports.filter(({ jobId }) => jobId === 'j1')).toMatchObject([
      { type: 'executor.exited', exitCode: 3 },
    ])
  })
})

it('with a new journal, how a job of the same id ended under the old one is not taken for the new one', async () => {
  const old = await open(USUAL)
  old.executor.start(touch('20261122-000007'))
  await eventually('it ended', () => old.reports.some(({ type }) => type === 'executor.exited'))
  await old.executor.close()
  const present = await open(USUAL, { isJournalNew: true })
  present.executor.adopt(adoption(touch('20261122-000007')))
  await eventually('it has ended', () => hasEnded(present))
  expect(present.reports).toMatchObject([{ type: 'executor.started' }, { type: 'executor.exited' }])
  expect(runsOf('20261122-000007')).toBe('ran\nran\n')
})

it('a work directory belongs to one instance, and another one is told whose it is', async () => {
  await open(USUAL)
  await expect(open(USUAL, { instance: 'LSSTCam' })).rejects.toThrow(
    /belongs to instance LATISS; give LSSTCam another one/,
  )
})

it.runIf(process.platform === 'linux')(
  'a process with our mark that no job claims is stopped at the start, and said; those of others are left alone',
  async () => {
    const mark = (instance: string, directory: string) =>
      spawn('/bin/sh', ['-c', 'trap "" TERM; while :; do sleep 0.05; done'], {
        stdio: 'ignore',
        env: { OCPS_INSTANCE: instance, OCPS_JOB_ID: 'j9', OCPS_WORK_DIR: directory, PATH: '/usr/bin:/bin' },
      })
    const [ours, others, elsewhere] = [
      mark('LATISS', join(root, 'work', 'j9')),
      mark('LSSTCam', join(root, 'work', 'j9')),
      mark('LATISS', '/nowhere/work/j9'),
    ]
    const gone = once(ours, 'exit')
    const { warnings } = await open(USUAL)
    // It does not hear TERM.
    expect(await gone).toEqual([null, 'SIGKILL'])
    expect(warnings.some(line => line.includes(`process ${ours.pid} of job j9 belongs to no open job`))).toBe(true)
    for (const one of [others, elsewhere]) {
      expect(one.exitCode).toBeNull()
      const ended = once(one, 'exit')
      one.kill('SIGKILL')
      await ended
    }
  },
)
