/**
 * What only real processes can show: leftovers, floods, full disks, the death of a launcher and of OCPS itself. Every
 * program is written here; both launchers run all of it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Executor } from '../../machines/ports.ts'
import { lacks } from '../needs.ts'
import { eachLauncher } from './eachLauncher.ts'
import { type Ear, ear, eventually, isThere, order, type Place, place } from './world.ts'

const linux = process.platform === 'linux'

eachLauncher(lacks('compiler'))('a subprocess (launcher: %s)', kind => {
  let at: Place
  let heard: Ear
  let executor: Executor
  beforeEach(async () => {
    at = place(kind)
    heard = ear()
    executor = await at.open(heard)
  })
  afterEach(() => at.leave())

  const sh = (text: string, changes = {}, pipeline = {}) => order(['sh', '-c', text], changes, pipeline)
  const pidIn = (name: string): number => Number(at.file('j1', name))

  test('gets its arguments exactly, whatever stands in them', async () => {
    const odd = ['', ' ', '"', "'", '$(touch pwned)', '`id`', 'a\nb', '\\', '*', '-n', 'ß→é', '{"a":1}']
    const show = 'console.log(JSON.stringify(process.argv.slice(1)))'
    executor.start(order(['{node}', '-e', show, '--', ...odd]))
    await heard.end()
    expect(JSON.parse(at.file('j1', 'stdout.log'))).toEqual(odd)
    expect(existsSync(join(at.workDir, 'j1/pwned'))).toBe(false)
  })

  test('sees of the environment of OCPS only what is on the list, and runs in its own directory with nothing else open', async () => {
    await executor.close()
    executor = await at.open(heard, {
      PATH: process.env['PATH'],
      LANG: 'C',
      OCPS_TOKEN: 'secret',
      NATS_PASSWORD: 'secret',
    })
    const show = `console.log(JSON.stringify({ env: process.env, cwd: process.cwd() }))`
    executor.start(order(['{node}', '-e', show], {}, { env: { PYTHONPATH: '/x' } }))
    executor.start(sh('ls /proc/self/fd > "$OCPS_WORK_DIR/fds"', { jobId: 'j2' }))
    await heard.end('j1')
    await heard.end('j2')
    const { env, cwd } = JSON.parse(at.file('j1', 'stdout.log'))
    expect(cwd).toBe(join(at.workDir, 'j1'))
    expect(
      Object.keys(env)
        .filter(name => !name.startsWith('OCPS_'))
        .toSorted(),
    ).toEqual(['LANG', 'PATH', 'PYTHONPATH'])
    expect(env).not.toHaveProperty('OCPS_TOKEN')
    expect(env).toMatchObject({ OCPS_OBSID: 'AT_O_20261122_000017', OCPS_REPORTS: join(cwd, 'reports.ndjson') })
    // 0 to 3, and the one ls reads the list with.
    if (linux) expect(at.file('j2', 'fds').trim().split('\n')).toEqual(['0', '1', '2', '3', '4'])
  })

  test('gets the variables of OCPS that its pipeline names, but nothing that OCPS logs in with', async () => {
    await executor.close()
    executor = await at.open(heard, {
      PATH: process.env['PATH'],
      LSST_LIBRARY_PATH: '/stack/lib',
      LSST_NOT_A_NAME: 'odd \n value',
      DAF_BUTLER_REPO: '/repo',
      OTHER: 'not asked for',
      SHADOWED: 'of the service',
      NATS_URL: 'nats://ocps:secret@host',
      OCPS_NATS_CREDS: '/etc/ocps.creds',
      OCPS_SETTINGS: '/etc/ocps.yaml',
      OCPS_INSPECTOR_TOKEN: 'secret',
      OCPS_JOB_ID: 'of the service',
    })
    const show = 'console.log(JSON.stringify(process.env))'
    const passEnv = ['LSST_*', 'DAF_BUTLER_REPO', 'SHADOWED', 'NATS_*', 'OCPS_*', 'NOWHERE']
    executor.start(order(['{node}', '-e', show], {}, { env: { SHADOWED: 'of the pipeline' }, passEnv }))
    executor.start(order(['{node}', '-e', show], { jobId: 'j2' }, { passEnv: ['*'] }))
    await heard.end('j1')
    await heard.end('j2')
    const [named, all] = ['j1', 'j2'].map(id => JSON.parse(at.file(id, 'stdout.log')) as Record<string, string>)
    expect(named).toMatchObject({
      LSST_LIBRARY_PATH: '/stack/lib',
      LSST_NOT_A_NAME: 'odd \n value',
      DAF_BUTLER_REPO: '/repo',
      SHADOWED: 'of the pipeline',
      OCPS_JOB_ID: 'j1',
    })
    expect(named).not.toHaveProperty('OTHER')
    expect(all).toMatchObject({ OTHER: 'not asked for', OCPS_JOB_ID: 'j2' })
    for (const kept of ['NATS_URL', 'OCPS_NATS_CREDS', 'OCPS_SETTINGS', 'OCPS_INSPECTOR_TOKEN']) {
      expect(named).not.toHaveProperty(kept)
      expect(all).not.toHaveProperty(kept)
    }
  })

  test('of a pool with a prefix runs behind it, and is the same process', async () => {
    const pool = (argv: string[]) => ({ pool: { name: 'gentle', slots: 1, runner: { kind: 'prefix', argv } } }) as const
    const show = ['sh', '-c', 'echo $$ "$OMP_NUM_THREADS" "$X" $(nice) "$@"; exit 4', 'sh', 'a  b', '{obsid}'] as const
    const behind = ['env', 'OMP_NUM_THREADS=1', 'nice', '-n', '7', 'env', 'X={obsid}']
    executor.start(order(show, {}, pool(behind)))
    const { pid } = await heard.until('executor.started')
    expect(await heard.end()).toMatchObject({ exitCode: 4, signal: null })
    const nice = Number(execFileSync('nice', { encoding: 'utf8' })) + 7
    expect(at.file('j1', 'stdout.log')).toBe(`${pid} 1 {obsid} ${Math.min(nice, 19)} a  b AT_O_20261122_000017\n`)
  })

  test('of a pool whose prefix is missing says whose runner it is', async () => {
    const pool = { name: 'gentle', slots: 1, runner: { kind: 'prefix', argv: ['no-such-prefix'] } } as const
    executor.start(order(['true'], {}, { pool }))
    expect(await heard.end()).toMatchObject({
      code: 'PROGRAM_NOT_FOUND',
      reason:
        'Pipeline quicklook: the program no-such-prefix does not exist; correct the runner of pool gentle or install it.',
    })
  })

  test('that cannot be executed is told apart from one that does not exist', async () => {
    writeFileSync(join(at.root, 'plain'), 'x')
    const script = at.program('script', '#!/no/such/interpreter\n')
    executor.start(order([join(at.root, 'plain')]))
    executor.start(order([at.root], { jobId: 'j2' }))
    executor.start(order([script], { jobId: 'j3' }))
    executor.start(order(['{unknown}'], { jobId: 'j4' }))
    executor.start(order([at.program('cut', '\x7fELF, or so it says')], { jobId: 'j5' }))
    expect(await heard.end('j5')).toMatchObject({ code: 'NOT_EXECUTABLE' })
    expect(await heard.end('j1')).toMatchObject({ code: 'NOT_EXECUTABLE' })
    expect(await heard.end('j2')).toMatchObject({ code: 'NOT_EXECUTABLE' })
    expect(await heard.end('j3')).toMatchObject({
      code: 'PROGRAM_NOT_FOUND',
      reason: expect.stringContaining('interpreter'),
    })
    expect(await heard.end('j4')).toMatchObject({ code: 'START_FAILED', reason: expect.stringContaining('{unknown}') })
  })

  test('leaves no grandchild behind, neither in its group nor in a session of its own', async () => {
    executor.start(sh('sleep 1000 & echo $! > inGroup; setsid sleep 1000 & echo $! > inSession; exit 0'))
    expect(await heard.end()).toMatchObject({ exitCode: 0, usage: { stoppedBy: 'SIGTERM', survivors: 0 } })
    expect(isThere(pidIn('inGroup'))).toBe(false)
    if (linux) expect(isThere(pidIn('inSession'))).toBe(false)
  })

  test('is stopped with all its descendants, also those that ignore SIGTERM in another session', async () => {
    const deaf = at.program('deaf', '#!/bin/sh\ntrap "" TERM\necho $$ > "$1"\nwhile :; do sleep 1000; done\n')
    executor.start(sh(`trap "" TERM; ${deaf} a & setsid ${deaf} b & setsid env -i PATH="$PATH" ${deaf} c & wait`))
    await eventually(() => ['a', 'b', 'c'].every(name => existsSync(join(at.workDir, 'j1', name)) && pidIn(name) > 0))
    executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 50 })
    expect(await heard.end()).toMatchObject({ signal: 'SIGKILL', usage: { stoppedBy: 'SIGKILL', survivors: 0 } })
    if (linux) for (const name of ['a', 'b', 'c']) expect(isThere(pidIn(name))).toBe(false)
  })

  test('that floods stdout is cut at the bound without being held up, and its last words are kept', async () => {
    const gigabyte = 1_000_000_000
    executor.start(
      sh(`head -c ${gigabyte} /dev/zero; echo last words; echo why >&2; exit 1`, {}, { outputMaxBytes: 100_000 }),
    )
    executor.start(order(['true'], { jobId: 'j2' }))
    await heard.end('j2')
    expect(heard.reports.some(({ type, jobId }) => type === 'executor.exited' && jobId === 'j1')).toBe(false)
    expect(await heard.end('j1')).toMatchObject({
      exitCode: 1,
      usage: { stdoutBytes: gigabyte + 11, stderrBytes: 4 },
      stderrTail: 'why\n',
    })
    expect(statSync(join(at.workDir, 'j1/stdout.log')).size).toBeLessThanOrEqual(100_000)
    expect(at.file('j1', 'stdout.log')).toMatch(/bytes left out\]\n\0+last words\n$/u)
    if (linux && kind === 'c') expect(residentKiB(at.launchers()[0])).toBeLessThan(8_000)
  })

  test('whose output just fits is kept whole', async () => {
    for (const [index, bytes] of [99_999, 100_000, 98_000, 97_888].entries())
      executor.start(sh(`head -c ${bytes} /dev/zero | tr '\\0' x`, { jobId: `j${index}` }, { outputMaxBytes: 100_000 }))
    for (const [index, bytes] of [99_999, 100_000, 98_000, 97_888].entries()) {
      await heard.end(`j${index}`)
      expect(at.file(`j${index}`, 'stdout.log')).toBe('x'.repeat(bytes))
    }
  })

  test('is followed live: a report is heard while it still runs', async () => {
    executor.start(sh(`echo '{"metric":"a","value":NaN}' >&3; echo '{"torn' >&3; exec sleep 1000`))
    expect(await heard.until('executor.metric')).toMatchObject({ metric: 'a', value: 'NaN' })
    executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 1_000 })
    await heard.end()
    expect(heard.reports.map(({ type }) => type)).toContain('executor.badReport')
    expect(heard.reports.at(-1)?.type).toBe('executor.exited')
  })

  test('that is a gather finds its members with absolute paths', async () => {
    const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000016', group: 'g', detector: 0 }
    const metrics = [{ metric: 'psf.fwhm', value: 1.2, unit: 'arcsec' }]
    const datasets = [{ dataset: 'preview', path: 'p.png', mime: 'image/png' }]
    const member = { dataId, pipeline: 'quicklook', jobId: 'j0', outcome: 'succeeded', datasets, metrics }
    const nothing = { pipeline: null, jobId: null, outcome: null }
    const raw = { ...nothing, dataId: { ...dataId, detector: null }, datasets: [], metrics: [] }
    executor.start(
      order(['cat', '{members}'], { members: [member, raw], dataId: { ...dataId, obsid: null, detector: null } }),
    )
    await heard.end()
    expect(JSON.parse(at.file('j1', 'stdout.log'))).toEqual({
      group: 'g',
      members: [
        {
          obsid: 'AT_O_20261122_000016',
          detector: 0,
          pipeline: 'quicklook',
          jobId: 'j0',
          outcome: 'succeeded',
          input: '/data/LATISS/20261122/AT_O_20261122_000016.fits',
          workDir: join(at.workDir, 'j0'),
          datasets: { preview: join(at.workDir, 'j0/p.png') },
          metrics: { 'psf.fwhm': { value: 1.2, unit: 'arcsec' } },
        },
        {
          ...nothing,
          obsid: 'AT_O_20261122_000016',
          detector: null,
          input: '/data/LATISS/20261122/AT_O_20261122_000016.fits',
          workDir: null,
          datasets: {},
          metrics: {},
        },
      ],
    })
  })

  test('says what it used', async () => {
    const work =
      'const b = Buffer.alloc(1e8, 1); const t = Date.now(); while (Date.now() - t < 100); console.log(b.length)'
    executor.start(order(['{node}', '-e', work]))
    const { usage } = await heard.until('executor.exited')
    expect(usage.wallMs).toBeGreaterThanOrEqual(100)
    expect(usage.cpuMs).toBeGreaterThan(30)
    expect(usage.peakMemoryKiB).toBeGreaterThan(100_000)
    expect(usage.peakMemoryKiB).toBeLessThan(400_000)
    expect(usage.stdoutBytes).toBe(10)
  })

  test('of a second attempt works in a clean directory, and the first one stays readable', async () => {
    executor.start(sh('echo first >&2; exit 1'))
    await heard.end()
    const again = ear()
    await executor.close()
    executor = await at.open(again)
    executor.start(sh('ls', { attempt: 2 }))
    expect(await again.end()).toMatchObject({ attempt: 2, exitCode: 0 })
    expect(at.file('j1', 'stdout.log')).toBe('reports.ndjson\n')
    expect(at.file('j1~1', 'stderr.log')).toBe('first\n')
  })
})

function residentKiB(pid: number | undefined): number {
  return Number(/^VmHWM:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
