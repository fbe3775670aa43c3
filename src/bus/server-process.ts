/**
 * One nats-server process: its configuration, its start and its end. Promises that it does not outlive us, however we
 * end. When to start it again is embedded.ts's decision.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from './port.ts'
import { atLeast, type ServerBinary } from './server-binary.ts'
import { isAlivePid } from '../processes.ts'

/** A store of a night opens in a second or two; a slow disk after a power cut may take longer. */
const startMs = 60_000
const pollMs = 10
/**
 * By default a client that is slow to log in is turned away after two seconds, as with a wrong token; on a machine with
 * too much to do that is soon.
 */
const loginS = 60

/** Closing a store takes well under this; after it the server is killed, which loses nothing confirmed. */
const stopMs = 10_000

/**
 * 2.10 knows per-write sync; 2.10.26 may leave a slow subscriber behind instead of slowing its publisher. Older ones
 * refuse the words.
 */
export const syncAlwaysSince = '2.10.0'
const noStallSince = '2.10.26'

/**
 * The server is a child of this shell, which reads a pipe from us. When the pipe ends, because we closed it or died,
 * the server is told to stop and, if it will not, killed. Its own session, so that Ctrl-C in a terminal reaches us and
 * not it.
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

export interface Running {
  readonly pid: number
  readonly port: number
  readonly guard: ChildProcess
  readonly ended: Promise<unknown>
}

export interface ServerFiles {
  readonly storeDir: string
  readonly configFile: string
  /** What every client must say. */
  readonly token: string
  /** Every write reaches the disk before it is confirmed; a server older than syncAlwaysSince refuses the word. */
  readonly syncAlways: boolean
}

/** Port -1 is a free one. Throws BusError UNREACHABLE with the server's own last words. */
export async function start(binary: ServerBinary, files: ServerFiles, port: number): Promise<Running> {
  const { storeDir, configFile } = files
  const portsDir = join(storeDir, 'ports')
  await rm(portsDir, { recursive: true, force: true })
  await mkdir(portsDir, { recursive: true })
  // Made anew: the mode of a file that is there already stays as it is.
  await rm(configFile, { force: true })
  await writeFile(configFile, configuration(binary.version, files, portsDir, port), { mode: 0o600 })
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

function configuration(
  version: string,
  { storeDir, token, syncAlways }: ServerFiles,
  portsDir: string,
  port: number,
): string {
  const sync = syncAlways ? ', sync_interval: always' : ''
  const stall = atLeast(version, noStallSince) ? 'no_fast_producer_stall: true\n' : ''
  return `# Written by OCPS at every start.
host: "127.0.0.1"
port: ${port}
authorization { token: ${JSON.stringify(token)}, timeout: ${loginS} }
jetstream { store_dir: ${JSON.stringify(join(storeDir, 'streams'))}${sync} }
ports_file_dir: ${JSON.stringify(portsDir)}
log_file: ${JSON.stringify(join(storeDir, 'nats-server.log'))}
logfile_size_limit: 10MB
write_deadline: "2s"
${stall}`
}

export async function end(running: Running): Promise<void> {
  running.guard.stdin?.end()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, stopMs)
  })
  await Promise.race([running.ended, late])
  clearTimeout(timer)
  if (isAlivePid(running.pid)) process.kill(running.pid, 'SIGKILL')
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

/** The server's own last words. */
export async function lastLines(storeDir: string): Promise<string> {
  const text = await readFile(join(storeDir, 'nats-server.log'), 'utf8').catch(() => 'it wrote no log')
  return text.trim().split('\n').slice(-4).join(' | ')
}
