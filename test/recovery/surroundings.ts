import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectNats } from '../../src/bus/nats.ts'
import { findServer } from '../../src/bus/server-binary.ts'
import { eventually } from '../bus/eventually.ts'
import type { Place } from '../conformance/instance.ts'

/*
 * A nats-server and `ocps serve` as children of a test that kills and freezes them. Both are ended by their pid,
 * whatever the test came to.
 */
export interface Server {
  readonly url: string
  /** Kills it; `start` brings it back on the same port and store. */
  kill(): Promise<void>
  start(): void
}

export async function startServer(dir: string): Promise<Server> {
  const { path } = await findServer()
  const port = await freePort()
  let child: ChildProcess | null = null
  const start = () => {
    child = spawn(path, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(dir, 'nats')], { stdio: 'ignore' })
  }
  start()
  return {
    url: `nats://127.0.0.1:${port}`,
    start,
    async kill() {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** Connections are taken. */
export async function isUp({ url }: Server): Promise<void> {
  const bus = await connectNats({ url, name: 'test', waitForServer: true })
  await bus.close()
}

export interface Serving {
  readonly process: ChildProcess
  readonly pid: number
  /** What it logged, as lines of JSON. */
  readonly log: readonly string[]
  /** Serves, as opposed to stands by. */
  isReady(): boolean
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  end(): Promise<void>
}

/** `ocps serve --standby` from the sources; the first of an instance is active at once. */
export function serve(place: Place, url: string, instance: string): Serving {
  const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  const words = ['serve', '--instance', instance, '--url', url, '--data', place.dataDir, '--config', place.configDir]
  const child = spawn(
    process.execPath,
    [
      '--import',
      here('../bus/typescriptLoader.mjs'),
      here('../../src/cli/main.ts'),
      ...words,
      '-s',
      'enabled',
      '--standby',
      '--json',
    ],
    { cwd: place.dir, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const log: string[] = []
  let isReady = false
  createInterface({ input: child.stdout }).on('line', line => {
    if (line.includes('"natsUrl"')) isReady = true
  })
  createInterface({ input: child.stderr }).on('line', line => log.push(line))
  const exit = once(child, 'exit').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }))
  return {
    process: child,
    pid: child.pid ?? 0,
    log,
    isReady: () => isReady,
    exit,
    async end() {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      await exit
    },
  }
}

export const ready = (one: Serving): Promise<void> => eventually('it serves', () => one.isReady())

export interface Way {
  readonly url: string
  /** How often the client has sent this text since answers are held back; null before. */
  sent(text: string): number | null
  /** Answers come through again. */
  release(): void
  close(): void
}

/** A way to the server on which answers are held back from the moment the client sends `trigger`. */
export async function wayTo(url: string, trigger: string): Promise<Way> {
  const { hostname, port } = new URL(url)
  let sinceHeld: string | null = null
  let isReleased = false
  const pairs = new Set<{ destroy(): void; resume(): void }>()
  const server = createServer(client => {
    const upstream = connect(Number(port), hostname)
    pairs.add(client).add(upstream)
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
    upstream.on('data', (bytes: Buffer) => void client.write(bytes))
    client.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1')
      if (sinceHeld !== null) sinceHeld += text
      else if (text.includes(trigger)) sinceHeld = ''
      if (sinceHeld !== null && !isReleased) upstream.pause()
      upstream.write(bytes)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('impossible: a TCP server without a port')
  return {
    url: `nats://127.0.0.1:${address.port}`,
    sent: text => (sinceHeld === null ? null : sinceHeld.split(text).length - 1),
    release() {
      isReleased = true
      for (const one of pairs) one.resume()
    },
    close() {
      server.close()
      for (const one of pairs) one.destroy()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('impossible: a TCP server without a port')
  return address.port
}
