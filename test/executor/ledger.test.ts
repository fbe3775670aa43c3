import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { claimWorkDir, deafenLaunchers, isLauncherAlive, openLedger, tidyLedger } from '../../src/executor/ledger.ts'
import { bootId } from '../../src/processes.ts'
import { attemptKey } from '../../src/executor/protocol.ts'
import { endedLine, ledgers, self } from './launcherFiles.ts'

/* What launchers wrote, read back: on it depends whether a job is taken up again, begun again or lost. */

const KEY = attemptKey('20261122-000017', 1)
const wanted = new Set([KEY])
const DAY = 24 * 3_600_000

describe('ledger: what it tells of an attempt', () => {
  test('nothing, of one that no launcher took up', () => {
    const { directory, living } = ledgers()
    living().say('P another 1')
    const ledger = openLedger(directory, wanted)
    expect([ledger.entry(KEY), ledger.entry('another 1')]).toEqual([null, null])
  })

  test('how far it came: prepared, started, ended', () => {
    const { directory, living } = ledgers()
    const written = living()
    const ledger = openLedger(directory, wanted)
    written.say(`P ${KEY}`)
    ledger.update()
    expect(ledger.entry(KEY)).toEqual({
      launcher: { ...self(), bootId: bootId() },
      process: null,
      failure: null,
      ending: null,
    })
    written.say(`S ${KEY} 4711 99`)
    ledger.update()
    expect(ledger.entry(KEY)).toMatchObject({ process: { pid: 4711, startTime: 99 }, ending: null })
    written.say(endedLine(KEY, 3))
    ledger.update()
    expect(ledger.entry(KEY)).toMatchObject({
      process: { pid: 4711 },
      failure: null,
      ending: { exitCode: 3, signal: null, wallMs: 2, stdoutBytes: 10, stoppedBy: null },
    })
  })

  test('that its process could not be started', () => {
    const { directory, living } = ledgers()
    living().say(`P ${KEY}`, `F ${KEY} 2 exec`)
    expect(openLedger(directory, wanted).entry(KEY)).toMatchObject({
      process: null,
      failure: { errno: 2, where: 'exec' },
      ending: null,
    })
  })

  test('a line that is not whole yet is read when it is, and one cut by a full disk is passed over', () => {
    const { directory, living } = ledgers()
    const written = living()
    written.say(`P ${KEY}`)
    written.cut(`S ${KEY} 47`)
    const ledger = openLedger(directory, wanted)
    expect(ledger.entry(KEY)?.process).toBeNull()
    written.cut('11 99\n')
    ledger.update()
    expect(ledger.entry(KEY)?.process).toEqual({ pid: 4711, startTime: 99 })
    written.say(endedLine(KEY, 3))
    ledger.update()
    expect(ledger.entry(KEY)?.ending).toMatchObject({ exitCode: 3 })
    written.say(`E ${KEY} 0 2000`, endedLine(KEY))
    ledger.update()
    expect(ledger.entry(KEY)?.ending).toMatchObject({ exitCode: 0 })
  })

  test('the word of another launcher about another attempt of the job is not mixed up with it', () => {
    const { directory, living, dead } = ledgers()
    dead().say(`P ${KEY}`, `S ${KEY} 4711 99`)
    living().say(`P ${attemptKey('20261122-000017', 2)}`, endedLine(attemptKey('20261122-000017', 2)))
    expect(openLedger(directory, wanted).entry(KEY)).toMatchObject({ process: { pid: 4711 }, ending: null })
  })

  test('a launcher that has more than one file is read in all of them, in order', () => {
    const { directory, living } = ledgers()
    living().say(`P ${KEY}`, `S ${KEY} 4711 99`)
    living().say(endedLine(KEY))
    expect(openLedger(directory, wanted).entry(KEY)).toMatchObject({ process: { pid: 4711 }, ending: { exitCode: 0 } })
  })

  test('files that are no ledgers, and ledgers that do not say whose they are, are passed over', () => {
    const { directory, file, dead } = ledgers()
    file('1795000000-1-0001', `P ${KEY}\n`).say(`S ${KEY} 4711 99`)
    file('1795000000-2-0001', '').say(`S ${KEY} 4711 99`)
    file('notes.txt', `L 1 1 ${bootId()}\n`).say(`S ${KEY} 4711 99`)
    const { pid } = dead(12)
    const ledger = openLedger(directory, wanted)
    expect(ledger.entry(KEY)).toBeNull()
    expect(ledger.launchers.map(one => one.pid)).toEqual([pid])
  })

  test('a ledger that is removed while it is followed tells what it has told', () => {
    const { directory, living } = ledgers()
    const written = living()
    written.say(`P ${KEY}`, `S ${KEY} 4711 99`)
    const ledger = openLedger(directory, wanted)
    rmSync(written.path)
    ledger.update()
    expect(ledger.entry(KEY)).toMatchObject({ process: { pid: 4711 } })
  })
})

describe('ledger: who writes it', () => {
  test('lives if the pid is the same process, on the same run of the machine', () => {
    const alive = { ...self(), bootId: bootId() }
    expect(isLauncherAlive(alive)).toBe(true)
    expect(isLauncherAlive({ ...alive, startTime: alive.startTime + 1 })).toBe(false)
    expect(isLauncherAlive({ ...alive, bootId: 'another' })).toBe(false)
  })

  test('is deaf once it has said so', () => {
    const { directory, living } = ledgers()
    const written = living()
    const ledger = openLedger(directory, wanted)
    const [launcher] = ledger.launchers
    if (launcher === undefined) throw new Error('the launcher is not among them')
    expect(ledger.isDeaf(launcher)).toBe(false)
    written.say('Q')
    ledger.update()
    expect(ledger.isDeaf(launcher)).toBe(true)
  })

  test('is told to start nothing more, if it lives', async () => {
    const { directory, living, dead } = ledgers()
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
    onTestFinished(() => kill.mockRestore())
    dead(1)
    deafenLaunchers(directory)
    expect(kill).not.toHaveBeenCalled()
    living()
    deafenLaunchers(directory)
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGURG']])
  })
})

describe('ledger: what is removed', () => {
  const written = () => {
    const all = ledgers()
    const now = Date.now()
    const aged = (one: { path: string }, days: number) => utimesSync(one.path, now / 1000, (now - days * DAY) / 1000)
    return { ...all, now, aged }
  }

  test('what a dead launcher wrote, a week later', () => {
    const { directory, dead, now, aged } = written()
    const [young, old] = [dead(), dead()]
    dead()
    aged(young, 6.9)
    aged(old, 7.1)
    tidyLedger(directory, now, false)
    expect([existsSync(young.path), existsSync(old.path)]).toEqual([true, false])
  })

  test('nothing while the clock is a month ahead, and nothing because it once was', () => {
    const { directory, dead, now, aged } = written()
    const all = [dead(), dead()]
    tidyLedger(directory, now + 30 * DAY, false)
    const ahead = dead()
    aged(ahead, -30)
    tidyLedger(directory, now, false)
    expect(all.map(({ path }) => existsSync(path))).toEqual([true, true])
  })

  test('nothing of a launcher that lives, however long it said nothing', () => {
    const { directory, living, dead, now, aged } = written()
    const one = living()
    dead()
    aged(one, 30)
    tidyLedger(directory, now, false)
    expect(existsSync(one.path)).toBe(true)
  })

  test('everything, where the journal is new: its job ids begin again', () => {
    const { directory, dead, living, now } = written()
    const all = [dead(), living()]
    tidyLedger(directory, now, true)
    expect(all.map(({ path }) => existsSync(path))).toEqual([false, false])
  })

  test('nothing that is no ledger', () => {
    const { directory, file, now, aged } = written()
    const one = file('notes.txt', 'mine')
    aged(one, 30)
    tidyLedger(directory, now, true)
    expect(readFileSync(one.path, 'utf8')).toBe('mine')
  })
})

describe('ledger: whose directory it is', () => {
  test('the first instance keeps it, and another one is refused with a sentence', () => {
    const dir = mkdtempSync(join(tmpdir(), 'ocps-work-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    claimWorkDir(dir, 'LATISS')
    claimWorkDir(dir, 'LATISS')
    expect(() => claimWorkDir(dir, 'LSSTCam')).toThrow(
      `the work directory ${dir} belongs to instance LATISS; give LSSTCam another one`,
    )
  })
})
