import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { NightKind } from './night.ts'
import { kindOf, play } from './play.ts'
import { shrink } from './shrink.ts'
import { keepTranscript, transcriptOf } from './transcript.ts'
import type { Violation } from './violation.ts'

/*
 * `npm run simulate -- --seeds 100 --from 1`: plays so many nights, each to so many steps (a step is one journaled
 * entry), on all workers, and tells how many promises were broken. A failing night prints its seed, is shrunk, and is
 * written down as a transcript. Interrupted, it tells of the nights it has played. Exits 1 when a promise was broken, 2
 * when it was asked wrongly, 3 when it was interrupted before it was done.
 */

interface Options {
  readonly seeds: number
  readonly from: number
  readonly steps: number
  readonly workers: number
  readonly json: boolean
  /** Of which kind nights are; null: one in ten goes through the engine itself. */
  readonly kind: NightKind | null
  /** So many failing nights are enough. */
  readonly failures: number
}

/** What one worker tells of one night. */
interface Told {
  readonly seed: number
  readonly steps: number
  readonly jobs: number
  readonly lives: number
  readonly violation: Violation | null
}

// Each worker takes seeds in turn, so that a slow night holds nobody up for long.
const CPUS = 2
// After these many failing nights there is one bug, not many.
const FAILURES_ENOUGH = 5
// A transcript of more actions is for an editor.
const PRINTED_MAX = 15

if (isMainThread) await main()
else await work(workerData as Options & { first: number })

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2))
  if (typeof options === 'string') {
    console.error(options)
    process.exitCode = 2
    return
  }
  const began = performance.now()
  const total = { nights: 0, whole: 0, steps: 0, jobs: 0, recoveries: 0 }
  const failures: Told[] = []
  const workers: Worker[] = []
  let isInterrupted = false
  const stop = () => {
    for (const worker of workers) void worker.terminate()
  }
  // Whoever has waited long enough is still told of the nights that were played. `on`: a signal to the whole group
  // comes twice through npm or timeout, and the second must not end it before.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      isInterrupted = true
      stop()
    })
  await Promise.all(
    Array.from({ length: options.workers }, (_, place) =>
      runWorker({ ...options, first: options.from + place }, workers, told => {
        total.nights += 1
        total.whole += (options.kind ?? kindOf(told.seed)) === 'whole' ? 1 : 0
        total.steps += told.steps
        total.jobs += told.jobs
        total.recoveries += told.lives - 1
        if (told.violation) failures.push(told)
        if (failures.length >= options.failures) stop()
      }),
    ),
  )
  const seconds = (performance.now() - began) / 1_000
  const facts = { ...total, seconds: Number(seconds.toFixed(1)), stepsPerSecond: Math.round(total.steps / seconds) }
  if (options.json) console.log(JSON.stringify({ ...facts, failures }))
  else
    console.log(
      `${facts.nights} nights (${facts.whole} through the engine itself), ${facts.steps} steps, ${facts.jobs} jobs, ${facts.recoveries} recoveries ` +
        `in ${facts.seconds} s (${facts.stepsPerSecond} steps/s): ${failures.length} violations` +
        (isInterrupted ? `; interrupted before all ${options.seeds} nights were played` : ''),
    )
  failures.sort((one, other) => one.seed - other.seed)
  if (!options.json) for (const failure of failures) await explain(failure, options)
  if (failures.length > 0) process.exitCode = 1
  else if (isInterrupted) process.exitCode = 3
}

async function explain({ seed, violation }: Told, { steps, kind }: Options): Promise<void> {
  console.log(`seed ${seed}: ${violation?.promise}: ${violation?.evidence}`)
  const failing = await play({ seed, kind: kind ?? kindOf(seed), steps })
  if (failing.violation === null)
    return console.log('  it does not fail again: the simulation itself is not deterministic')
  const small = await shrink(failing)
  console.log(`  ${failing.actions.length} actions shrunk to ${small.actions.length}: ${keepTranscript(small, steps)}`)
  if (small.actions.length <= PRINTED_MAX) console.log(transcriptOf(small, steps))
}

function runWorker(data: Options & { first: number }, workers: Worker[], hear: (told: Told) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data })
    workers.push(worker)
    worker.on('message', hear)
    worker.on('error', reject)
    worker.on('exit', () => resolve())
  })
}

async function work(options: Options & { first: number }): Promise<void> {
  for (let seed = options.first; seed < options.from + options.seeds; seed += options.workers) {
    const { steps, jobs, lives, violation } = await play({
      seed,
      kind: options.kind ?? kindOf(seed),
      steps: options.steps,
    })
    // A thread's port, not a window's: there is no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    parentPort?.postMessage({ seed, steps, jobs, lives, violation } satisfies Told)
  }
}

function optionsOf(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string', default: '100' },
        from: { type: 'string', default: '1' },
        steps: { type: 'string', default: '2000' },
        workers: { type: 'string', default: String(CPUS) },
        kind: { type: 'string' },
        json: { type: 'boolean', default: false },
        failures: { type: 'string', default: String(FAILURES_ENOUGH) },
      },
    })
    const number = (name: 'seeds' | 'from' | 'steps' | 'workers' | 'failures') => {
      const value = Number(values[name])
      if (!Number.isSafeInteger(value) || value < 1)
        throw new Error(`--${name} is a whole number from 1 on, not ${values[name]}`)
      return value
    }
    const { kind = null } = values
    if (kind !== null && kind !== 'direct' && kind !== 'whole')
      throw new Error(`--kind is direct or whole, not ${kind}`)
    return {
      kind,
      seeds: number('seeds'),
      from: number('from'),
      steps: number('steps'),
      workers: number('workers'),
      json: values.json,
      failures: number('failures'),
    }
  } catch (error) {
    return `simulate: ${error instanceof Error ? error.message : String(error)}; usage: simulate [--seeds n] [--from n] [--steps n] [--workers n] [--kind direct|whole] [--failures n] [--json]`
  }
}
