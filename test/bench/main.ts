/**
 * How fast OCPS is on this machine: durable acceptance, the latencies of a job's path, and jobs per second against a bare
 * `child_process.spawn` loop in the same run. Several rounds, interleaved; medians with their spread. `npm run bench [-- --rounds 3 --json FILE]`.
 */
import { cpus } from 'node:os'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { spawnLoop } from './spawnLoop.ts'
import { startBenchInstance, type BenchInstance } from './instance.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
    jobs: { type: 'string', default: '1000' },
  },
})
const rounds = Number(values.rounds)
const jobs = Number(values.jobs)

interface Figure {
  readonly name: string
  readonly unit: string
  readonly samples: number[]
}

const figures = new Map<string, Figure>()

function note(name: string, unit: string, value: number): void {
  const figure = figures.get(name) ?? { name, unit, samples: [] }
  figure.samples.push(value)
  figures.set(name, figure)
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

function quantiles(name: string, unit: string, samples: readonly number[]): void {
  const sorted = samples.toSorted((a, b) => a - b)
  note(`${name} p50`, unit, quantile(sorted, 0.5))
  note(`${name} p99`, unit, quantile(sorted, 0.99))
}

async function round(instance: BenchInstance, slots: number): Promise<void> {
  const bare = await spawnLoop(jobs, slots)
  const run = await instance.throughput(jobs)
  note(`bare spawn loop, ${slots} at a time`, 'jobs/s', bare)
  note(`OCPS /bin/true, ${slots} slots`, 'jobs/s', run.jobsPerSecond)
  note(`ratio to bare spawn, ${slots} slots`, '', run.jobsPerSecond / bare)
  note(`event-loop delay p99 under that load, ${slots} slots`, 'ms', run.loopDelayP99)
}

for (let at = 1; at <= rounds; at++) {
  for (const slots of [2, 8]) {
    const instance = await startBenchInstance(slots)
    try {
      if (slots === 2) {
        const accept = await instance.acceptance(500, 1)
        quantiles('durable accept, one at a time', 'ms', accept.latencies)
        const many = await instance.acceptance(2_000, 64)
        note('durable accept, 64 in flight', 'commands/s', many.perSecond)
        quantiles('durable accept, 64 in flight', 'ms', many.latencies)
      } else {
        const idle = await instance.latencies(100)
        quantiles('command → process started', 'ms', idle.commandToStart)
        quantiles('process end → result event', 'ms', idle.endToResult)
        quantiles('last member settled → gather process started', 'ms', await instance.gathers(30))
      }
      await round(instance, slots)
    } finally {
      await instance.stop()
    }
  }
  process.stderr.write(`round ${at} of ${rounds} done\n`)
}

const rows = [...figures.values()].map(({ name, unit, samples }) => {
  const sorted = samples.toSorted((a, b) => a - b)
  return { name, unit, median: quantile(sorted, 0.5), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
})
const shown = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2))
console.log(
  `OCPS bench: Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds, median (min–max)\n`,
)
console.log('| figure | median | spread | unit |\n|---|---:|---|---|')
for (const { name, unit, median, min, max } of rows)
  console.log(`| ${name} | ${shown(median)} | ${shown(min)}–${shown(max)} | ${unit} |`)
if (values.json !== undefined)
  writeFileSync(
    values.json,
    JSON.stringify({ node: process.versions.node, cpu: cpus()[0]?.model, cores: cpus().length, rounds, rows }, null, 2),
  )
