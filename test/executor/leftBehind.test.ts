/**
 * What is left when a launcher or OCPS itself dies, and who waits for a slot meanwhile: only real processes can show it.
 * Every program is written here; both launchers run all of it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { Executor, StartOrder } from '../../machines/ports.ts'
import { lacks } from '../needs.ts'
import { eachLauncher } from './eachLauncher.ts'
import { type Ear, ear, eventually, gone, isThere, order, type Place, place } from './world.ts'

const linux = process.platform === 'linux'

eachLauncher(lacks('compiler'))('a subprocess whose launcher or OCPS dies (launcher: %s)', kind => {
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

  test('whose launcher is killed is followed to its end and reported lost; a new launcher runs the next job', async () => {
    executor.start(
      sh(
        `trap 'echo "{\\"verdict\\":\\"seen\\"}" >&3; exit 0' USR1; echo '{"progress":0}' >&3; while :; do sleep 0.01; done`,
      ),
    )
    const { pid } = await heard.until('executor.started')
    await heard.until('executor.progress')
    for (const launcher of at.launchers()) process.kill(launcher, 'SIGKILL')
    executor.start(order(['true'], { jobId: 'j2' }))
    expect(await heard.end('j2')).toMatchObject({ exitCode: 0 })
    expect(isThere(pid)).toBe(true)
    process.kill(pid, 'SIGUSR1')
    expect(await heard.end()).toMatchObject({
      type: 'executor.lost',
      reason: expect.stringMatching(/^Process \d+ is gone, and its launcher \d+ died/u),
    })
    expect(heard.reports.filter(({ jobId }) => jobId === 'j1').map(({ type }) => type)).toEqual([
      'executor.started',
      'executor.progress',
      'executor.verdict',
      'executor.lost',
    ])
  })

  test('that was held back while its OCPS was not sure to be active runs once, though the launcher died meanwhile', async () => {
    await executor.close()
    const held: (() => void)[] = []
    let isSure = true
    executor = await at.open(heard, process.env, act => void (isSure ? act() : held.push(act)))
    const before = at.launchers()
    isSure = false
    executor.start(sh('echo ran >> ../ran'))
    for (const launcher of before.filter(isThere)) process.kill(launcher, 'SIGKILL')
    await eventually(() => at.launchers().some(pid => !before.includes(pid)))
    isSure = true
    for (const act of held.splice(0)) act()
    expect(await heard.end()).toMatchObject({ exitCode: 0 })
    executor.start(order(['true'], { jobId: 'j2' }))
    await heard.end('j2')
    expect(readFileSync(join(at.workDir, 'ran'), 'utf8')).toBe('ran\n')
  })

  test('whose launcher was killed can still be stopped, and what it left is swept up', async () => {
    executor.start(sh('setsid sleep 1000 & echo $! > escaped; echo \'{"progress":1}\' >&3; wait'))
    await heard.until('executor.progress')
    for (const launcher of at.launchers()) process.kill(launcher, 'SIGKILL')
    executor.start(order(['true'], { jobId: 'j2' }))
    await heard.end('j2')
    executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 50 })
    expect(await heard.end()).toMatchObject({ type: 'executor.lost' })
    if (linux) await gone(pidIn('escaped'))
  })

  const adopt = (reports: readonly ExecutorReport[], start = order(['true'])) => ({
    type: 'executor.adopt' as const,
    start,
    started: reports.some(({ type }) => type === 'executor.started'),
    reportsHeard: reports.filter(({ type }) => !/started|exited/u.test(type)).length,
  })

  test('goes on when OCPS dies; the next OCPS hears each report once and the true exit code', async () => {
    const go = join(at.root, 'go')
    const job = sh(`echo '{"metric":"before","value":1}' >&3; while [ ! -e ${go} ]; do sleep 0.01; done
      echo '{"metric":"meanwhile","value":2}' >&3; echo out; exit 5`)
    executor.start(job)
    await heard.until('executor.metric')
    await executor.close()
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt(heard.reports, job))
    writeFileSync(go, '')
    expect(await next.end()).toMatchObject({ exitCode: 5, usage: { stdoutBytes: 4 } })
    expect(next.reports).toMatchObject([{ type: 'executor.metric', metric: 'meanwhile' }, { type: 'executor.exited' }])
  })

  test('that ended while OCPS was away is told by the ledger', async () => {
    executor.start(sh(`echo '{"metric":"a","value":1}' >&3; exit 7`))
    await executor.close()
    for (const launcher of at.launchers()) await gone(launcher)
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt([]))
    expect(await next.end()).toMatchObject({ exitCode: 7 })
    expect(next.reports.map(({ type }) => type)).toEqual(['executor.started', 'executor.metric', 'executor.exited'])
  })

  test('that was adopted can be stopped', async () => {
    const job = sh(`trap "" TERM; echo '{"progress":0}' >&3; while :; do sleep 1000; done`)
    executor.start(job)
    await heard.until('executor.progress')
    await executor.close()
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt(heard.reports, job))
    second.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 50 })
    expect(await next.end()).toMatchObject({ signal: 'SIGKILL', usage: { stoppedBy: 'SIGKILL', survivors: 0 } })
  })

  test('that no launcher was ever given is begun by the next OCPS', async () => {
    executor.adopt(adopt([]))
    expect(await heard.end()).toMatchObject({ type: 'executor.exited', exitCode: 0 })
    expect(heard.reports.map(({ type }) => type)).toEqual(['executor.started', 'executor.exited'])
  })

  test('that ran by what is known, of which no launcher here was ever given anything, is lost', async () => {
    executor.adopt({ ...adopt([]), started: true })
    expect(await heard.end()).toMatchObject({ type: 'executor.lost', reason: expect.stringContaining('never ran') })
  })

  /** A job that runs until it is told to end, and what tells it; it logs that it begins and that it ends. */
  const gated = (jobId: string, changes: Partial<StartOrder> = {}, slots = 1) => {
    const gate = join(at.root, `go-${jobId}`)
    const job = sh(
      `echo +${jobId} >> ../log; while [ ! -e ${gate} ]; do sleep 0.01; done; echo -${jobId} >> ../log`,
      { jobId, capacity: 2, ...changes },
      { slots },
    )
    return { job, go: () => writeFileSync(gate, '') }
  }
  const log = (): string =>
    existsSync(join(at.workDir, 'log')) ? at.file('.', 'log').trim().replaceAll('\n', ' ') : ''
  const startedOnes = (of = heard) =>
    of.reports.filter(({ type }) => type === 'executor.started').map(({ jobId }) => jobId)

  test('that was ordered before a slot is free waits for one, and one that is larger holds back those behind it', async () => {
    const [a, b, c, d] = [gated('a'), gated('b'), gated('c', {}, 2), gated('d')] as const
    for (const { job } of [a, b, c, d]) executor.start(job)
    await heard.until('executor.started', 'b')
    a.go()
    await heard.end('a')
    // Its end was told before anything else was begun; c does not fit beside b, and d comes after c.
    expect(startedOnes()).toEqual(['a', 'b'])
    b.go()
    await heard.until('executor.started', 'c')
    d.go()
    c.go()
    await heard.end('d')
    expect(log()).toMatch(/^\+[ab] \+[ab] -a -b \+c -c \+d -d$/u)
  })

  test('that is larger than all slots together runs alone', async () => {
    const [a, large, c] = [gated('a'), gated('large', {}, 5), gated('c')] as const
    for (const { job } of [a, large, c]) executor.start(job)
    c.go()
    large.go()
    await heard.until('executor.started', 'a')
    expect(startedOnes()).toEqual(['a'])
    a.go()
    await heard.end('c')
    expect(log()).toBe('+a -a +large -large +c -c')
  })

  test('ends are told before the next begins, and no more run at once than there are slots', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `j${index}`)
    for (const jobId of ids) executor.start(order(['true'], { jobId, capacity: 3 }))
    await Promise.all(ids.map(jobId => heard.end(jobId)))
    let running = 0
    for (const { type } of heard.reports) {
      running += type === 'executor.started' ? 1 : -1
      expect(running).toBeLessThanOrEqual(3)
    }
    expect(startedOnes()).toEqual(ids)
  })

  test('that waits for a slot and is stopped never runs, and says so; those behind it go on', async () => {
    const [a, large, c] = [gated('a'), gated('large', {}, 2), gated('c')] as const
    for (const { job } of [a, large, c]) executor.start(job)
    await heard.until('executor.started', 'a')
    executor.stop({ type: 'executor.stop', jobId: 'large', attempt: 1, graceMs: 60_000 })
    expect(await heard.end('large')).toMatchObject({
      type: 'executor.startFailed',
      reason: expect.stringContaining('stopped before a slot was free'),
    })
    await heard.until('executor.started', 'c')
    a.go()
    c.go()
    await heard.end('a')
    await heard.end('c')
    expect(log()).not.toContain('large')
    expect(existsSync(join(at.workDir, 'large'))).toBe(false)
  })

  test('that waits for a slot when its launcher is killed runs once, when those the dead launcher left have made room', async () => {
    const [a, b, c] = [gated('a'), gated('b'), gated('c')] as const
    for (const { job } of [a, b, c]) executor.start(job)
    await heard.until('executor.started', 'b')
    const before = at.launchers()
    for (const launcher of before) process.kill(launcher, 'SIGKILL')
    await eventually(() => at.launchers().some(pid => !before.includes(pid)))
    c.go()
    // It is at the next launcher now: what another attempt says came after it.
    executor.start(gated('c', { attempt: 2 }).job)
    executor.stop({ type: 'executor.stop', jobId: 'c', attempt: 2, graceMs: 0 })
    expect(await heard.until('executor.startFailed', 'c')).toMatchObject({ attempt: 2 })
    a.go()
    expect(await heard.end('a')).toMatchObject({ type: 'executor.lost' })
    await heard.until('executor.exited', 'c')
    b.go()
    await heard.end('b')
    expect(log()).toMatch(/^\+[ab] \+[ab] -a \+c -c -b$/u)
  })

  test('that waits for a slot when OCPS dies is begun by its launcher, and the next OCPS hears of it', async () => {
    const [a, b] = [gated('a', { capacity: 1 }), gated('b', { capacity: 1 })] as const
    executor.start(a.job)
    executor.start(b.job)
    await heard.until('executor.started', 'a')
    await executor.close()
    a.go()
    await eventually(() => log().includes('+b'))
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt(heard.reports, a.job))
    second.adopt(adopt([], b.job))
    b.go()
    expect(await next.end('a')).toMatchObject({ type: 'executor.exited', exitCode: 0 })
    expect(await next.end('b')).toMatchObject({ type: 'executor.exited', exitCode: 0 })
    expect(log()).toBe('+a -a +b -b')
  })

  test('that still waits for a slot when the next OCPS is there runs once, when those of the launcher before have made room', async () => {
    const [a, b] = [gated('a', { capacity: 1 }), gated('b', { capacity: 1 })] as const
    executor.start(a.job)
    executor.start(b.job)
    await heard.until('executor.started', 'a')
    const [old = 0] = at.launchers()
    await executor.close()
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt(heard.reports, a.job))
    second.adopt(adopt([], b.job))
    const ledgers = () =>
      readdirSync(join(at.workDir, '.ledger')).map(name => readFileSync(join(at.workDir, '.ledger', name), 'utf8'))
    await eventually(() => ledgers().some(text => text.includes(`Q ${old} 0`)))
    b.go()
    a.go()
    expect(await next.end('b')).toMatchObject({ type: 'executor.exited', exitCode: 0 })
    expect(log()).toBe('+a -a +b -b')
  })

  test('whose ledger is of an earlier start of the machine is lost', async () => {
    executor.start(order(['sleep', '1000']))
    const { pid } = await heard.until('executor.started')
    await executor.close()
    const [name = ''] = readdirSync(join(at.workDir, '.ledger'))
    const path = join(at.workDir, '.ledger', name)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^(L \d+ \d+) \S+/u, '$1 another-boot'))
    const next = ear()
    const second = await at.open(next)
    second.adopt(adopt(heard.reports))
    expect(await next.end()).toMatchObject({
      type: 'executor.lost',
      reason: expect.stringContaining('machine was started anew'),
    })
    if (linux) await gone(pid)
    else process.kill(-pid, 'SIGKILL')
  })

  test.skipIf(process.getuid?.() !== 0 || !linux)(
    'in a full work directory does not start, and says why (needs root)',
    async () => {
      await executor.close()
      for (const launcher of at.launchers()) await gone(launcher)
      const small = join(at.root, 'small')
      mkdirSync(small)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=12', 'tmpfs', small])
      const full = place(kind)
      const link = join(full.root, 'work')
      execFileSync('ln', ['-s', small, link])
      try {
        const then = ear()
        const third = await full.open(then)
        third.start(order(['true']))
        expect(await then.end('j1')).toMatchObject({ exitCode: 0 })
        for (let n = 0; n < 12; n++) spawnSync('touch', [join(small, `f${n}`)])
        third.start(order(['true'], { jobId: 'j2' }))
        expect(await then.end('j2')).toMatchObject({ type: 'executor.startFailed', code: 'WORK_DIR_FULL' })
      } finally {
        await full.leave()
        execFileSync('umount', [small])
      }
    },
  )
})
