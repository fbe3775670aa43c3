import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { connectNats } from '../../src/bus/nats.ts'
import { createConfigurationSource } from '../../src/config/load.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { streams, subjects } from '../../src/contract/subjects.ts'
import { wallClock } from '../../src/engine/clock.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'
import { openJournal } from '../../src/journal/log.ts'
import { STARTED, USAGE } from '../harness.ts'
import { marked, signal } from './processes.ts'
import { createWorld, INSTANCE, removeWorld, type World } from './world.ts'

/**
 * `npm run chaos -- --measure`: how long it takes until someone serves again: after a kill, a freeze and a stop of the
 * active one; with 300 jobs open; and after a night of 190 000 jobs, quiet at its end or killed in its middle. Prints
 * one line each; nothing is judged.
 */
const ROUNDS = 10
const JOBS = 190_000
const OPEN = 300
/** As many as wait on a busy night; more would only fill the memory of who measures. */
const IN_FLIGHT_MAX = 500
const PATIENCE_MS = 120_000

export async function measure(): Promise<void> {
  await takeovers()
  await manyOpen()
  await night('quiet at its end', true)
  await night('killed before it was ever quiet', false)
}

async function takeovers(): Promise<void> {
  const world = await createWorld(2)
  try {
    for (const name of ['SIGKILL', 'SIGSTOP', 'SIGTERM'] as const) {
      const times: number[] = []
      for (let round = 0; round < ROUNDS; round += 1) times.push(await takeover(world, name))
      console.log(`takeover after ${name}: ${spread(times)}`)
    }
  } finally {
    await finish(world)
  }
}

/** From the blow to the first heartbeat of the other one. */
async function takeover(world: World, name: 'SIGKILL' | 'SIGSTOP' | 'SIGTERM'): Promise<number> {
  await until(
    () => world.slots.filter(slot => slot.pid() !== null).length === 2 && world.slots.some(slot => slot.isActive()),
  )
  // Until who stands by does stand by.
  await delay(2_500)
  await until(() => world.slots.some(slot => slot.isActive()))
  const active = world.slots.find(slot => slot.isActive())
  const pid = active?.pid() ?? 0
  const bus = await connectNats({ url: world.url, name: 'measure' })
  const other = new Promise<void>(resolve => {
    bus.subscribe(`ocps.${INSTANCE}.evt.heartbeat`, ({ body }) => {
      if ((JSON.parse(Buffer.from(body).toString()) as { pid: number }).pid !== pid) resolve()
    })
  })
  active?.expectEnd()
  const began = performance.now()
  signal(pid, name)
  await other
  const took = performance.now() - began
  signal(pid, 'SIGCONT')
  await until(() => active?.pid() !== pid)
  await bus.close()
  return took
}

async function manyOpen(): Promise<void> {
  const world = await createWorld(0)
  try {
    const first = await serveOnce(world)
    const bus = await connectNats({ url: world.url, name: 'measure' })
    for (let index = 0; index < OPEN; index += 1)
      await bus.request(
        `ocps.${INSTANCE}.cmd.processData`,
        JSON.stringify({ dataId: { obsid: `AT_O_20261122_${index}` }, pipeline: 'sleeper' }),
        {
          timeoutMs: 5_000,
        },
      )
    await bus.close()
    await first.end()
    // The lease of the dead one runs out first, so that only the start is measured.
    await delay(3_000)
    const second = await serveOnce(world)
    console.log(`start with ${OPEN} jobs open: ${Math.round(second.readyMs)} ms, ${second.megabytes} MB`)
    await second.end()
  } finally {
    await finish(world)
  }
}

async function night(how: string, mayBeQuiet: boolean): Promise<void> {
  const world = await createWorld(0)
  try {
    const entries = await writeNight(world, mayBeQuiet)
    const one = await serveOnce(world)
    console.log(
      `start after ${JOBS} jobs (${entries} entries), ${how}: ${Math.round(one.readyMs)} ms, ${one.megabytes} MB`,
    )
    await one.end()
  } finally {
    await finish(world)
  }
}

/** The engine itself writes the night, with an executor that runs nothing. */
async function writeNight(world: World, mayBeQuiet: boolean): Promise<number> {
  const bus = await connectNats({ url: world.url, name: 'night', waitForServer: true })
  const { journal } = await openJournal({ bus, instance: INSTANCE })
  const source = createConfigurationSource({ dir: world.configDir, site: '', instance: INSTANCE, checkTemplate })
  let settled = 0
  let entries = 0
  let last = ''
  const engine = await createEngine({
    instance: INSTANCE,
    journal: {
      ...journal,
      append: async appended => {
        await journal.append(appended)
        entries += appended.length
      },
    },
    clock: wallClock,
    log: { info() {}, warn() {}, error() {} },
    executor: report => ({
      start: ({ jobId, attempt }) =>
        setImmediate(() => {
          report({ type: 'executor.started', jobId, attempt, pid: 1 })
          report({ type: 'executor.metric', jobId, attempt, metric: 'psf.fwhm', value: 1.2, unit: 'arcsec' })
          report({ type: 'executor.exited', jobId, attempt, exitCode: 0, signal: null, usage: USAGE, stderrTail: '' })
        }),
      stop: () => {},
      adopt: () => {},
      close: async () => {},
    }),
    locator: () => ({ order: () => {} }),
    say: said => {
      const { announcement } = said
      if (announcement.type === 'event') last = said.id
      if (announcement.type === 'event' && announcement.topic === 'jobResult') settled += 1
    },
    unsaid: () => [],
    loadConfiguration: override => source.load(override),
    started: STARTED,
    lastSaid: null,
    onOffline: () => {},
    onLost: error => {
      throw error
    },
  })
  const send = (name: string, body: object) => {
    const decoding = decodeCommand(name, Buffer.from(JSON.stringify(body)), INSTANCE)
    if (!decoding.ok) throw new Error(decoding.refusal.reason)
    sent += 1
    engine.command(decoding.command, { identity: 'night', id: `night-${sent}`, reply: null })
  }
  const untilSettled = async (count: number) => {
    for (;;) {
      if (settled >= count) return
      await delay(1)
    }
  }
  let sent = 0
  send('start', {})
  await engine.settled()
  send('enable', {})
  await engine.settled()
  for (let job = 0; job < JOBS; job += 1) {
    send('processData', { dataId: { obsid: `AT_O_20261122_${job}` }, pipeline: 'quick' })
    await untilSettled(job - IN_FLIGHT_MAX)
  }
  await untilSettled(JOBS)
  await engine.settled()
  if (mayBeQuiet) await engine.finish()
  engine.stop()
  // What was said is where a restart looks for it; the newest is enough.
  const to = subjects(INSTANCE)
  const retained = await bus.retained({ name: streams(INSTANCE).events, subjects: [to.events], maxAgeMs: 604_800_000 })
  retained.publish({ subject: to.event('logLevel'), body: '{}', id: `${INSTANCE}:${last}` })
  await retained.flushed()
  await bus.close()
  return entries
}

interface Once {
  readonly readyMs: number
  /** Resident, a moment after it was ready. */
  readonly megabytes: number
  /** kill -9. */
  end(): Promise<void>
}

async function serveOnce(world: World): Promise<Once> {
  const began = performance.now()
  const child: ChildProcess = spawn(process.execPath, world.serveWords, {
    cwd: world.dir,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const out = child.stdout
  if (out === null) throw new Error('impossible: a child without the pipe it was given')
  for await (const line of createInterface({ input: out })) if (line.includes('"natsUrl"')) break
  const readyMs = performance.now() - began
  await delay(500)
  const resident = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
  return {
    readyMs,
    megabytes: Math.round(Number(resident) / 1024),
    async end() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function finish(world: World): Promise<void> {
  await world.stop()
  for (const { pid } of marked(world.workDir)) signal(pid, 'SIGKILL')
  removeWorld(world)
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`nobody served within ${PATIENCE_MS / 1000} s`)
    await delay(20)
  }
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((one, other) => one - other)
  const [least, median, most] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map(ms =>
    Math.round(ms ?? 0),
  )
  return `min ${least}, median ${median}, max ${most} ms (${times.length} rounds)`
}
