import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../../machines/domain/summaryState.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { startEmbeddedServer, type Survives } from '../bus/embedded.ts'
import { sharedCache } from '../bus/server-binary.ts'
import { type Bus, BusError, type BusErrorCode, type LeaseResult } from '../bus/port.ts'
import { createConfigurationSource } from '../config/load.ts'
import { INSTANCE_PATTERN, streams, subjects } from '../contract/subjects.ts'
import { wallClock } from '../engine/clock.ts'
import { openDoor } from '../doors/nats.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { checkTemplate } from '../executor/commandLine.ts'
import { bootId } from '../executor/processes.ts'
import { createSimulatedExecutor } from '../executor/simulated.ts'
import { createSubprocessExecutor } from '../executor/subprocess.ts'
import { createChronicle } from './chronicle.ts'
import { createFeed } from '../sinks/nats/feed.ts'
import { createGate, type Gate } from './gate.ts'
import { newest } from './newest.ts'
import { createPresence } from './presence.ts'
import { createOodsLocator } from '../locators/oods.ts'
import { type Journal, JournalError } from '../journal/port.ts'
import { checkServer, promiseOf } from './serverPromise.ts'
import { takeUpJournal } from './takingUp.ts'
import { shownUrl } from '../bus/serverUrl.ts'
import { connect, justUrl } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { lockWorkDirectory } from './workDirectory.ts'

/**
 * One running instance of OCPS: wires the adapters to the engine, in the order of the path of a command, and takes them apart again. Everything that can be
 * wrong with what it was given is a UserError with a sentence.
 */
export interface ServiceOptions {
  /** The name on the wire, e.g. LATISS. */
  readonly instance: string
  /** An existing server; null starts one of our own on loopback. */
  readonly natsUrl: string | null
  /** How that one is reached where a URL is not enough: keys, certificates, further servers. Its first server is natsUrl. */
  readonly nats?: NatsSettings
  readonly configDir: string
  /** LSST_SITE; '' for none. */
  readonly site: string
  /** Holds the store of an embedded server, the jobs' directories and the compiled launcher. */
  readonly dataDir: string
  /** The state to go to by itself after start, and the override for it. */
  readonly initialState: Exclude<SummaryState, 'FAULT'>
  readonly configurationOverride: string
  readonly simulate: boolean
  /** Where log lines go (logFile.ts), or null for nowhere. Events logMessage are said in any case. */
  readonly logTo: pino.DestinationStream | null
  /** Waits until nobody else is active under this name, for as long as it takes. Needs natsUrl, and the dataDir of the active one to take up its jobs. */
  readonly standby?: boolean
  /** What an accepted command is to survive; of a server that is named: what that one is configured for. Unless given, power where our own server can. */
  readonly survives?: Survives
  /** Use a server older than 2.10 although other machines reach it. */
  readonly allowOldServer?: boolean
  /** Called with who is active, while waiting, whenever that changes. */
  readonly onWaiting?: (active: string) => void
}

export interface Service {
  readonly instance: string
  /** To connect to, credentials included: never shown, logged, written down or given to another process but in its environment. */
  readonly natsUrl: string
  /** How to connect as the instance does. Not to be shown, either. */
  readonly nats: NatsSettings
  /** The URL for people. */
  readonly shownUrl: string
  /** Of a server of our own: what whoever connects must say. */
  readonly token: string | null
  readonly promise: string
  readonly survives: Survives
  readonly serverVersion: string
  readonly workDir: string
  readonly ended: Promise<Ended>
  /** Why it is asked to stop goes into the log. */
  stop(why?: string): Promise<void>
}

/** exitControl; a signal or stop(); another process runs the instance; it cannot go on for a reason of its own, such as a journal that is damaged. */
export interface Ended {
  readonly how: 'offline' | 'stopped' | 'lost' | 'broken'
  /** Empty where it was asked to end. */
  readonly why: string
}

// The server notices within a quarter of a second that a lease ran out: who stands by has taken over three seconds after its holder died or froze.
export const LEASE_MS = 2_000
// How often who waits for the lease asks for it: a handful of small requests.
const LEASE_POLL_MS = 100
// Not at once: a server that restarts would be asked hundreds of times, to no avail.
const STANDBY_AGAIN_MS = 1_000
const INITIAL_STATES: readonly SummaryState[] = ['OFFLINE', 'STANDBY', 'DISABLED', 'ENABLED']
// Jobs and groups of a week can be asked for; older ones are in the archive.
export const EVENTS_KEPT_MS = 7 * 24 * 3_600_000

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
  if (options.standby === true && options.natsUrl === null)
    throw new UserError('to stand by for another process, both need one server: name it with --url or NATS_URL')
  const dataDir = resolve(options.dataDir)
  for (let before: NotNow | null = null; ; ) {
    const undo: (() => Promise<void>)[] = []
    try {
      return await assemble(options, dataDir, undo, before)
    } catch (error) {
      await takeApart(undo)
      if (!(error instanceof NotNow)) throw error
      before = error
    }
    await delay(STANDBY_AGAIN_MS)
  }
}

/** Who stood by could not take over for a reason that will pass: it stands by again. */
class NotNow extends Error {
  readonly isTakeover: boolean
  constructor(why: string, isTakeover: boolean) {
    super(why)
    this.isTakeover = isTakeover
  }
}

const PASSING: ReadonlySet<BusErrorCode> = new Set(['TIMEOUT', 'CLOSED', 'UNREACHABLE', 'FENCED'])

async function assemble(
  options: ServiceOptions,
  dataDir: string,
  undo: (() => Promise<void>)[],
  before: NotNow | null,
): Promise<Service> {
  const { instance } = options
  const workDir = join(dataDir, 'work')
  const cacheDir = join(dataDir, 'cache')
  const presence = createPresence({ instance, clock: wallClock })
  const log = pino(
    { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.multistream([
      { level: 'debug', stream: presence.logStream },
      ...(options.logTo === null ? [] : [{ level: 'info' as const, stream: options.logTo }]),
    ]),
  )

  const server =
    options.natsUrl === null
      ? await startEmbeddedServer({
          storeDir: join(dataDir, 'nats'),
          cacheDir: await sharedCache(cacheDir),
          log,
          ...(options.survives !== undefined && { survives: options.survives }),
        })
      : null
  if (server) undo.push(() => server.stop())
  const natsUrl = server?.url ?? options.natsUrl ?? ''
  const shown = shownUrl(natsUrl)
  const stated = options.survives ?? null
  const nats = (server === null ? options.nats : undefined) ?? justUrl(natsUrl)
  const patience = { log, waitForServer: options.standby === true }
  const bus = await connect({ nats }, `ocps.${instance}`, patience)
  undo.push(() => bus.close())
  const telemetry = await connect({ nats }, `ocps.${instance}.telemetry`, patience)
  undo.push(() => telemetry.close())
  checkServer(bus.server, { stated, allowOld: options.allowOldServer === true, log })
  const promised = () => promiseOf(server, bus.server, stated)

  let executorClose = async () => {}
  let finish = async () => {}
  let tellEnded: (ended: Ended) => void = () => {}
  const ended = new Promise<Ended>(resolve => (tellEnded = resolve))
  let ending: Promise<void> | null = null
  const end = (how: Ended['how'], why = '') => (ending ??= shutDown({ how, why }))
  let silence = () => {}
  let isReady = false
  const lost: { because: BusError | null } = { because: null }
  const lose = (how: 'lost' | 'broken', why: string) => {
    if (ending === null && isReady) log.error({}, `OCPS ${instance} ends here: ${why}`)
    lost.because ??= new BusError(how === 'lost' ? 'FENCED' : 'BROKEN', `OCPS ${instance} ends here: ${why}`)
    silence()
    // Taken apart while it is put together it would break at some other place; it comes to its end, silent, and is taken apart then.
    if (isReady) void end(how, why)
  }
  const yieldName = () => lose('lost', 'another process runs this instance now')

  const taken = await takeLease(bus, options, log, yieldName)
  const { lease } = taken
  const isTakeover = taken.isTakeover || before?.isTakeover === true
  undo.push(() => lease.release())

  try {
    await putTogether()
  } catch (error) {
    const problem = lost.because ?? error
    if (options.standby !== true || !(problem instanceof BusError && PASSING.has(problem.code))) throw problem
    log.warn({}, `OCPS ${instance} stands by again: ${problem.message}`)
    throw new NotNow(problem.message, isTakeover)
  }
  return {
    instance,
    natsUrl,
    nats,
    shownUrl: shown,
    token: server?.token ?? null,
    ...promised(),
    workDir,
    ended,
    stop,
  }

  function stop(why = 'it was asked to'): Promise<void> {
    if (ending === null) log.info({}, `OCPS ${instance} stops: ${why}`)
    return end('stopped')
  }

  async function putTogether(): Promise<void> {
    const { events } = streams(instance)
    const retained = await bus.retained({
      name: events,
      subjects: [subjects(instance).events],
      maxAgeMs: EVENTS_KEPT_MS,
    })
    const { journal, lastN, isOurs, lastSaid, numbersAfter } = await takeUpJournal({
      bus,
      instance,
      retained,
      workDir,
      log,
    })
    const gate = createGate({ lease, isOurs, onLost: yieldName })
    const first = firstWhenSure(journal, gate)
    silence = () => {
      gate.shut()
      first.refuse()
    }
    // Lost while the journal was opened: nobody was there yet to be silenced.
    if (lost.because !== null) throw lost.because
    if (!options.simulate) undo.push(await lockWorkDirectory({ bus, instance, workDir }))
    if (server) await server.sync()
    const feed = createFeed({ bus, telemetry, retained, instance })
    const source = createConfigurationSource({ dir: options.configDir, site: options.site, instance, checkTemplate })

    const chronicle = createChronicle({ instance, log })
    const say: typeof feed.say = said =>
      gate.whenSure(() => {
        feed.say(said)
        chronicle(said)
      })

    const versions = {
      ocps: ocpsVersion(),
      xstate: xstateVersion(),
      node: process.versions.node,
      machines: MACHINES_VERSION,
    }
    undo.push(() => executorClose())
    const engine: Engine = await createEngine({
      instance,
      journal: first.journal,
      clock: { ...wallClock, boot: bootId() === '-' ? null : bootId() },
      log,
      async executor(report) {
        if (options.simulate) return createSimulatedExecutor(report)
        const executor = await createSubprocessExecutor({
          instance,
          workDir,
          cacheDir,
          pipelinesDir: fileURLToPath(new URL('../pipelines', import.meta.url)),
          report,
          log,
          whenActive: act => gate.whenSure(act),
          isJournalNew: lastN === 0,
          // Said in a later turn: the jobs it concerns are reported first.
          unreachable: reason => setImmediate(() => engine.input(unreachable(reason), 'engine')),
        }).catch((error: unknown) => {
          const problem = error instanceof Error ? error.message : String(error)
          throw new UserError(
            `pipelines cannot be started here: ${problem}; see that ${dataDir} can be written and that cc or perl is installed`,
          )
        })
        executorClose = () => executor.close()
        return executor
      },
      locator: report => createOodsLocator({ bus, report, now: () => wallClock.now() }),
      say,
      unsaid: () => (gate.isSure() ? feed.unstored() : null),
      loadConfiguration: override => source.load(override),
      started: {
        type: 'engine.started',
        instance,
        simulationMode: options.simulate ? 1 : 0,
        versions,
        available: source.available(),
        pipelineFiles: source.pipelineFiles(),
        host: hostname(),
        pid: process.pid,
        promise: promised().promise,
      },
      lastSaid,
      numbersAfter,
      onOffline: () => void end('offline'),
      onLost: error => {
        if (error instanceof JournalError && error.code === 'FENCED') yieldName()
        else if (error instanceof JournalError) lose('broken', `its journal cannot be written: ${error.message}`)
        else lose('broken', `it met something that it holds impossible: ${error.message}`)
      },
    })
    undo.push(async () => engine.stop())
    if (lost.because !== null) throw lost.because
    isReady = true
    finish = () => engine.finish().then(() => retained.flushed())
    const door = openDoor({
      bus: speaking(bus, publish => gate.whenSure(publish)),
      retained,
      instance,
      engine,
      say,
      now: () => wallClock.now(),
      log,
      facts: () => ({ natsUrl: shown, ...promised(), workDir, versions, pid: process.pid, host: hostname() }),
    })
    undo.push(() => door.close())
    const stopPresence = presence.begin({
      heartbeats: speaking(bus, newest(gate, 1)),
      lines: speaking(bus, newest(gate, LINES_LATE_MAX)),
      engine,
      source,
    })
    undo.push(async () => stopPresence())
    log.info({ natsUrl: shown, ...promised(), workDir }, `OCPS ${instance} is ready`)
    // Who takes over goes on where the other one was: perhaps someone had put it there.
    if (!isTakeover || lastN === 0) await reach(engine, options)
  }

  async function shutDown(because: Ended): Promise<void> {
    if (because.how === 'offline' || because.how === 'stopped')
      await Promise.race([finish(), delay(FLUSH_MS, undefined, { ref: false })])
    await takeApart(undo)
    tellEnded(because)
  }
}

// The error code the Python OCPS documents for an execution service that is out of reach.
const EXECUTOR_UNREACHABLE = 1

function unreachable(reason: string) {
  return {
    type: 'engine.fault',
    errorCode: EXECUTOR_UNREACHABLE,
    errorReport: `pipelines cannot be started: ${reason}`,
    traceback: '',
  } as const
}

// What is logged in an outage is in the log file; who listens is told its end.
const LINES_LATE_MAX = 100

// A server that does not take the last events within two seconds is gone; they are in the journal and said again at the next start.
const FLUSH_MS = 2_000

async function takeApart(undo: (() => Promise<void>)[]): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one().catch(() => {})
}

/**
 * The first entry of a life fences off whoever wrote before. One that was so slow to begin that its lease may have run out does not write it: it would
 * fence off the one that has taken over meanwhile, and then nobody would be active.
 */
function firstWhenSure(journal: Journal, gate: Gate): { journal: Journal; refuse: () => void } {
  const problem = new JournalError('FENCED', 'Another process has taken over before anything was written.')
  const refused = new AbortController()
  let sure: Promise<void> | null = null
  const whenSure = () =>
    new Promise<void>((resolve, reject) => {
      if (refused.signal.aborted) reject(problem)
      refused.signal.addEventListener('abort', () => reject(problem), { once: true })
      gate.whenSure(resolve)
    })
  return {
    refuse: () => refused.abort(),
    journal: {
      ...journal,
      async append(entries) {
        sure ??= whenSure()
        await sure
        await journal.append(entries)
      },
    },
  }
}

/** A bus that publishes only through `through`; everything else is the bus's own. */
function speaking(bus: Bus, through: (publish: () => void) => unknown): Bus {
  return {
    ...bus,
    get server() {
      return bus.server
    },
    publish: (subject, body, headers) => void through(() => bus.publish(subject, body, headers)),
  }
}

/** Waits out the lease of a holder that died, and refuses if the holder lives; standing by, waits for as long as it takes. */
async function takeLease(
  bus: Bus,
  { instance, standby = false, onWaiting }: ServiceOptions,
  log: pino.Logger,
  onLost: () => void,
): Promise<{ lease: Extract<LeaseResult, { held: true }>; isTakeover: boolean }> {
  const holder = `process ${process.pid} on ${hostname()} since ${new Date().toISOString()}`
  const deadline = performance.now() + LEASE_MS + 1_000
  let active = ''
  let notBefore = 0
  let isFirst = true
  // A server that was away may have forgotten the lease; the active one, which comes back to it at the same moment, goes on if it lives.
  bus.onStatus(status => {
    if (status === 'connected' && !isFirst) notBefore = performance.now() + LEASE_MS
    isFirst = false
  })
  for (;;) {
    const result =
      standby && performance.now() < notBefore
        ? null
        : await bus.lease({ name: streams(instance).lease, holder, ttlMs: LEASE_MS, onLost }).catch(ifAway)
    if (result?.held) {
      if (active !== '') log.info({ before: active }, `OCPS ${instance} takes over from ${active}`)
      return { lease: result, isTakeover: active !== '' }
    }
    if (standby) {
      if (result !== null && result.holder !== active && result.holder !== 'unknown') {
        active = result.holder
        log.info({ active }, `OCPS ${instance} stands by; active is ${active}`)
        onWaiting?.(active)
      }
    } else if (performance.now() > deadline && result !== null)
      throw new UserError(
        `an instance named ${instance} is running already: ${result.holder}; stop it first, or choose another name with --instance`,
      )
    await delay(LEASE_POLL_MS)
  }

  /** Who stands by waits for the server, too. */
  function ifAway(error: unknown): null {
    if (standby && !(error instanceof BusError && error.code === 'CLOSED')) return null
    throw error
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
