import { describe, expect, onTestFinished, test } from 'vitest'
import { createSteppedClock, type SteppedClock } from '../../src/engine/clock.ts'
import { createPresence } from '../../src/instance/presence.ts'
import { NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/* What a CSC says by itself, over an instance in memory and on a stepped clock. */

interface Published {
  readonly subject: string
  readonly at?: number
  readonly level?: number
  readonly message?: string
  readonly timestamp?: number
}

/** A frozen process hears of no time; when it thaws, all that was due is late. */
function freezable(isFrozen: boolean) {
  const clock = createSteppedClock(NIGHTFALL)
  let late: (() => void)[] = []
  let frozen = isFrozen
  return {
    ...clock,
    wake: (at: number, call: () => void) => clock.wake(at, () => (frozen ? late.push(call) : call())),
    thaw() {
      frozen = false
      for (const call of late.splice(0)) call()
      late = []
    },
  }
}

async function present({ isFrozen = false } = {}) {
  const clock = freezable(isFrozen)
  const night = await createNight({ clock })
  const presence = createPresence({ instance: 'LATISS', clock })
  const heartbeats: Published[] = []
  const lines: Published[] = []
  const into = (all: Published[]) => ({
    publish: (subject: string, body: string) => void all.push({ subject, ...(JSON.parse(body) as object) }),
  })
  let available = { overrides: 'night.yaml', version: 'sha256:0', url: 'file:///config', schemaVersion: 'v1' }
  const files = { pipelines: ['quicklook'], relevant: 'a', whenLoaded: null as string | null }
  const begin = () => {
    const source = {
      available: () => available,
      pipelineFiles: () => files.pipelines,
      relevant: () => files.relevant,
      relevantWhenLoaded: () => files.whenLoaded,
    }
    const stop = presence.begin({ heartbeats: into(heartbeats), lines: into(lines), engine: night.engine(), source })
    onTestFinished(stop)
    return stop
  }
  const log = (level: number, msg: string, rest: object = {}) =>
    presence.logStream.write(`${JSON.stringify({ level, time: '2026-11-22T22:00:00.000Z', msg, ...rest })}\n`)
  return { clock, night, begin, log, heartbeats, lines, files, put: (one: typeof available) => (available = one) }
}

/** Seconds pass, one by one, as they do. */
async function seconds(clock: SteppedClock, night: Night, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    clock.advance(1_000)
    await night.settled()
  }
}

describe('presence: the heartbeat', () => {
  test('comes at once, then every second by the wall clock that people read', async () => {
    const { clock, night, begin, heartbeats } = await present()
    begin()
    await seconds(clock, night, 3)
    expect(heartbeats.map(({ at }) => at)).toEqual([0, 1_000, 2_000, 3_000].map(ms => NIGHTFALL + ms))
    expect(heartbeats[0]).toMatchObject({ subject: 'ocps.LATISS.evt.heartbeat', heartbeat: true, pid: process.pid })
  })

  test.each([-3_600_000, 3_600_000])('goes on every second when the clock steps by %d ms', async ms => {
    const { clock, night, begin, heartbeats } = await present()
    clock.step(ms)
    begin()
    clock.step(-2 * ms)
    await seconds(clock, night, 3)
    expect(heartbeats).toHaveLength(4)
  })

  test('is not made up for when the process was frozen: one late one, then every second', async () => {
    const { clock, night, begin, heartbeats } = await present({ isFrozen: true })
    begin()
    clock.advance(30_000)
    clock.thaw()
    await seconds(clock, night, 2)
    expect(heartbeats.map(({ at }) => at)).toEqual([0, 30_000, 31_000, 32_000].map(ms => NIGHTFALL + ms))
  })

  test('stops when presence ends', async () => {
    const { clock, night, begin, heartbeats } = await present()
    begin()()
    await seconds(clock, night, 3)
    expect(heartbeats).toHaveLength(1)
    expect(clock.nextWake()).toBeNull()
  })
})

describe('presence: log lines as events', () => {
  test('a line has the level of Python, its fields behind its sentence, and its own time', async () => {
    const { begin, log, lines } = await present()
    begin()
    log(40, 'job 17 failed', { jobId: '17' })
    expect(lines).toMatchObject([
      {
        subject: 'ocps.LATISS.evt.logMessage',
        name: 'LATISS',
        level: 30,
        message: 'job 17 failed {"jobId":"17"}',
        timestamp: NIGHTFALL / 1_000,
        process: process.pid,
      },
    ])
  })

  test('below the log level nothing is said; the level of the CSC counts at that moment', async () => {
    const { night, begin, log, lines } = await present()
    begin()
    log(20, 'too fine')
    await night.command('setLogLevel', { level: 40 })
    log(40, 'not any more')
    log(50, 'still')
    expect(lines.map(({ message }) => message)).toEqual(['still'])
  })

  test('what was logged before the bus was there is said then: the last ten lines, in order', async () => {
    const { begin, log, lines } = await present()
    for (let n = 1; n <= 12; n++) log(30, `line ${n}`)
    begin()
    expect(lines.map(({ message }) => message)).toEqual(Array.from({ length: 10 }, (_, n) => `line ${n + 3}`))
  })

  test('after the end nothing is said', async () => {
    const { begin, log, lines } = await present()
    begin()()
    log(60, 'too late')
    expect(lines).toEqual([])
  })
})

describe('presence: the files of the configuration', () => {
  test('are looked at once a second in STANDBY, and what changed is announced once', async () => {
    const { clock, night, begin, put } = await present()
    begin()
    await seconds(clock, night, 2)
    const before = night.events('configurationsAvailable').length
    put({ overrides: 'night.yaml,moon.yaml', version: 'sha256:1', url: 'file:///config', schemaVersion: 'v1' })
    await seconds(clock, night, 3)
    expect(night.events('configurationsAvailable').slice(before)).toMatchObject([{ overrides: 'night.yaml,moon.yaml' }])
  })

  test('an override that is not applied is not announced in other states, a change of what is applied is, once', async () => {
    const { clock, night, begin, put, files } = await present()
    await night.enable()
    begin()
    const before = night.events('configurationsAvailable').length
    put({ overrides: 'moon.yaml', version: 'sha256:1', url: 'file:///config', schemaVersion: 'v1' })
    await seconds(clock, night, 2)
    expect(night.events('configurationsAvailable')).toHaveLength(before)
    files.relevant = 'b'
    files.pipelines = ['quicklook', 'fresh']
    await seconds(clock, night, 3)
    expect(night.events('configurationsAvailable').slice(before)).toMatchObject([{ version: 'sha256:1' }])
    const refused = await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'fresh' })
    expect(refused?.result).toContain('pipelines/fresh.yaml is there and not applied yet')
  })

  test('what changed between being read and being looked at is announced, too', async () => {
    const { clock, night, begin, put, files } = await present()
    await night.enable()
    files.whenLoaded = 'before'
    put({ overrides: '', version: 'sha256:1', url: 'file:///config', schemaVersion: 'v1' })
    begin()
    await seconds(clock, night, 2)
    expect(night.events('configurationsAvailable').at(-1)).toMatchObject({ version: 'sha256:1' })
  })
})
