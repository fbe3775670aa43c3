/**
 * The watch over the launcher: jobs that stop it or end it, and one that says nothing any more. Both launchers run what
 * they can.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { Executor } from '../../machines/ports.ts'
import { DEATHS_MAX } from '../../src/executor/blame.ts'
import { openLauncher } from '../../src/executor/launcher.ts'
import { lacks } from '../needs.ts'
import { eachLauncher } from './eachLauncher.ts'
import { type Ear, ear, eventually, gone, isThere, order, type Place, place } from './world.ts'

eachLauncher(lacks('compiler'))('a launcher (%s)', kind => {
  let at: Place
  let heard: Ear
  let executor: Executor
  beforeEach(async () => {
    at = place(kind)
    onTestFinished(() => at.leave())
    heard = ear()
    executor = await at.open(heard)
  })

  const start = (jobId: string, text: string, name = 'quicklook') =>
    executor.start(order(['sh', '-c', text], { jobId }, { name }))

  test.runIf(process.platform === 'linux')(
    'that a job stops is replaced, and its jobs are adopted with their true ends, though the job stops it again',
    async () => {
      const go = join(at.root, 'go')
      const wait = `while [ ! -e ${go} ]; do sleep 0.01; done`
      start('innocent', `${wait}; exit 4`)
      await heard.until('executor.started', 'innocent')
      onTestFinished(() => writeFileSync(go, ''))
      const [first = 0] = at.launchers()
      start('j1', `kill -STOP $PPID; ${wait}; kill -STOP $PPID; exit 5`)
      // Another job that was begun before would be its own.
      await eventually(() => /^State:\s+T/mu.test(readFileSync(`/proc/${first}/status`, 'utf8')))
      start('j2', 'exit 6')
      expect(await heard.end('j2')).toMatchObject({ exitCode: 6 })
      expect(at.launchers().filter(isThere)).toHaveLength(2)
      writeFileSync(go, '')
      expect(await heard.end('j1')).toMatchObject({ type: 'executor.exited', exitCode: 5 })
      expect(await heard.end('innocent')).toMatchObject({ type: 'executor.exited', exitCode: 4 })
    },
  )

  test('that a job of one pipeline kills again and again makes that pipeline refused, and others run', async () => {
    for (let n = 1; n <= DEATHS_MAX; n += 1) {
      const pids = at.launchers()
      start(`bad${n}`, 'kill -KILL $PPID; exec sleep 1000', 'bad')
      await eventually(() => at.launchers().some(pid => !pids.includes(pid)))
      executor.stop({ type: 'executor.stop', jobId: `bad${n}`, attempt: 1, graceMs: 0 })
      expect(await heard.end(`bad${n}`)).toMatchObject({
        type: 'executor.lost',
        reason: expect.stringMatching(/launcher \d+ died/),
      })
      start(`good${n}`, 'exit 0')
      expect(await heard.end(`good${n}`)).toMatchObject({ type: 'executor.exited', exitCode: 0 })
    }
    start('refused', 'touch ../ran', 'bad')
    expect(await heard.end('refused')).toMatchObject({
      type: 'executor.startFailed',
      code: 'START_FAILED',
      reason: expect.stringMatching(/^Pipeline bad: 3 launchers in a row died/),
    })
    expect(existsSync(join(at.workDir, 'ran'))).toBe(false)
  })

  test('that is killed by every job it begins, before it can say so, is replaced as long as there are jobs', async () => {
    const ids = Array.from({ length: 6 }, (_, n) => `bad${n}`)
    for (const jobId of ids) start(jobId, 'kill -KILL $PPID', jobId)
    for (const jobId of ids) expect(await heard.end(jobId)).toMatchObject({ type: 'executor.lost' })
    start('good', 'exit 0')
    expect(await heard.end('good')).toMatchObject({ exitCode: 0 })
  })
})

test('a launcher that does not answer is killed and given up, however long it would live', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const ledgerDir = mkdtempSync(join(tmpdir(), 'ocps-ledger-'))
  onTestFinished(() => {
    vi.useRealTimers()
    rmSync(ledgerDir, { recursive: true })
  })
  const reasons: string[] = []
  const launcher = await openLauncher({
    command: ['sh', '-c', 'echo H $$ 1 boot file; exec sleep 1000'],
    ledgerDir,
    hear: () => {},
    died: reason => reasons.push(reason),
    wasStopped: () => {},
  })
  vi.advanceTimersByTime(10_000)
  expect(reasons).toEqual([])
  vi.advanceTimersByTime(1_000)
  expect(reasons).toEqual(['it did not answer for 10 s'])
  await gone(launcher.pid)
})

eachLauncher(lacks('compiler'))('a launcher (%s)', kind =>
  test('that answers is kept', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const at = place(kind)
    onTestFinished(() => at.leave())
    const heard = ear()
    const executor = await at.open(heard)
    const before = at.launchers()
    for (let n = 0; n < 15; n += 1) {
      vi.advanceTimersByTime(1_000)
      // Its answer comes before what it says of this one.
      executor.start(order(['true'], { jobId: `j${n}` }))
      await heard.end(`j${n}`)
    }
    expect(at.launchers()).toEqual(before)
  }),
)
