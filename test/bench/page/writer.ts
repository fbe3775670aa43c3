/**
 * An instance that is always busy, in a process of its own: the engine itself over a real journal, with an executor
 * that runs nothing. Keeps so many jobs open and settles so many a second; says on request what it managed, how long
 * its event loop was held up and how regular its heartbeat was.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { connectNats } from '../../../src/bus/nats.ts'
import { decodeCommand } from '../../../src/contract/decode.ts'
import { subjects } from '../../../src/contract/subjects.ts'
import { wallClock } from '../../../src/engine/clock.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import { openJournal } from '../../../src/journal/log.ts'
import { silentLog } from '../../../src/log.ts'
import { aConfiguration, aPipeline, loaded, STARTED, USAGE } from '../../harness.ts'
import { longest } from './part.ts'
import { quantile } from '../sheet.ts'

export interface Load {
  readonly url: string
  readonly instance: string
  /** Jobs that are open at any moment; most of them wait. */
  readonly open: number
  readonly jobsPerSecond: number
}

export type Ask =
  | { readonly ask: 'start'; readonly load: Load }
  /** Jobs come and end; answered when as many are open as wanted. */
  | { readonly ask: 'go' }
  /** Nothing comes and nothing ends; answered when all that was begun is in the journal. */
  | { readonly ask: 'rest' }
  | { readonly ask: 'measure'; readonly ms: number }
  /** As fast as it goes, until the journal holds so many entries; then all rests. */
  | { readonly ask: 'fill'; readonly entries: number }
  | { readonly ask: 'stop' }

export interface Measured {
  readonly jobsPerSecond: number
  readonly entriesPerSecond: number
  readonly actors: number
  readonly cpuMsPerJob: number
  readonly delayP50Ms: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
  /** After the moment it was due. */
  readonly heartbeatLateP50Ms: number
  readonly heartbeatLateMaxMs: number
}

// A timer of Node is due at the next millisecond; ten of them make bursts no larger than a camera's.
const TICK_MS = 10
const HEARTBEAT_MS = 1_000
// What was not settled because something held it up is made up for if it was no longer than this; a bench that lags for
// good is not to end in a flood.
const CATCH_UP_S = 1
// Every look of the event loop is due so much after the last; what is measured counts it in.
const RESOLUTION_MS = 10
// As many as a large machine has cores.
const SLOTS = 32
const MEMBERS = 20
const LINGER_MS = 10_000
// One in a hundred fails: a bad night, but a night.
const FAILS_EVERY = 100
// What is on its way into the journal at once while it is filled.
const AHEAD_MAX = 500

async function begin({ url, instance, open, jobsPerSecond }: Load) {
  const bus = await connectNats({ url, name: 'bench-writer' })
  const { journal } = await openJournal({ bus, instance })
  const heartbeat = subjects(instance).event('heartbeat')
  const lateMs: number[] = []
  let due = performance.now()
  let beating: NodeJS.Timeout
  // As presence.ts does it: from the last due moment on.
  const beat = () => {
    // A timer may be due a fraction of a millisecond early.
    lateMs.push(Math.max(0, performance.now() - due))
    bus.publish(heartbeat, '{}')
    due = Math.max(due + HEARTBEAT_MS, performance.now())
    beating = setTimeout(beat, due - performance.now())
  }
  beat()
  const count = { entries: 0, sent: 0, settled: 0, finished: 0 }
  const running: { jobId: string; attempt: number }[] = []
  let report: Parameters<Parameters<typeof createEngine>[0]['executor']>[0] = () => {}
  const configuration = aConfiguration({
    slots: SLOTS,
    queueDepthMax: 100_000,
    groups: { policy: 'partial', patienceMs: 60_000, late: 'ignore', lingerMs: LINGER_MS, pipeline: null },
    pipelines: { quicklook: aPipeline('quicklook') },
  })
  const engine = await createEngine({
    instance,
    journal: {
      ...journal,
      append: async appended => {
        await journal.append(appended)
        count.entries += appended.filter(({ what }) => what.type !== 'engine.said').length
      },
    },
    clock: wallClock,
    log: silentLog,
    executor: sink => {
      report = sink
      return {
        start: ({ jobId, attempt }) => {
          running.push({ jobId, attempt })
          setImmediate(() => sink({ type: 'executor.started', jobId, attempt, pid: 1 }))
        },
        stop: () => {},
        adopt: () => {},
        close: async () => {},
      }
    },
    locator: () => ({ order: () => {} }),
    say: ({ announcement }) => {
      if (announcement.type === 'event' && announcement.topic === 'jobResult') count.settled += 1
    },
    unsaid: () => [],
    loadConfiguration: () => loaded(configuration),
    started: { ...STARTED, at: Date.now() } as typeof STARTED,
    lastSaid: null,
    onOffline: () => {},
    onLost: error => {
      throw error
    },
  })
  await command('start', {})
  await command('enable', {})

  let quota = 0
  let last = 0
  let ticking: NodeJS.Timeout | null = null
  const tick = () => {
    const now = performance.now()
    quota = Math.min(quota + ((now - last) * jobsPerSecond) / 1_000, jobsPerSecond * CATCH_UP_S)
    last = now
    topUp(open)
    for (; quota >= 1 && running.length > 0; quota -= 1) finishOne()
  }

  return {
    async go(): Promise<void> {
      while (count.sent - count.settled < open) {
        topUp(Math.min(open, count.sent - count.settled + AHEAD_MAX))
        await engine.settled()
      }
      last = performance.now()
      quota = 0
      ticking ??= setInterval(tick, TICK_MS)
    },
    async rest(): Promise<void> {
      pause()
      await engine.settled()
    },
    async measure(ms: number): Promise<Measured> {
      const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      delays.enable()
      const [settledBefore, entriesBefore, began] = [count.settled, count.entries, performance.now()]
      const cpuBefore = process.cpuUsage()
      const beatsBefore = lateMs.length
      await delay(ms)
      delays.disable()
      const { user, system } = process.cpuUsage(cpuBefore)
      const seconds = (performance.now() - began) / 1_000
      const settled = count.settled - settledBefore
      const late = lateMs.slice(beatsBefore)
      return {
        jobsPerSecond: settled / seconds,
        entriesPerSecond: (count.entries - entriesBefore) / seconds,
        actors: engine.world.size,
        cpuMsPerJob: (user + system) / 1_000 / settled,
        delayP50Ms: Math.max(0, delays.percentile(50) / 1e6 - RESOLUTION_MS),
        delayP99Ms: delays.percentile(99) / 1e6 - RESOLUTION_MS,
        delayMaxMs: delays.max / 1e6 - RESOLUTION_MS,
        heartbeatLateP50Ms: quantile(late, 0.5),
        heartbeatLateMaxMs: longest(late),
      }
    },
    async fill(wanted: number): Promise<void> {
      pause()
      while (count.entries < wanted) {
        topUp(Math.min(open, AHEAD_MAX))
        for (let ended = 0; ended < AHEAD_MAX && running.length > 0; ended += 1) finishOne()
        await engine.settled()
      }
      await end()
    },
    async stop(): Promise<void> {
      pause()
      clearTimeout(beating)
      await engine.settled()
      engine.stop()
      await bus.close()
    },
  }

  function pause(): void {
    if (ticking) clearInterval(ticking)
    ticking = null
  }

  /** Until nothing is open. */
  async function end(): Promise<void> {
    while (count.settled < count.sent) {
      while (running.length > 0) finishOne()
      await engine.settled()
    }
    await engine.finish()
  }

  function topUp(wanted: number): void {
    while (count.sent - count.settled < wanted) {
      const body = {
        dataId: { obsid: `AT_O_20261122_${String(count.sent).padStart(6, '0')}` },
        pipeline: 'quicklook',
        group: { id: `visit-${Math.floor(count.sent / MEMBERS)}`, expected: MEMBERS },
      }
      count.sent += 1
      send('processData', body, `load-${count.sent}`)
    }
  }

  function finishOne(): void {
    const job = running.shift()
    if (job === undefined) return
    count.finished += 1
    report({ type: 'executor.progress', ...job, fraction: 0.9, note: 'writing' })
    report({
      type: 'executor.metric',
      ...job,
      metric: 'psf.fwhm',
      value: 2 + (count.finished % 97) / 97,
      unit: 'arcsec',
    })
    const exitCode = count.finished % FAILS_EVERY === 0 ? 1 : 0
    report({
      type: 'executor.exited',
      ...job,
      exitCode,
      signal: null,
      usage: USAGE,
      stderrTail: exitCode === 0 ? '' : 'no stars',
    })
  }

  async function command(name: string, body: object): Promise<void> {
    send(name, body, name)
    await engine.settled()
  }

  function send(name: string, body: object, id: string): void {
    const decoding = decodeCommand(name, Buffer.from(JSON.stringify(body)), instance)
    if (!decoding.ok) throw new Error(decoding.refusal.reason)
    engine.command(decoding.command, { identity: 'script', id, reply: null })
  }
}

let writer: Awaited<ReturnType<typeof begin>> | null = null

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.ask) {
    case 'start':
      writer = await begin(ask.load)
      return null
    case 'go':
      return await writer?.go()
    case 'rest':
      return await writer?.rest()
    case 'measure':
      return await writer?.measure(ask.ms)
    case 'fill':
      return await writer?.fill(ask.entries)
    case 'stop':
      return await writer?.stop()
  }
}

process.on('message', (ask: Ask) => {
  void answer(ask).then(
    value => process.send?.({ value: value ?? null }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
