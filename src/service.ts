import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../machines/domain/summaryState.ts'
import { MACHINES_VERSION } from '../machines/index.ts'
import { startEmbeddedServer } from './bus/embedded.ts'
import { connectNats } from './bus/nats.ts'
import type { Bus, LeaseResult } from './bus/port.ts'
import { createConfigurationSource } from './config/load.ts'
import { INSTANCE_PATTERN, streams, subjects } from './contract/subjects.ts'
import { wallClock } from './engine/clock.ts'
import { openDoor } from './engine/door.ts'
import { createEngine, type Engine } from './engine/engine.ts'
import { checkTemplate } from './executor/commandLine.ts'
import { createSubprocessExecutor } from './executor/subprocess.ts'
import { createFeed, numberOf } from './feed/feed.ts'
import { createPresence } from './feed/presence.ts'
import { createIngestWatch } from './ingest/ingest.ts'
import { openJournal } from './journal/log.ts'
import { UserError } from './userError.ts'

/**
 * One running instance of OCPS: wires the adapters to the engine, in the order of the path of a command, and takes them apart again. Everything that can be
 * wrong with what it was given is a UserError with a sentence.
 */
export interface ServiceOptions {
  /** The name on the wire, e.g. LATISS. */
  readonly instance: string
  /** An existing server; null starts one of our own on loopback. */
  readonly natsUrl: string | null
  readonly configDir: string
  /** LSST_SITE; '' for none. */
  readonly site: string
  /** Holds the store of an embedded server, the jobs' directories and the compiled launcher. */
  readonly dataDir: string
  /** The state to go to by itself after start, and the override for it. */
  readonly initialState: Exclude<SummaryState, 'FAULT'>
  readonly configurationOverride: string
  readonly simulate: boolean
  /** Where log lines go: a file descriptor, or null for none. Events logMessage are said in any case. */
  readonly logTo: number | null
}

export interface Service {
  readonly instance: string
  readonly natsUrl: string
  readonly promise: string
  readonly workDir: string
  /** How it ended: exitControl, a signal or stop(), or the loss of the journal to another instance. */
  readonly ended: Promise<'offline' | 'stopped' | 'lost'>
  stop(): Promise<void>
}

// A lease of this length is found free at most three seconds after its holder died; a pause of the holder's process is shorter.
const LEASE_MS = 3_000
const INITIAL_STATES: readonly SummaryState[] = ['OFFLINE', 'STANDBY', 'DISABLED', 'ENABLED']
// Jobs and groups of a week can be asked for; older ones are in the archive.
const EVENTS_KEPT_MS = 7 * 24 * 3_600_000

export const packageRoot = findPackageRoot()

export async function startService(options: ServiceOptions): Promise<Service> {
  const { instance } = options
  if (!INSTANCE_PATTERN.test(instance))
    throw new UserError(`the instance name ${JSON.stringify(instance)} must be 1 to 32 letters, digits, _ or -`)
  // From a command line anything may come; FAULT is a state nobody can ask for (salobj base_csc.py).
  if (!INITIAL_STATES.includes(options.initialState))
    throw new UserError(
      `the initial state ${JSON.stringify(options.initialState)} must be one of ${INITIAL_STATES.join(', ')}`,
    )
  const dataDir = resolve(options.dataDir)
  const undo: (() => Promise<void>)[] = []
  try {
    return await assemble(options, dataDir, undo)
  } catch (error) {
    await takeApart(undo)
    throw error
  }
}

async function assemble(options: ServiceOptions, dataDir: string, undo: (() => Promise<void>)[]): Promise<Service> {
  const { instance } = options
  const workDir = join(dataDir, 'work')
  const cacheDir = join(dataDir, 'cache')
  const presence = createPresence({ instance, now: () => wallClock.now() })
  const log = pino(
    { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.multistream([
      { level: 'debug', stream: presence.logStream },
      ...(options.logTo === null
        ? []
        : [{ level: 'info' as const, stream: pino.destination({ fd: options.logTo, sync: true }) }]),
    ]),
  )

  const server =
    options.natsUrl === null ? await startEmbeddedServer({ storeDir: join(dataDir, 'nats'), cacheDir, log }) : null
  if (server) undo.push(() => server.stop())
  const natsUrl = server?.url ?? options.natsUrl ?? ''
  const bus = await connectNats({ url: natsUrl, name: `ocps.${instance}`, log })
  undo.push(() => bus.close())
  const telemetry = await connectNats({ url: natsUrl, name: `ocps.${instance}.telemetry`, log })
  undo.push(() => telemetry.close())
  const promise = server?.promise ?? 'as the server is configured'

  const lease = await takeLease(bus, instance, () => void end('lost'))
  undo.push(() => lease.release())

  const { events } = streams(instance)
  const retained = await bus.retained({ name: events, subjects: [subjects(instance).events], maxAgeMs: EVENTS_KEPT_MS })
  const { journal } = await openJournal({ bus, instance })
  if (server) await server.sync()
  const feed = createFeed({ bus, telemetry, retained, instance })
  const source = createConfigurationSource({ dir: options.configDir, site: options.site, instance, checkTemplate })

  let executorClose = async () => {}
  let tellEnded: (how: 'offline' | 'stopped' | 'lost') => void = () => {}
  const ended = new Promise<'offline' | 'stopped' | 'lost'>(resolve => (tellEnded = resolve))
  let ending: Promise<void> | null = null
  const end = (how: 'offline' | 'stopped' | 'lost') => (ending ??= shutDown(how))

  const versions = {
    ocps: ocpsVersion(),
    xstate: xstateVersion(),
    node: process.versions.node,
    machines: MACHINES_VERSION,
  }
  const engine: Engine = await createEngine({
    instance,
    journal,
    clock: wallClock,
    log,
    async executor(report) {
      const executor = await createSubprocessExecutor({
        instance,
        workDir,
        cacheDir,
        pipelinesDir: fileURLToPath(new URL('pipelines', import.meta.url)),
        report,
        log,
      }).catch((error: unknown) => {
        const problem = error instanceof Error ? error.message : String(error)
        throw new UserError(
          `pipelines cannot be started here: ${problem}; see that ${dataDir} can be written and that cc or perl is installed`,
        )
      })
      executorClose = () => executor.close()
      return executor
    },
    dataSide: report => createIngestWatch({ bus, report, now: () => wallClock.now() }),
    say: feed.say,
    allSaid: feed.allStored,
    loadConfiguration: override => source.load(override),
    started: {
      type: 'engine.started',
      simulationMode: options.simulate ? 1 : 0,
      versions,
      available: source.available(),
      host: hostname(),
      pid: process.pid,
      promise,
    },
    lastSaid: numberOf(await retained.lastId()),
    onOffline: () => void end('offline'),
    onLost: error => {
      log.error({}, `the journal is lost to this process: ${error.message}`)
      void end('lost')
    },
  })
  undo.push(async () => engine.stop())
  undo.push(() => executorClose())
  const door = openDoor({
    bus,
    retained,
    instance,
    engine,
    say: feed.say,
    now: () => wallClock.now(),
    log,
    facts: () => ({ natsUrl, promise, workDir, versions, pid: process.pid, host: hostname() }),
  })
  undo.push(() => door.close())
  const stopPresence = presence.begin({ bus, engine, source })
  undo.push(async () => stopPresence())
  log.info({ natsUrl, promise, workDir }, `OCPS ${instance} is ready`)
  await reach(engine, options)

  return { instance, natsUrl, promise, workDir, ended, stop: () => end('stopped') }

  async function shutDown(how: 'offline' | 'stopped' | 'lost'): Promise<void> {
    if (how !== 'lost')
      await Promise.race([engine.finish().then(() => retained.flushed()), delay(FLUSH_MS, undefined, { ref: false })])
    await takeApart(undo)
    tellEnded(how)
  }
}

// A server that does not take the last events within two seconds is gone; they are in the journal and said again at the next start.
const FLUSH_MS = 2_000

async function takeApart(undo: (() => Promise<void>)[]): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one().catch(() => {})
}

/** Waits out the lease of a holder that died, and refuses if the holder lives. */
async function takeLease(
  bus: Bus,
  instance: string,
  onLost: () => void,
): Promise<Extract<LeaseResult, { held: true }>> {
  const holder = `process ${process.pid} on ${hostname()} since ${new Date().toISOString()}`
  const deadline = Date.now() + LEASE_MS + 1_000
  for (;;) {
    const result = await bus.lease({ name: streams(instance).lease, holder, ttlMs: LEASE_MS, onLost })
    if (result.held) return result
    if (Date.now() > deadline)
      throw new UserError(
        `an instance named ${instance} is running already: ${result.holder}; stop it first, or choose another name with --instance`,
      )
    await delay(100)
  }
}

/** Walks to the initial state by the same commands an operator would send (salobj). */
async function reach(engine: Engine, { initialState, configurationOverride, instance }: ServiceOptions): Promise<void> {
  const present = String(engine.world.actor('csc')?.snapshot.value).toUpperCase() as SummaryState
  if (!Object.hasOwn(SUMMARY_STATE, present) || initialState === 'STANDBY') return
  for (const { command } of transitionChain(present, initialState) ?? []) {
    const caller = { identity: `${instance}:init`, id: `init-${process.pid}-${Date.now()}-${command}`, reply: null }
    if (command === 'start') engine.command({ type: 'command.start', configurationOverride }, caller)
    else engine.command({ type: `command.${command}` }, caller)
    await engine.settled()
  }
}

function findPackageRoot(): string {
  for (let dir = fileURLToPath(new URL('.', import.meta.url)); ; dir = resolve(dir, '..')) {
    try {
      const { name } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { name?: string }
      if (name === 'ocps') return dir
    } catch {
      if (resolve(dir, '..') === dir) throw new Error('invariant: OCPS does not find its own package.json')
    }
  }
}

function ocpsVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version
}

function xstateVersion(): string {
  return (
    JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('xstate/package.json')), 'utf8')) as { version: string }
  ).version
}
