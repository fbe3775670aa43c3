import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { startService } from '../../src/service.ts'
import type { Ask } from './client.ts'

/** A real instance with an embedded server and a client in a process of its own; everything in a temporary folder. */
export interface BenchInstance {
  acceptance(count: number, inFlight: number): Promise<{ latencies: number[]; perSecond: number }>
  throughput(count: number): Promise<{ jobsPerSecond: number; loopDelayP99: number }>
  latencies(count: number): Promise<{ commandToStart: number[]; endToResult: number[] }>
  gathers(count: number): Promise<number[]>
  stop(): Promise<void>
}

const pipelines: Record<string, string> = {
  true: 'description: nothing\nscope: exposure\ncommand: [/bin/true]\ntimeLimit: 60\n',
  date: 'description: when it ran\nscope: exposure\ncommand: [date, "+%s.%N"]\ntimeLimit: 60\n',
  combine: 'description: when it ran\nscope: group\ncommand: [date, "+%s.%N"]\ntimeLimit: 60\n',
}

export async function startBenchInstance(slots: number): Promise<BenchInstance> {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-bench-'))
  const configDir = join(dir, 'config')
  mkdirSync(join(configDir, 'pipelines'), { recursive: true })
  writeFileSync(join(configDir, '_init.yaml'), initOf(slots))
  for (const [name, text] of Object.entries(pipelines))
    writeFileSync(join(configDir, 'pipelines', `${name}.yaml`), text)
  const service = await startService({
    instance: 'BENCH',
    natsUrl: null,
    configDir,
    site: '',
    dataDir: join(dir, 'data'),
    initialState: 'ENABLED',
    configurationOverride: '',
    simulate: false,
    logTo: null,
  })
  const client = fork(fileURLToPath(new URL('client.js', import.meta.url)), [service.natsUrl, service.workDir])
  await reply(client)
  const ask = async <T>(what: Ask): Promise<T> => {
    client.send(what)
    return (await reply(client)) as T
  }
  await ask({ do: 'throughput', count: 100 })
  return {
    acceptance: (count, inFlight) => ask({ do: 'accept', count, inFlight }),
    async throughput(count) {
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const jobsPerSecond = await ask<number>({ do: 'throughput', count })
      delay.disable()
      return { jobsPerSecond, loopDelayP99: delay.percentile(99) / 1e6 }
    },
    latencies: count => ask({ do: 'latencies', count }),
    gathers: count => ask({ do: 'gathers', count }),
    async stop() {
      client.disconnect()
      await service.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

function reply(client: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.once('message', (answer: { value?: unknown; error?: string }) =>
      answer.error === undefined ? resolve(answer.value) : reject(new Error(answer.error)),
    )
  })
}

function initOf(slots: number): string {
  return `mode: async
slots: ${slots}
queueDepth: 100000
order: fifo
ackTimeout: 60
groups: {policy: partial, patience: 300, late: ignore, linger: 60, pipeline: null}
dataPath: ""
`
}
