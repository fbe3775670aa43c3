/**
 * A nats-server of our own: loopback only, its own port and store, so that `ocps run` needs nothing set up. Promises that it ends when we
 * end, even by kill -9, that it is started again on the same port if it crashes, and that one store is never used twice at once. How a
 * client talks to it is nats.ts's.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Logger, silent } from './logger.ts'
import { BusError } from './port.ts'
import { atLeast, findServer, type ServerBinary } from './server-binary.ts'
import { isAlive, lockStore } from './store-lock.ts'

export interface EmbeddedOptions {
  /** Streams live here and survive a restart. Created if missing. */
  readonly storeDir: string
  /** Default: what findServer finds. */
  readonly binary?: ServerBinary
  readonly cacheDir?: string
  readonly log?: Logger
}

export interface EmbeddedServer {
  readonly url: string
  /** power-safe: every write reaches the disk before it is confirmed. process-crash-safe: the last seconds may be lost with the power. */
  readonly promise: 'power-safe' | 'process-crash-safe'
  readonly version: string
  /** Of the server running now; changes if it had to be started again. */
  readonly pid: number
  /** Writes the file system of the store to disk. Worth it once after creating streams: their directories are not synced by the server. */
  sync(): Promise<void>
  stop(): Promise<void>
}

/** A store of a night opens in a second or two; a slow disk after a power cut may take longer. */
const startMs = 60_000
const pollMs = 10

/** Closing a store takes well under this; after it the server is killed, which loses nothing confirmed. */
const stopMs = 10_000

/** A server that falls over again and again has a reason that starting it again does not remove. */
const restartsMax = 5
const restartsWithinMs = 60_000
const restartWaitMs = 200

/** 2.10 knows per-write sync; 2.10.26 may leave a slow subscriber behind instead of slowing its publisher. Older ones refuse the words. */
const syncAlwaysSince = '2.10.0'
const noStallSince = '2.10.26'

/**
 * The server is a child of this shell, which reads a pipe from us. When the pipe ends, because we closed it or died, the server is told to
 * stop and, if it will not, killed. Its own session, so that Ctrl-C in a terminal reaches us and not it.
 */
const guard = `
exec 3<&0
"$@" </dev/null >/dev/null 2>&1 3<&- &
server=$!
echo $server
(
  while read -r line <&3; do :; done
  kill -TERM $server 2>/dev/null
  tries=0
  while [ $tries -lt 50 ] && kill -0 $server 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL $server 2>/dev/null
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $server
status=$?
kill $watcher 2>/dev/null
exit $status
`

const run = promisify(execFile)

/** Throws BusError UNREACHABLE: no server to run, the store is in use, or the server's own last words. */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const log = options.log ?? silent
  const storeDir = resolve(options.storeDir)
  const found =
    options.binary ??
    (await findServer({ log, ...(options.cacheDir === undefined ? {} : { cacheDir: options.cacheDir }) }))
  const configFile = join(storeDir, 'nats-server.conf')
  const lock = await lockStore(storeDir, configFile)
  const restarts: number[] = []
  let stopping = false
  let running: Running
  try {
    running = await start(found, storeDir, configFile, -1)
    await lock.serverIs(running.pid)
  } catch (error) {
    await lock.release()
    throw error
  }
  const { port } = running
  const url = `nats://127.0.0.1:${port}`
  let watching = watch()
  log.info({ url, version: found.version, pid: running.pid, storeDir }, `nats-server ${found.version} runs at ${url}.`)

  return {
    url,
    promise: atLeast(found.version, syncAlwaysSince) ? 'power-safe' : 'process-crash-safe',
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
      stopping = true
      await end(running)
      await watching
      await lock.release()
    },
  }

  async function watch(): Promise<void> {
    await running.ended
    if (stopping) return
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
    await delay(restartWaitMs)
    if (stopping) return
    try {
      running = await start(found, storeDir, configFile, port)
      await lock.serverIs(running.pid)
      if (stopping) await end(running)
      watching = watch()
      await watching
    } catch (error) {
      log.error({ url, error: String(error) }, 'nats-server could not be started again.')
    }
  }
}

interface Running {
  readonly pid: number
  readonly port: number
  readonly guard: ChildProcess
  readonly ended: Promise<unknown>
}

async function start(binary: ServerBinary, storeDir: string, configFile: string, port: number): Promise<Running> {
  const portsDir = join(storeDir, 'ports')
  await rm(portsDir, { recursive: true, force: true })
  await mkdir(portsDir, { recursive: true })
  await writeFile(configFile, configuration(binary.version, storeDir, portsDir, port))
  const child = spawn('/bin/sh', ['-c', guard, 'ocps-nats-guard', binary.path, '-c', configFile], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const ended = once(child, 'exit')
  // The pipe of a guard that has already gone must not take us with it.
  child.stdin.on('error', () => {})
  const pid = await firstLine(child)
  const deadline = performance.now() + startMs
  for (;;) {
    const readPort = await portIn(portsDir)
    if (readPort !== null) return { pid, port: readPort, guard: child, ended }
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new BusError(
        'UNREACHABLE',
        `nats-server (${binary.path}) did not start on ${storeDir}: ${await lastLines(storeDir)}`,
      )
    }
    if (performance.now() > deadline) {
      await end({ pid, port, guard: child, ended })
      throw new BusError(
        'UNREACHABLE',
        `nats-server did not open its port within ${startMs} ms: ${await lastLines(storeDir)}`,
      )
    }
    await delay(pollMs)
  }
}

function configuration(version: string, storeDir: string, portsDir: string, port: number): string {
  const sync = atLeast(version, syncAlwaysSince) ? ', sync_interval: always' : ''
  const stall = atLeast(version, noStallSince) ? 'no_fast_producer_stall: true\n' : ''
  return `# Written by OCPS at every start.
host: "127.0.0.1"
port: ${port}
jetstream { store_dir: ${JSON.stringify(join(storeDir, 'streams'))}${sync} }
ports_file_dir: ${JSON.stringify(portsDir)}
log_file: ${JSON.stringify(join(storeDir, 'nats-server.log'))}
logfile_size_limit: 10MB
write_deadline: "2s"
${stall}`
}

async function end(running: Running): Promise<void> {
  running.guard.stdin?.end()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, stopMs)
  })
  await Promise.race([running.ended, late])
  clearTimeout(timer)
  if (isAlive(running.pid)) process.kill(running.pid, 'SIGKILL')
}

async function firstLine(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('impossible: the guard was started without a pipe')
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) return Number(line)
  throw new BusError('UNREACHABLE', '/bin/sh could not start nats-server.')
}

/** The file appears complete or not at all is not promised: half a file is read again. */
async function portIn(directory: string): Promise<number | null> {
  const file = (await readdir(directory)).find(name => name.endsWith('.ports'))
  if (file === undefined) return null
  const text = await readFile(join(directory, file), 'utf8').catch(() => '')
  const port = /nats:\/\/[^"]*:(\d+)"/.exec(text)?.[1]
  return port === undefined ? null : Number(port)
}

async function lastLines(storeDir: string): Promise<string> {
  const text = await readFile(join(storeDir, 'nats-server.log'), 'utf8').catch(() => 'it wrote no log')
  return text.trim().split('\n').slice(-4).join(' | ')
}
