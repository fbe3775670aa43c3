import { describe, expect, test, vi } from 'vitest'
import type { LauncherOptions } from '../../src/executor/launcher.ts'
import { superviseLauncher, type SuperviseOptions } from '../../src/executor/launchers.ts'
import { silentLog } from '../../src/log.ts'

/*
 * One launcher is kept running: what is asked, of which, and when it is given up, over launchers that a test opens and
 * lets die.
 */

const program = vi.hoisted(() => ({ opened: [] as Opened[], fails: false, hasCompiler: true, gate: Promise.resolve() }))

interface Opened {
  readonly options: LauncherOptions
  readonly pid: number
  readonly asked: string[]
  state: 'open' | 'retired' | 'closed'
}

vi.mock('../../src/executor/launcher.ts', () => ({
  launcherCommand: (kind: string) =>
    kind === 'c' && !program.hasCompiler ? Promise.reject(new Error('no cc')) : Promise.resolve([kind]),
  openLauncher: async (options: LauncherOptions) => {
    const one: Opened = { options, pid: 100 + program.opened.length, asked: [], state: 'open' }
    program.opened.push(one)
    await program.gate
    if (program.fails) throw new Error('it said nothing')
    return {
      pid: one.pid,
      send: (request: string) => void one.asked.push(request),
      retire: () => void (one.state = 'retired'),
      close: () => Promise.resolve(void (one.state = 'closed')),
    }
  },
}))

async function supervised({ kind = 'c', hasBegunJobs = false, isActive = true } = {}) {
  Object.assign(program, { opened: [], fails: false, gate: Promise.resolve() })
  const told: string[] = []
  const launcher = await superviseLauncher({
    kind: kind as SuperviseOptions['kind'],
    cacheDir: '/nowhere',
    ledgerDir: '/nowhere',
    log: silentLog,
    hear: ({ kind }) => told.push(kind),
    whenActive: act => void (isActive && act()),
    died: (pid, reason) => {
      told.push(`died ${pid} ${reason}`)
      return hasBegunJobs
    },
    hopeless: reason => told.push(`hopeless: ${reason}`),
  })
  const { opened } = program
  return { launcher, told, opened, last: () => opened.at(-1)?.options as LauncherOptions }
}

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

describe('launchers', () => {
  test('what is asked while there is none goes to the next one, in order', async () => {
    const { launcher, last, opened, told } = await supervised()
    launcher.send('1')
    last().died('SIGKILL')
    launcher.send('2')
    launcher.send('3')
    expect(launcher.pid()).toBeNull()
    await turn()
    expect(opened.map(({ asked }) => asked)).toEqual([['1'], ['2', '3']])
    expect(told).toEqual(['died 100 SIGKILL'])
    expect(launcher.pid()).toBe(101)
  })

  test('three in a row that die without a word are enough: it says so once, and the next order tries again', async () => {
    const { launcher, last, opened, told } = await supervised()
    for (let n = 0; n < 3; n++) {
      last().died('SIGSEGV')
      await turn()
    }
    expect(opened).toHaveLength(3)
    expect(told.at(-1)).toMatch(/^hopeless: The launcher cannot be kept running/)
    launcher.send('again')
    await turn()
    expect(opened[3]?.asked).toEqual(['again'])
  })

  test('one that cannot even be started counts as one that died, and what waited is dropped', async () => {
    const { launcher, last, opened, told } = await supervised()
    program.fails = true
    last().died('SIGSEGV')
    launcher.send('lost')
    await turn()
    expect(opened).toHaveLength(3)
    expect(told.at(-1)).toBe('hopeless: The launcher cannot be kept running (it said nothing); see the log.')
    program.fails = false
    launcher.send('new')
    await turn()
    expect(opened.at(-1)?.asked).toEqual(['new'])
  })

  test('one that said something, or had begun jobs, works: its death is not counted with others', async () => {
    const talking = await supervised()
    for (let n = 0; n < 5; n++) {
      talking.last().hear({ kind: 'preparing', key: 'j 1' })
      talking.last().died('SIGKILL')
      await turn()
    }
    const working = await supervised({ hasBegunJobs: true })
    for (let n = 0; n < 5; n++) {
      working.last().died('SIGKILL')
      await turn()
    }
    for (const { opened, told } of [talking, working]) {
      expect(opened).toHaveLength(6)
      expect(told.some(one => one.startsWith('hopeless'))).toBe(false)
    }
  })

  test('one that was told to start nothing more, or was stopped, is retired, and another one is started', async () => {
    const { launcher, last, opened } = await supervised()
    last().hear({ kind: 'deaf' })
    await turn()
    last().wasStopped()
    await turn()
    expect(opened.map(({ state }) => state)).toEqual(['retired', 'retired', 'open'])
    expect(launcher.pid()).toBe(102)
  })

  test('whoever is not active any more starts none: another OCPS has told it so', async () => {
    const { last, opened } = await supervised({ isActive: false })
    last().hear({ kind: 'deaf' })
    await turn()
    expect(opened.map(({ state }) => state)).toEqual(['open'])
  })

  test('one that is still being opened when all is closed is closed, too', async () => {
    const { launcher, last, opened } = await supervised()
    let open = () => {}
    program.gate = new Promise(resolve => (open = resolve))
    last().died('SIGKILL')
    const closed = launcher.close()
    open()
    await closed
    expect(opened.map(({ state }) => state)).toEqual(['open', 'closed'])
  })

  test('without a C compiler it is the one in Perl, unless one was asked for', async () => {
    program.hasCompiler = false
    const { last } = await supervised({ kind: null as unknown as string })
    expect(last().command).toEqual(['fallback'])
    await expect(supervised({ kind: 'c' })).rejects.toThrow('no cc')
    program.hasCompiler = true
  })
})
