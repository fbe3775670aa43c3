/**
 * What cannot be beaten on this machine: programs started in a bare loop, by Node and by C, with nothing written down
 * and nobody told; and the message server alone. The loops are asked like peers, in the same rounds.
 */
import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { freshId, IN_FLIGHT } from './submitting.ts'
import { inFull, type Peer, type Running, type Work } from './port.ts'
import { answerOf, native } from './tools.ts'

const nothingKept = {
  durability: 'nothing is written down',
  jobsMax: null,
  watchedMax: 0,
  liveMax: null,
  depths: [],
}

export const nodeLoop: Peer = {
  ...nothingKept,
  name: 'node-spawn',
  available: () => Promise.resolve(null),
  version: () => Promise.resolve(`Node ${process.versions.node}`),
  start: ({ concurrency }) =>
    Promise.resolve(
      onlyRuns(async ({ argv, count }) => {
        let left = count
        const one = async (): Promise<void> => {
          while (left-- > 0) await ended(inFull(argv, freshId()))
        }
        const began = performance.now()
        await Promise.all(Array.from({ length: concurrency }, one))
        return (performance.now() - began) / 1_000
      }),
    ),
}

export const cLoop: Peer = {
  ...nothingKept,
  name: 'c-posix_spawn',
  async available() {
    return (await native('loop')) === null
      ? 'The C loop is skipped: there is no C compiler (apt-get install gcc libc6-dev).'
      : null
  },
  version: () => answerOf('cc', ['-dumpfullversion']).then(version => `cc ${version}`),
  async start({ concurrency }) {
    const loop = (await native('loop')) ?? 'impossible: it was available'
    return onlyRuns(async ({ argv, count }) =>
      Number(await answerOf(loop, [String(count), String(concurrency), ...argv], { timeoutMs: LOOP_MS_MAX })),
    )
  },
}

/** Sixty frames take half a minute. */
const LOOP_MS_MAX = 200_000

function onlyRuns(run: (work: Work) => Promise<number>): Running {
  return {
    run: async work => ({ seconds: await run(work), accepted: [] }),
    watch: null,
    gather: null,
    queue: null,
    recover: null,
    replay: null,
    heartbeats: null,
    delays: null,
    stop: () => Promise.resolve(),
  }
}

function ended([program = '', ...args]: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    spawn(program, args, { stdio: 'ignore', detached: true }).once('exit', resolve).once('error', reject)
  })
}

export interface NatsLimits {
  readonly version: string
  /** One at a time with a pause, ms each. */
  readonly publish: readonly number[]
  readonly request: readonly number[]
  /** A question that is answered once a message of it is stored, which is what accepting a command takes. */
  readonly chain: readonly number[]
  /** With as many in flight as the scripts have. */
  readonly publishPerSecond: number
  readonly requestPerSecond: number
}

/** A command of a script has some three hundred bytes. */
const BODY = JSON.stringify({
  dataId: { obsid: 'AT_O_20261122_000017' },
  pipeline: 'quicklook',
  filler: 'x'.repeat(220),
})
const TIMEOUT_MS = 10_000
const PAUSE_MS = 10

/**
 * The server alone, as OCPS runs it: a message stored in a stream and confirmed, and a question answered by another
 * connection.
 */
export async function natsLimits(storeDir: string, watched: number, count: number): Promise<NatsLimits> {
  const server = await startEmbeddedServer({ storeDir })
  const bus = await connectNats({ url: server.url, name: 'limits' })
  const other = await connectNats({ url: server.url, name: 'limits-other' })
  try {
    await bus.retained({ name: 'LIMITS', subjects: ['limits.stored.*'], maxAgeMs: 3_600_000 })
    other.subscribe('limits.asked', ({ reply }) => {
      if (reply !== null) other.publish(reply, '{}')
    })
    let n = 0
    other.subscribe('limits.chained', ({ reply }) => {
      if (reply === null) return
      void other
        .request(`limits.stored.${n++}`, BODY, { timeoutMs: TIMEOUT_MS })
        .then(() => other.publish(reply, '{}'))
        .catch(() => {})
    })
    // A message that is stored is confirmed by an answer.
    const publish = () => bus.request(`limits.stored.${n++}`, BODY, { timeoutMs: TIMEOUT_MS })
    const request = () => bus.request('limits.asked', BODY, { timeoutMs: TIMEOUT_MS })
    // Nobody answers if it could not be stored: this one says so then.
    const chain = () => bus.request('limits.chained', BODY, { timeoutMs: TIMEOUT_MS })
    await perSecond(publish, 200)
    await perSecond(request, 200)
    await perSecond(chain, 200)
    return {
      version: `${server.version} (${server.promise})`,
      publish: await oneByOne(publish, watched),
      request: await oneByOne(request, watched),
      chain: await oneByOne(chain, watched),
      publishPerSecond: await perSecond(publish, count),
      requestPerSecond: await perSecond(request, count),
    }
  } finally {
    await other.close()
    await bus.close()
    await server.stop()
  }
}

async function oneByOne(act: () => Promise<unknown>, count: number): Promise<number[]> {
  const times: number[] = []
  for (let at = 0; at < count; at += 1) {
    const began = performance.now()
    await act()
    times.push(performance.now() - began)
    await delay(PAUSE_MS)
  }
  return times
}

async function perSecond(act: () => Promise<unknown>, count: number): Promise<number> {
  let left = count
  const one = async (): Promise<void> => {
    while (left-- > 0) await act()
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
  return count / ((performance.now() - began) / 1_000)
}
