/**
 * A nats-server of our own: loopback only, its own port, store and token, so that `ocps serve` needs nothing set up and
 * another user of the machine cannot connect. Promises that it ends when we end, even by kill -9, that it is started
 * again on the same port if it crashes, and that one store is never used twice at once. How a client talks to it is
 * nats.ts's.
 */
import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { chmod, mkdir, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Log as Logger, silentLog as silent } from '../log.ts'
import { atLeast, findServer, type ServerBinary } from './server-binary.ts'
import { end, lastLines, type Running, start, syncAlwaysSince } from './server-process.ts'
import { shownUrl, withToken } from './serverUrl.ts'
import { isAlivePid } from '../processes.ts'
import { lockStore } from './store-lock.ts'

export interface EmbeddedOptions {
  /** Streams live here and survive a restart. Created if missing. */
  readonly storeDir: string
  /** Default: what findServer finds. */
  readonly binary?: ServerBinary
  readonly cacheDir?: string
  /**
   * What a confirmed write is to survive. process: also of a server that could do more, for 0.6 ms less. Default power,
   * where the server can.
   */
  readonly survives?: Survives
  readonly log?: Logger
}

export type Survives = 'power' | 'process'

export interface EmbeddedServer {
  /** To connect to: holds the token. */
  readonly url: string
  /** For people: without the token. */
  readonly shownUrl: string
  readonly token: string
  /**
   * power-safe: every write reaches the disk before it is confirmed. process-crash-safe: the last seconds may be lost
   * with the power.
   */
  readonly promise: 'power-safe' | 'process-crash-safe'
  readonly version: string
  /** Of the server running now; changes if it had to be started again. */
  readonly pid: number
  /**
   * Writes the file system of the store to disk. Worth it once after creating streams: their directories are not synced
   * by the server.
   */
  sync(): Promise<void>
  stop(): Promise<void>
}

/** A server that falls over again and again has a reason that starting it again does not remove. */
const restartsMax = 5
const restartsWithinMs = 60_000
const restartWaitMs = 200

/**
 * Before 2.10 a write that fails for want of space leaves the server hanging for ever, even when there is space again
 * (measured).
 */
const survivesFullDiskSince = '2.10.0'
const spaceMin = 32 * 1024 * 1024
const spacePollMs = 1000

const run = promisify(execFile)

/** Throws BusError UNREACHABLE: no server to run, the store is in use, or the server's own last words. */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const log = options.log ?? silent
  const storeDir = resolve(options.storeDir)
  await mkdir(storeDir, { recursive: true, mode: 0o700 })
  // Made by an older OCPS it is open to everybody.
  await chmod(storeDir, 0o700)
  const token = randomBytes(24).toString('hex')
  const found =
    options.binary ??
    (await findServer({ log, ...(options.cacheDir === undefined ? {} : { cacheDir: options.cacheDir }) }))
  const configFile = join(storeDir, 'nats-server.conf')
  const lock = await lockStore(storeDir, configFile)
  const isPowerSafe = (options.survives ?? 'power') === 'power' && atLeast(found.version, syncAlwaysSince)
  const files = { storeDir, configFile, token, syncAlways: isPowerSafe }
  const restarts: number[] = []
  const stopped = new AbortController()
  let running: Running
  try {
    running = await start(found, files, -1)
    await lock.serverIs(running.pid)
  } catch (error) {
    await lock.release()
    throw error
  }
  const { port } = running
  const url = `nats://127.0.0.1:${port}`
  const watching = Promise.all([
    keepRunning(),
    atLeast(found.version, survivesFullDiskSince) ? null : keepFromFullDisk(),
  ])
  log.info({ url, version: found.version, pid: running.pid, storeDir }, `nats-server ${found.version} runs at ${url}.`)

  return {
    url: withToken(url, token),
    shownUrl: shownUrl(url),
    token,
    promise: isPowerSafe ? 'power-safe' : 'process-crash-safe',
    version: found.version,
    get pid() {
      return running.pid
    },
    sync: async () => {
      const whole = process.platform === 'linux' ? ['-f', storeDir] : []
      await run('sync', whole).catch((error: unknown) =>
        log.warn({ storeDir, error: String(error) }, 'The store could not be synced.'),
      )
    },
    stop: async () => {
      stopped.abort()
      await end(running)
      await watching
      await lock.release()
    },
  }

  async function keepRunning(): Promise<void> {
    for (;;) {
      await running.ended
      if (stopped.signal.aborted) return
      const now = performance.now()
      restarts.push(now)
      while (restarts[0] !== undefined && restarts[0] < now - restartsWithinMs) restarts.shift()
      const lastWords = await lastLines(storeDir)
      if (restarts.length > restartsMax) {
        log.error(
          { url, lastWords },
          `nats-server ended ${restarts.length} times within a minute; not starting it again.`,
        )
        return
      }
      log.error({ url, lastWords }, 'nats-server ended unexpectedly; starting it again.')
      await pause(restartWaitMs)
      while (!stopped.signal.aborted && (await freeSpace()) < spaceMin) await pause(spacePollMs)
      if (stopped.signal.aborted) return
      try {
        running = await start(found, files, port)
        await lock.serverIs(running.pid)
      } catch (error) {
        log.error({ url, error: String(error) }, 'nats-server could not be started again.')
        return
      }
      if (stopped.signal.aborted) await end(running)
    }
  }

  /** Better away, which everyone understands and waits for, than there and hanging. */
  async function keepFromFullDisk(): Promise<void> {
    while (!stopped.signal.aborted) {
      await pause(spacePollMs)
      if ((await freeSpace()) >= spaceMin || stopped.signal.aborted || !isAlivePid(running.pid)) continue
      log.error(
        { storeDir, spaceMin },
        `The disk of ${storeDir} is full; nats-server ${found.version} is stopped until there is space.`,
      )
      process.kill(running.pid, 'SIGKILL')
      restarts.length = 0
    }
  }

  async function freeSpace(): Promise<number> {
    const { bavail, bsize } = await statfs(storeDir)
    return bavail * bsize
  }

  async function pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: stopped.signal, ref: false }).catch(() => {})
  }
}
