/**
 * A redis-server of one peer's own, set up as BullMQ and Celery ask for where jobs must survive: append-only file,
 * synced every second.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, which } from '../tools.ts'

export interface Redis {
  readonly port: number
  /** kill -9, then a start on the same files and port; resolves when it answers again. */
  killAndStart(): Promise<void>
  stop(): Promise<void>
}

/** A file of a hundred thousand jobs is read in a second or two. */
const START_MS_MAX = 60_000
const POLL_MS = 5

export async function startRedis(dir: string): Promise<Redis> {
  const port = await freePort()
  const store = join(dir, 'redis')
  mkdirSync(store, { recursive: true })
  let server = await open(store, port)
  return {
    port,
    async killAndStart() {
      await end(server, 'SIGKILL')
      server = await open(store, port)
    },
    stop: () => end(server, 'SIGTERM'),
  }
}

async function open(store: string, port: number): Promise<ChildProcess> {
  const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction', '--save', '']
  const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', store]
  const server = spawn(which('redis-server') ?? 'redis-server', [...where, ...durable], { stdio: 'ignore' })
  const deadline = performance.now() + START_MS_MAX
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with code ${server.exitCode}`)
    if (performance.now() > deadline) throw new Error(`redis-server did not answer within ${START_MS_MAX / 1_000} s`)
    await delay(POLL_MS)
  }
  return server
}

/** Not while it still reads its file: then it answers LOADING. */
function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const settle = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('data', data => settle(data.toString().startsWith('+PONG')))
    socket.once('error', () => settle(false))
  })
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, 'exit')
  server.kill(signal)
  await gone
}
