import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
  type WriteStream,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { findServer } from '../../src/bus/server-binary.ts'

/**
 * The world chaos happens in: a temporary folder with a configuration, a nats-server and two `ocps serve --standby` of
 * one instance as children, each started again when it ends. It starts and ends processes; which of them is hurt is
 * main.ts's.
 */
export const INSTANCE = 'CHAOS'

export interface World {
  readonly dir: string
  readonly configDir: string
  /** The argv of `ocps serve` in this world, after `node`. */
  readonly serveWords: readonly string[]
  readonly url: string
  readonly workDir: string
  /** Where jobs write that they run: `jobId attempt pid`, one line each. */
  readonly ranFile: string
  /** Of the server that runs now; null while it is down. */
  serverPid(): number | null
  /** Down for so long, then up again on the same store. */
  serverDownFor(ms: number): void
  /**
   * The wall clock of every `ocps serve` is so far off from now on, seconds; null where Debian's faketime is not
   * installed.
   */
  readonly setClock: ((offsetS: number) => void) | null
  slots: readonly Slot[]
  /** How processes ended that nobody had ended. */
  readonly surprises: readonly Surprise[]
  /** Who could not take over and stands by again, and why. */
  readonly again: readonly string[]
  /** Writes into the logs what is done to the world. */
  note(what: string): void
  /** Stops what ends is started again; ends all children, by pid. */
  stop(): Promise<void>
}

export interface Surprise {
  readonly what: string
  /** Another process had taken its place: then it has to end. */
  readonly isReplaced: boolean
  /** What was done last, and what it said last, each with its time. */
  readonly before: readonly string[]
}

export interface Slot {
  readonly name: string
  pid(): number | null
  /** Whether it serves, as opposed to stands by. */
  isActive(): boolean
  /** Tells that it is about to be ended, so that this is no surprise. */
  expectEnd(): void
  readonly takeovers: readonly number[]
}

const SLOTS = 8
/** So that launchers and processes of OCPS die while jobs wait at them. */
const PREFETCH = 4
/** A process that cannot start says so at once; started again more often it would only fill the log. */
const RESTART_MS = 200
/** Enough to see what it was doing, and what had been done to it. */
const LINES_KEPT = 6
/** What OCPS says when it ends because another process has its name. */
const REPLACED = 'ends here: another process runs this instance now'
const AGAIN = 'stands by again'

/** `processes`: how many `ocps serve` there are, at most two. */
export async function createWorld(processes: 0 | 1 | 2): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-chaos-'))
  const dataDir = join(dir, 'data')
  const ranFile = join(dir, 'ran.txt')
  writeFileSync(ranFile, '')
  writeConfiguration(dir, ranFile)
  const port = await freePort()
  const url = `nats://127.0.0.1:${port}`
  const { path } = await findServer()
  const surprises: Surprise[] = []
  const again: string[] = []
  const notes: string[] = []
  let isStopping = false

  let server: ChildProcess | null = null
  let downMs = 0
  const startServer = (): void => {
    const child = spawn(
      path,
      ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(dir, 'nats'), '-l', join(dir, 'nats.log')],
      { stdio: 'ignore' },
    )
    server = child
    child.on('exit', (code, signal) => {
      server = null
      if (signal !== 'SIGKILL' && !isStopping)
        surprises.push({
          what: `nats-server ended with ${code ?? signal}`,
          isReplaced: false,
          before: notes.slice(-LINES_KEPT),
        })
      if (!isStopping) setTimeout(startServer, downMs)
      downMs = 0
    })
  }
  startServer()

  const clock = fakeClock(dir)
  const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
  const configDir = join(dir, 'config')
  const where = ['--instance', INSTANCE, '--url', url, '--data', dataDir, '--config', configDir]
  const serveWords = [cli, 'serve', ...where, '--state', 'enabled', '--standby', '--json']
  const logs: WriteStream[] = []
  const slots = ['a', 'b'].slice(0, processes).map((name): Slot & { stop(): Promise<void> } => {
    const log = createWriteStream(join(dir, `ocps-${name}.log`), { flags: 'a' })
    logs.push(log)
    const takeovers: number[] = []
    let child: ChildProcess | null = null
    let isReady = false
    let isExpected = false
    const start = (): void => {
      if (isStopping) return
      const one = spawn(process.execPath, serveWords, {
        cwd: dir,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...clock?.env },
      })
      const said: string[] = []
      let isReplaced = false
      const hear = (line: string) => {
        log.write(`${line}\n`)
        isReplaced ||= line.includes(REPLACED)
        if (line.includes(AGAIN)) again.push(`OCPS ${name} ${timed(line)}`)
        said.push(timed(line))
        if (said.length > LINES_KEPT) said.shift()
      }
      child = one
      isReady = false
      isExpected = false
      createInterface({ input: one.stderr }).on('line', hear)
      createInterface({ input: one.stdout }).on('line', line => {
        hear(line)
        // The banner; an error is a line, too.
        if (!line.includes('"natsUrl"')) return
        isReady = true
        takeovers.push(Date.now())
      })
      one.on('exit', () => {
        child = null
      })
      // Everything it said has been read by then.
      one.on('close', (code, signal) => {
        log.write(`--- pid ${one.pid} ended with ${code ?? signal}\n`)
        if (!isExpected && !isStopping)
          surprises.push({
            what: `OCPS ${name} (${isReady ? 'active' : 'standby'}, pid ${one.pid}) ended with ${code ?? signal} at ${time()}`,
            isReplaced,
            before: [...notes.slice(-LINES_KEPT), ...said],
          })
        isReady = false
        setTimeout(start, RESTART_MS)
      })
    }
    start()
    return {
      name,
      pid: () => child?.pid ?? null,
      isActive: () => isReady && child !== null,
      expectEnd: () => {
        isExpected = true
      },
      takeovers,
      async stop() {
        if (child === null) return
        child.kill('SIGCONT')
        await endOf(child, 'SIGTERM')
      },
    }
  })

  return {
    dir,
    configDir,
    serveWords,
    url,
    workDir: join(dataDir, 'work'),
    ranFile,
    slots,
    surprises,
    again,
    note(what) {
      notes.push(timed(`(chaos) ${what}`))
      if (notes.length > LINES_KEPT) notes.shift()
      for (const log of logs) log.write(`--- ${timed(what)}\n`)
    },
    setClock: clock?.set ?? null,
    serverPid: () => server?.pid ?? null,
    serverDownFor(ms) {
      downMs = ms
      server?.kill('SIGKILL')
    },
    async stop() {
      isStopping = true
      // Who stands by first, or it would take over for a moment.
      for (const slot of slots.toSorted((one, other) => Number(one.isActive()) - Number(other.isActive())))
        await slot.stop()
      if (server) {
        server.kill('SIGCONT')
        await endOf(server, 'SIGTERM')
      }
    },
  }
}

/** Debian's faketime moves the wall clock of a process, and leaves the monotonic one alone. */
function fakeClock(dir: string): { env: Record<string, string>; set: (offsetS: number) => void } | null {
  const library = readdirSync('/usr/lib')
    .map(folder => `/usr/lib/${folder}/faketime/libfaketime.so.1`)
    .find(existsSync)
  if (library === undefined) return null
  const file = join(dir, 'clock')
  const set = (offsetS: number) => writeFileSync(file, `${offsetS < 0 ? '-' : '+'}${Math.abs(Math.round(offsetS))}`)
  set(0)
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    },
    set,
  }
}

function timed(line: string): string {
  return `${time()} ${line}`
}

function time(): string {
  return new Date().toISOString().slice(11, 23)
}

/** A helper process that speaks over IPC. */
export function helper(name: string, ...words: string[]): ChildProcess {
  return fork(fileURLToPath(new URL(`${name}.js`, import.meta.url)), words)
}

/** An orderly end takes two seconds at most; who needs more than ten will not end by itself. */
const END_MS = 10_000

async function endOf(child: ChildProcess, name: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(name)
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await ended
  clearTimeout(late)
}

export function removeWorld(world: World): void {
  rmSync(world.dir, { recursive: true, force: true })
}

function writeConfiguration(dir: string, ranFile: string): void {
  const config = join(dir, 'config')
  mkdirSync(join(config, 'pipelines'), { recursive: true })
  writeFileSync(
    join(config, '_init.yaml'),
    `mode: async
slots: ${SLOTS}
prefetch: ${PREFETCH}
queueDepth: 100000
order: fifo
ackTimeout: 60
groups: {policy: partial, patience: 3600, late: regather, linger: 3600, pipeline: null}
dataPath: ""
`,
  )
  const metric = (name: string) => `echo '{"metric":"${name}","value":1}' >&3`
  const scripts: Record<string, string> = {
    quick: 'exit 0',
    fail: 'echo "the dome is closed" >&2; exit 7',
    metrics: `${metric('a')}; sleep 0.3; ${metric('b')}; sleep 0.3; ${metric('c')}`,
    // Leaves a process behind that hides from its group.
    leaver: 'setsid sleep 600 & sleep 0.2; exit 0',
    sleeper: 'exec sleep 600',
    // Runs while OCPS, its server and launchers die and are taken over: it is adopted in every round. Lost once it
    // stays lost, for all to see.
    long: `${metric('a')}; sleep $((5 + $$ % 4)); ${metric('b')}; sleep 0.3; ${metric('c')}`,
    fifoErr: 'echo x >&2; sleep 0.2; rm -f stderr.log; mkfifo stderr.log; exit 3',
    fifoOut: 'mkfifo stdout.log; echo hello; exit 3',
    sparse: 'truncate -s 1T reports.ndjson; exit 3',
    stack: metric('combined'),
  }
  for (const [name, script] of Object.entries(scripts))
    writeFileSync(
      join(config, 'pipelines', `${name}.yaml`),
      `description: for chaos
scope: ${name === 'stack' ? 'group' : 'exposure'}
timeLimit: 900
grace: 1
retries: { attempts: ${name === 'long' ? 1 : 3}, backoff: 0.2, on: [lost] }
command:
  - /bin/sh
  - -c
  - |
    echo "$OCPS_JOB_ID $OCPS_ATTEMPT $$" >>${ranFile}
    ${script}
`,
    )
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
