/**
 * The processes of the OCPS that is measured: `ocps serve` in a folder of its own, its start, its end by a blow, and
 * the other verbs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { type Delays, inFull, type Place, type Work } from '../port.ts'
import { answerOf, built } from '../tools.ts'

/** With a hundred thousand jobs waiting it takes some seconds. */
const UP_MS_MAX = 30_000
const STARTS_MAX = 3
/** A journal of a hundred thousand jobs is exported, and folded, in half a minute. */
const CLI_MS_MAX = 100_000
export const INSTANCE = 'BENCH'
const program = built('../../src/cli/main.js')

export interface Serving {
  readonly child: ChildProcess
  readonly url: string
}

/** As a supervisor does: a start that fails is followed by another one, and the time runs on. */
export async function serveAgain(dir: string, configDir: string): Promise<{ serving: Serving; starts: number }> {
  for (let starts = 1; ; starts += 1)
    try {
      return { serving: await serve(dir, configDir), starts }
    } catch (error) {
      if (starts >= STARTS_MAX) throw error
      process.stderr.write(`bench: ocps is started again: ${error instanceof Error ? error.message : String(error)}\n`)
    }
}

export async function serve(dir: string, configDir: string): Promise<Serving> {
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
  const child = spawn(process.execPath, ['--import', built('peers/loopDelay.js'), program, ...words], {
    cwd: dir,
    env: { ...env, OCPS_BENCH_DELAYS: delaysIn(dir) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
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

const delaysIn = (dir: string): string => join(dir, 'delays.json')
const POLL_MS = 5

/** How late its event loop was since it was asked last. Rejects when it does not say. */
export async function delays(dir: string, { child }: Serving): Promise<Delays> {
  rmSync(delaysIn(dir), { force: true })
  child.kill('SIGUSR2')
  for (const began = performance.now(); !existsSync(delaysIn(dir)); await delay(POLL_MS))
    if (performance.now() - began > END_MS_MAX) throw new Error('ocps serve does not say how late its event loop is')
  return JSON.parse(readFileSync(delaysIn(dir), 'utf8')) as Delays
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** OCPS ends in two seconds at most. */
const END_MS_MAX = 8_000

export async function end(serving: Serving): Promise<void> {
  if (serving.child.exitCode !== null) return
  const gone = once(serving.child, 'exit')
  serving.child.kill('SIGTERM')
  await Promise.race([gone, delay(END_MS_MAX, undefined, { ref: false })])
}

export function cli(args: readonly string[], cwd?: string): Promise<string> {
  return answerOf(process.execPath, [program, ...args], { timeoutMs: CLI_MS_MAX, ...(cwd !== undefined && { cwd }) })
}

/** About as many as end before the launcher tells of it. Celery prefetches four for every worker. */
const PREFETCH = 8

function initOf(slots: number): string {
  return `mode: async
slots: ${slots}
prefetch: ${PREFETCH}
queueDepth: 1000000
order: fifo
ackTimeout: 60
groups: {policy: partial, patience: 300, late: ignore, linger: 60, pipeline: null}
dataPath: ""
`
}

function writePipelines(configDir: string, { name, argv }: Work): void {
  const ids = { exposure: '{obsid}', detector: '{obsid}/{detector}', group: 'gather' }
  for (const [scope, id] of Object.entries(ids))
    writeFileSync(
      join(configDir, 'pipelines', `${name}-${scope}.yaml`),
      `description: a benchmark's job\nscope: ${scope}\ntimeLimit: 600\ncommand: ${JSON.stringify(inFull(argv, id))}\n`,
    )
}

/** Writes the configuration; returns its folder. */
export function configure({ dir, concurrency, works }: Place): string {
  const configDir = join(dir, 'config')
  mkdirSync(join(configDir, 'pipelines'), { recursive: true })
  writeFileSync(join(configDir, '_init.yaml'), initOf(concurrency))
  for (const work of works) writePipelines(configDir, work)
  return configDir
}
