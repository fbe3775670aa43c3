/** OCPS as a user runs it: `ocps serve` with a nats-server of its own, and a script with `ocps/client`. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { atLeast, findServer } from '../../../src/bus/server-binary.ts'
import { syncAlwaysSince } from '../../../src/bus/server-process.ts'
import { connectOcps, type Ocps } from '../../../src/client/index.ts'
import { now } from '../clock.ts'
import type { Peer, Place, Running } from '../port.ts'
import { runAll, type Submit, submitAll, watchEach } from '../submitting.ts'
import { cli, configure, delays, end, INSTANCE, kill, serve, serveAgain } from './ocpsProcess.ts'

export const ocps: Peer = {
  name: 'ocps',
  durability: 'nothing accepted is lost or run twice, running jobs are taken up again',
  jobsMax: null,
  watchedMax: 100,
  liveMax: 200,
  depths: [1_000, 10_000, 100_000],
  available: () => Promise.resolve(null),
  version,
  start,
}

/** And the promise it is measured under: what survives power costs more than what survives a process. */
async function version(): Promise<string> {
  const server = await findServer()
  const survives = atLeast(server.version, syncAlwaysSince) ? 'power' : 'process'
  return `${await cli(['--version'])} with nats-server ${server.version} (survives: ${survives})`
}

const POLL_MS = 5

async function start(place: Place): Promise<Running> {
  const configDir = configure(place)
  let serving = await serve(place.dir, configDir)
  let script = await connect()
  let results = 0
  let onResult = (): void => {}
  let beats: number[] = []
  let groups = 0

  const submit: Submit = async ({ name }, obsid) => {
    const job = await script.processData({ dataId: { obsid }, pipeline: `${name}-exposure` })
    return { seen: job.result }
  }
  /** Without following each job: a hundred thousand results would be awaited by the script, not by OCPS. */
  const submitOnly: Submit = async ({ name }, obsid) => {
    await script.command('processData', { dataId: { obsid }, pipeline: `${name}-exposure` })
    return { seen: Promise.resolve() }
  }

  return {
    run: work => runAll(submit, work),
    watch: work => watchEach(submit, work),
    async gather(work) {
      groups += 1
      const group = `gather${groups}`
      const detector = Array.from({ length: work.count }, (_, at) => at)
      await script.processData({
        dataId: { obsid: `member${groups}`, detector },
        pipeline: `${work.name}-detector`,
        group,
      })
      const combined = await script.processData({ dataId: { group }, pipeline: `${work.name}-group` })
      const { outcome, message } = await combined.result
      if (outcome !== 'complete') throw new Error(`the group ended ${outcome}: ${message}`)
    },
    queue: {
      hold: async () => void (await script.pause()),
      fill: async work => (await submitAll(submitOnly, work)).accepted,
      async drain(count) {
        const until = results + count
        const began = now()
        const enough = new Promise<void>(resolve => {
          onResult = () => {
            if (results >= until) resolve()
          }
        })
        await script.resume()
        await enough
        const seconds = (now() - began) / 1_000
        await script.pause()
        while (await isBusy()) await delay(POLL_MS)
        return seconds
      },
    },
    async recover() {
      const waitedBefore = (await script.status()).queue.waiting
      const began = now()
      await kill(serving.child)
      await script.close()
      const again = await serveAgain(place.dir, configDir)
      serving = again.serving
      script = await connect()
      const { queue } = await script.status()
      return { ms: now() - began, starts: again.starts, waitedBefore, waiting: queue.waiting }
    },
    async replay() {
      const file = join(place.dir, 'recording.ndjson')
      const { url } = serving
      await cli(['--instance', INSTANCE, '--url', url, 'record', '--output', file], place.dir)
      const told = await cli(['--instance', INSTANCE, '--json', 'replay', file], place.dir)
      const { entries, elapsedMs } = JSON.parse(told) as { entries: number; elapsedMs: number }
      return entries / (elapsedMs / 1_000)
    },
    heartbeats: () => {
      const heard = beats
      beats = []
      return heard
    },
    delays: () => delays(place.dir, serving),
    async stop() {
      await script.close()
      await end(serving)
    },
  }

  /** What was handed over is begun in spite of the pause. */
  async function isBusy(): Promise<boolean> {
    const { running, ahead } = (await script.status()).queue
    return running + ahead > 0
  }

  async function connect(): Promise<Ocps> {
    const connected = await connectOcps({ instance: INSTANCE, url: serving.url })
    void listen(connected, 'jobResult', () => {
      results += 1
      onResult()
    })
    void listen(connected, 'heartbeat', () => beats.push(now()))
    return connected
  }
}

async function listen(script: Ocps, topic: string, hear: () => void): Promise<void> {
  for await (const _ of script.events(topic)) hear()
}
