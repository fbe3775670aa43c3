/** OCPS as a user runs it: `ocps serve` with a nats-server of its own, and a script with `ocps/client`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { connectOcps, type Ocps } from '../../../src/client/index.ts'
import { now } from '../clock.ts'
import { inFull, type Peer, type Place, type Running, type Work } from '../port.ts'
import { runAll, type Submit, submitAll, watchEach } from '../submitting.ts'
import { answerOf, built } from '../tools.ts'

export const ocps: Peer = {
  name: 'ocps',
  durability: 'nothing accepted is lost or run twice, running jobs are taken up again',
  jobsMax: null,
  watchedMax: 100,
  liveMax: 200,
  depths: [1_000, 10_000, 100_000],
  available: () => Promise.resolve(null),
  version: () => cli(['--version']),
  start,
}

const POLL_MS = 5
/** With a hundred thousand jobs waiting it takes some seconds. */
const UP_MS_MAX = 60_000
const STARTS_MAX = 3
const INSTANCE = 'BENCH'
const program = built('../../src/cli/main.js')

async function start(place: Place): Promise<Running> {
  const configDir = join(place.dir, 'config')
  mkdirSync(join(configDir, 'pipelines'), { recursive: true })
  writeFileSync(join(configDir, '_init.yaml'), initOf(place.concurrency))
  for (const work of place.works) writePipelines(configDir, work)
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
        while ((await script.status()).queue.running > 0) await delay(POLL_MS)
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
    async stop() {
      await script.close()
      await end(serving)
    },
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

function writePipelines(configDir: string, { name, argv }: Work): void {
  const ids = { exposure: '{obsid}', detector: '{obsid}/{detector}', group: 'gather' }
  for (const [scope, id] of Object.entries(ids))
    writeFileSync(
      join(configDir, 'pipelines', `${name}-${scope}.yaml`),
      `description: a benchmark's job\nscope: ${scope}\ntimeLimit: 600\ncommand: ${JSON.stringify(inFull(argv, id))}\n`,
    )
}

interface Serving {
  readonly child: ChildProcess
  readonly url: string
}

/** As a supervisor does: a start that fails is followed by another one, and the time runs on. */
async function serveAgain(dir: string, configDir: string): Promise<{ serving: Serving; starts: number }> {
  for (let starts = 1; ; starts += 1)
    try {
      return { serving: await serve(dir, configDir), starts }
    } catch (error) {
      if (starts >= STARTS_MAX) throw error
      process.stderr.write(`bench: ocps is started again: ${error instanceof Error ? error.message : String(error)}\n`)
    }
}

async function serve(dir: string, configDir: string): Promise<Serving> {
  const { NATS_URL: _, ...env } = process.env
  const words = [
    'serve',
    '--instance',
    INSTANCE,
    '--config',
    configDir,
    '--data',
    join(dir, 'data'),
    '--state',
    'enabled',
    '--json',
  ]
  const child = spawn(process.execPath, [program, ...words], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let late: NodeJS.Timeout | undefined
  const up = new Promise<string>((resolve, reject) => {
    late = setTimeout(() => reject(new Error(`ocps serve was not up within ${UP_MS_MAX / 1_000} s`)), UP_MS_MAX)
    createInterface({ input: child.stdout }).on('line', line => {
      if (!line.includes('"natsUrl"')) return
      resolve((JSON.parse(line) as { natsUrl: string }).natsUrl)
    })
    // Log lines are JSON; a sentence says why it gave up.
    createInterface({ input: child.stderr }).on('line', line => {
      if (line.startsWith('ocps: ')) reject(new Error(line))
    })
    child.once('exit', code => reject(new Error(`ocps serve ended with code ${code}`)))
  })
  try {
    return { child, url: await up }
  } catch (error) {
    await kill(child)
    throw error
  } finally {
    clearTimeout(late)
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** OCPS ends in two seconds at most. */
const END_MS_MAX = 8_000

async function end(serving: Serving): Promise<void> {
  if (serving.child.exitCode !== null) return
  const gone = once(serving.child, 'exit')
  serving.child.kill('SIGTERM')
  await Promise.race([gone, delay(END_MS_MAX, undefined, { ref: false })])
}

function cli(args: readonly string[], cwd?: string): Promise<string> {
  return answerOf(process.execPath, [program, ...args], { timeoutMs: 200_000, ...(cwd !== undefined && { cwd }) })
}

function initOf(slots: number): string {
  return `mode: async
slots: ${slots}
queueDepth: 1000000
order: fifo
ackTimeout: 60
groups: {policy: partial, patience: 300, late: ignore, linger: 60, pipeline: null}
dataPath: ""
`
}
