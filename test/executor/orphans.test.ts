import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createOrphans, type Orphan } from '../../src/executor/orphans.ts'
import { bootId, identityOf, isStopped } from '../../src/processes.ts'
import { attemptKey } from '../../src/executor/protocol.ts'
import { endedLine, ledgers, self } from './launcherFiles.ts'

/*
 * Jobs that our present launcher did not start: what is told of each follows from a ledger that a test writes and from
 * which processes there are.
 */

const KEY = attemptKey('20261122-000017', 1)
const LOOK_MS = 25

function following({ ownLauncher = null as number | null } = {}) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const all = ledgers()
  let isActive = true
  let waiting: (() => void)[] = []
  const orphans = createOrphans({
    ledgerDir: all.directory,
    whenActive: act => void (isActive ? act() : waiting.push(act)),
    ownLauncher: () => ownLauncher,
  })
  onTestFinished(() => orphans.close())
  const told: string[] = []
  const orphan = (key = KEY): Orphan => ({
    key,
    directory: `/nowhere/${key.replace(' ', '/')}`,
    slots: 2,
    pool: 'default',
    started: pid => told.push(`started ${pid}`),
    failed: ({ errno, where }) => told.push(`failed ${errno} ${where}`),
    ended: ({ exitCode, signal }, stoppedBy) => told.push(`ended ${exitCode ?? signal} ${stoppedBy}`),
    lost: reason => told.push(`lost: ${reason}`),
    notGiven: () => told.push('not given'),
  })
  return {
    ...all,
    orphans,
    told,
    orphan,
    take: () => orphans.take([orphan()]),
    look: (ms = LOOK_MS) => vi.advanceTimersByTime(ms),
    activate: (active: boolean) => {
      isActive = active
      if (!active) return
      for (const act of waiting.splice(0)) act()
      waiting = []
    },
  }
}

/** A process group of its own, as a launcher starts a job. */
async function leader(script: string): Promise<{ pid: number; startTime: number; child: ChildProcess }> {
  const child = spawn('sh', ['-c', `${script} & echo ready; wait`], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error('sh could not be started')
  onTestFinished(() => {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended, as it should.
    }
  })
  if (child.stdout) await once(child.stdout, 'data')
  const identity = identityOf(pid)
  if (identity === null) throw new Error(`process ${pid} has ended`)
  return { ...identity, child }
}

/** A process that a signal has stopped; it has an identity as a launcher has one. */
async function stopped(): Promise<{ pid: number; startTime: number }> {
  const one = await leader('sleep 60')
  process.kill(one.pid, 'SIGSTOP')
  while (!isStopped(one)) await new Promise(resolve => setImmediate(resolve))
  return one
}

describe('orphans: whose launcher lives', () => {
  test('one that ended while nobody looked is told as it ended, once', () => {
    const { living, take, told, look, orphans } = following()
    living().say(`P ${KEY}`, `S ${KEY} 4711 99`, endedLine(KEY, 3))
    take()
    look(1_000)
    expect(told).toEqual(['started 4711', 'ended 3 null'])
    expect(orphans.has(KEY)).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('one that runs is followed to its end, and takes its slots until then', () => {
    const { living, take, told, look, orphans } = following()
    const launcher = living()
    launcher.say(`P ${KEY}`, `S ${KEY} 4711 99`)
    take()
    look(1_000)
    expect(told).toEqual(['started 4711'])
    expect([orphans.slots(), orphans.has(KEY)]).toEqual([new Map([['default', 2]]), true])
    launcher.say(endedLine(KEY, -15))
    look()
    expect(told).toEqual(['started 4711', 'ended SIGTERM null'])
    expect(orphans.slots()).toEqual(new Map())
  })

  test('one that could not be started is told so', () => {
    const { living, take, told } = following()
    living().say(`P ${KEY}`, `F ${KEY} 13 exec`)
    take()
    expect(told).toEqual(['failed 13 exec'])
  })

  test('one that is only prepared yet is not lost', () => {
    const { living, take, told, look } = following()
    const launcher = living()
    launcher.say(`P ${KEY}`)
    take()
    look(10_000)
    expect(told).toEqual([])
    launcher.say(`S ${KEY} 4711 99`)
    look()
    expect(told).toEqual(['started 4711'])
  })

  test('one whose process is gone while its launcher says nothing is waited for 30 s, and lost then', () => {
    const { living, take, told, look } = following()
    living().say(`P ${KEY}`, `S ${KEY} 4711 99`)
    take()
    look(29_950)
    expect(told).toEqual(['started 4711'])
    look(75)
    expect(told.at(-1)).toMatch(
      /^lost: Process 4711 is gone, and its launcher \d+ is there but did not say within 30 s/,
    )
  })

  test('a launcher that a job has stopped is woken, unless it is our own', async () => {
    const [mine, other] = [await stopped(), await stopped()]
    const { file, take, look } = following({ ownLauncher: mine.pid })
    for (const { pid, startTime } of [mine, other])
      file(`1795000000-${pid}-0001`, `L ${pid} ${startTime} ${bootId()}\n`).say(`P ${KEY}`)
    take()
    look()
    expect([isStopped(mine), isStopped(other)]).toEqual([true, false])
  })
})

describe('orphans: whose launcher is dead', () => {
  test('one whose process lives is waited for, and lost with the evidence when it is gone', () => {
    const { dead, take, told, look } = following()
    const { pid, startTime } = self()
    const launcher = dead(12)
    launcher.say(`P ${KEY}`, `S ${KEY} ${pid} ${startTime}`)
    take()
    look(1_000)
    expect(told).toEqual([`started ${pid}`])
    launcher.say(`S ${KEY} ${pid} ${startTime + 1}`)
    look()
    expect(told.at(-1)).toBe(`lost: Process ${pid} is gone, and its launcher 12 died before it could say how it ended`)
  })

  test('one whose pid is another process by now is lost', () => {
    const { dead, take, told } = following()
    dead(12).say(`P ${KEY}`, `S ${KEY} ${process.pid} 1`)
    take()
    expect(told.at(-1)).toContain(`lost: Process ${process.pid} is gone`)
  })

  test('what it wrote before it died counts: ended is not lost', () => {
    const { dead, take, told } = following()
    dead(12).say(`P ${KEY}`, `S ${KEY} 4711 99`, endedLine(KEY))
    take()
    expect(told).toEqual(['started 4711', 'ended 0 null'])
  })

  test('one that died between preparing it and saying that it runs leaves it lost', () => {
    const { dead, take, told } = following()
    dead(12).say(`P ${KEY}`)
    take()
    expect(told).toEqual(['lost: Its launcher 12 died between preparing it and saying that it runs'])
  })

  test('after the machine was started anew a process of the same pid is nobody', () => {
    const { dead, take, told } = following()
    const { pid, startTime } = self()
    dead(12, 'boot-before').say(`P ${KEY}`, `S ${KEY} ${pid} ${startTime}`)
    take()
    expect(told.at(-1)).toBe('lost: The machine was started anew since, and nothing tells how the process ended')
  })
})

describe('orphans: whom no launcher took up', () => {
  test('while no launcher lives it is known at once', () => {
    const { dead, take, told } = following()
    dead(12).say('P another 1')
    take()
    expect(told).toEqual(['not given'])
  })

  test('a launcher that lives may begin it yet: until it says that it will not', () => {
    const { living, take, told, look } = following()
    const launcher = living()
    take()
    look(900)
    expect(told).toEqual([])
    launcher.say('Q')
    look()
    expect(told).toEqual(['not given'])
  })

  test('a launcher that was given it and begins it in that time has it', () => {
    const { living, take, told, look } = following()
    const launcher = living()
    take()
    launcher.say(`P ${KEY}`, `S ${KEY} 4711 99`, 'Q')
    look(5_000)
    expect(told).toEqual(['started 4711'])
  })

  test('one that says nothing, frozen or too old to know, is waited for a second', () => {
    const { living, take, told, look } = following()
    living()
    take()
    look(975)
    expect(told).toEqual([])
    look(50)
    expect(told).toEqual(['not given'])
  })

  test('our own launcher was never given it', () => {
    const { living, take, told } = following({ ownLauncher: process.pid })
    living()
    take()
    expect(told).toEqual(['not given'])
  })
})

describe('orphans: stopping', () => {
  test('is not ours to do for what is not followed', () => {
    const { orphans } = following()
    expect(orphans.stop(KEY, 1_000)).toBe(false)
  })

  test('ends the whole group with SIGTERM, and says so', async () => {
    const { living, take, told, look, orphans } = following()
    const { pid, startTime, child } = await leader('sleep 60')
    const launcher = living()
    launcher.say(`P ${KEY}`, `S ${KEY} ${pid} ${startTime}`)
    take()
    const gone = once(child, 'exit')
    expect(orphans.stop(KEY, 1_000)).toBe(true)
    expect((await gone)[1]).toBe('SIGTERM')
    launcher.say(endedLine(KEY, -15))
    look()
    expect(told.at(-1)).toBe('ended SIGTERM SIGTERM')
  })

  test('kills what does not listen, after its grace time and not before', async () => {
    const { living, take, told, look, orphans } = following()
    const { pid, startTime, child } = await leader('trap "" TERM; while :; do sleep 1; done')
    const kill = vi.spyOn(process, 'kill')
    onTestFinished(() => kill.mockRestore())
    const launcher = living()
    launcher.say(`P ${KEY}`, `S ${KEY} ${pid} ${startTime}`)
    take()
    kill.mockImplementation(() => true)
    orphans.stop(KEY, 1_000)
    orphans.stop(KEY, 1)
    look(975)
    const signals = () => kill.mock.calls.filter(([target]) => target === -pid).map(([, signal]) => signal)
    // One that is stopped by SIGSTOP hears SIGTERM only when it goes on.
    expect(signals()).toEqual(['SIGTERM', 'SIGCONT'])
    const gone = once(child, 'exit')
    kill.mockRestore()
    look(50)
    expect((await gone)[1]).toBe('SIGKILL')
    launcher.say(endedLine(KEY, -9))
    look()
    expect(told.at(-1)).toBe('ended SIGKILL SIGKILL')
  })

  test('of one that is only prepared waits until it runs', async () => {
    const { living, take, look, orphans } = following()
    const launcher = living()
    launcher.say(`P ${KEY}`)
    take()
    expect(orphans.stop(KEY, 1_000)).toBe(true)
    const { pid, startTime, child } = await leader('sleep 60')
    const gone = once(child, 'exit')
    launcher.say(`S ${KEY} ${pid} ${startTime}`)
    look()
    expect((await gone)[1]).toBe('SIGTERM')
  })
})

describe('orphans: who may not be the active one any more', () => {
  test('looks at nothing, says nothing and stops nothing', async () => {
    const { living, take, told, look, orphans, activate } = following()
    const { pid, startTime, child } = await leader('sleep 60')
    const launcher = living()
    launcher.say(`P ${KEY}`, `S ${KEY} ${pid} ${startTime}`)
    take()
    activate(false)
    launcher.say(endedLine(KEY))
    const kill = vi.spyOn(process, 'kill')
    onTestFinished(() => kill.mockRestore())
    orphans.stop(KEY, 0)
    look(5_000)
    expect(told).toEqual([`started ${pid}`])
    expect(kill).not.toHaveBeenCalled()
    const gone = once(child, 'exit')
    activate(true)
    expect(told).toEqual([`started ${pid}`, 'ended 0 SIGTERM'])
    await gone
  })

  test('and has been closed, says nothing later either', () => {
    const { living, take, told, orphans, activate, look } = following()
    const launcher = living()
    launcher.say(`P ${KEY}`)
    take()
    activate(false)
    look()
    orphans.close()
    launcher.say(endedLine(KEY))
    activate(true)
    look(1_000)
    expect(told).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
