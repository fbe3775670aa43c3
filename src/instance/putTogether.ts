import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type pino from 'pino'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../../machines/domain/summaryState.ts'
import type { EmbeddedServer } from '../bus/embedded.ts'
import type { Bus, RetainedOptions } from '../bus/port.ts'
import { shownUrl } from '../bus/serverUrl.ts'
import { createConfigurationSource } from '../config/load.ts'
import { streams, subjects } from '../contract/subjects.ts'
import { wallClock } from '../engine/clock.ts'
import { createDesk, Listeners } from '../engine/desk.ts'
import { createEngine, type Engine, type Numbered } from '../engine/engine.ts'
import { checkTemplate } from '../executor/commandLine.ts'
import { bootId } from '../processes.ts'
import { JournalError } from '../journal/port.ts'
import { createRecords } from '../records/sink.ts'
import { RecordStore } from '../records/store.ts'
import { lastEvent } from '../sinks/nats/lastEvent.ts'
import { announcementsAfter } from './catchUp.ts'
import { createChronicle } from './chronicle.ts'
import { type ChosenParts, openDoors, openExecutor, openLocator, openSinks } from './compose.ts'
import { Delivery } from './delivery.ts'
import type { Metrics } from '../http/metrics.ts'
import type { Ending } from './ending.ts'
import { factsOf, type Health } from './health.ts'
import { type Held, lead } from './leadership.ts'
import { Outlet } from './outlet.ts'
import type { Presence } from './presence.ts'
import type { ServerPromise } from './serverPromise.ts'
import { EVENTS_DAYS, type NatsSettings } from '../settings/schema.ts'
import type { ServiceOptions } from './service.ts'
import { takeUpJournal } from './takingUp.ts'
import { versionsHere } from './versions.ts'
import { lockWorkDirectory } from './workDirectory.ts'

/** What an instance is put together from, before it is known whether it may act. */
export interface Surroundings {
  readonly options: ServiceOptions
  readonly chosen: ChosenParts
  readonly ending: Ending
  readonly log: pino.Logger
  readonly presence: Presence
  readonly workDir: string
  readonly cacheDir: string
  readonly health: Health
  /** null: nobody can ask for them. */
  readonly metrics: Metrics | null
}

export interface Link {
  readonly server: EmbeddedServer | null
  readonly natsUrl: string
  readonly nats: NatsSettings
  readonly bus: Bus
  readonly telemetry: Bus
  readonly promised: () => ServerPromise
}

/** The stream of events: the last of each kind and key, for those who come late. */
export function eventsStream(instance: string, days = EVENTS_DAYS): RetainedOptions {
  return { name: streams(instance).events, subjects: [subjects(instance).events], maxAgeMs: days * DAY_MS }
}

const DAY_MS = 86_400_000

/** In the order of the path of a command, from what comes out to what goes in. */
export async function putTogether(around: Surroundings, link: Link, lease: Held, isTakeover: boolean): Promise<void> {
  const { options, chosen, ending, log, presence, workDir, cacheDir } = around
  const { server, bus, telemetry, promised } = link
  const { instance, observe } = options
  const retained = await bus.retained(eventsStream(instance, options.eventsDays))
  const { journal, lastN, isOurs, numbersAfter } = await takeUpJournal({
    bus,
    instance,
    retained,
    workDir,
    log,
    observe,
  })
  const yieldName = () => ending.lose('lost', 'another process runs this instance now')
  const leadership = lead({ lease, journal, isOurs, onLost: yieldName, observe })
  // Throws where it was lost while the journal was opened.
  ending.silence(() => leadership.end())
  const whenSure = (act: () => void) => leadership.whenSure(act)
  if (!options.simulate) ending.undo(await lockWorkDirectory({ bus, instance, workDir }))
  if (server) await server.sync()

  const sinks = await openSinks(chosen.sinks, { instance, bus, telemetry, retained, lastN, log, observe })
  const records = createRecords(
    RecordStore.open(options.simulate ? null : await recordsFile(workDir, instance), instance),
  )
  ending.undo(() => Promise.resolve(records.close()))
  sinks.push({ name: 'records', sink: records.sink })
  const replay = (after: string) => announcementsAfter({ instance, journal }, after)
  const deliveries = sinks.map(one => new Delivery({ ...one, replay, whenSure, clock: wallClock, log }))
  const outlet = await Outlet.open(deliveries, Math.max(lastN, numbersAfter))
  ending.undo(() => outlet.close())
  const chronicle = createChronicle({ instance, log })
  const listeners = new Listeners()
  const say = (said: Numbered) =>
    whenSure(() => {
      outlet.say(said)
      chronicle(said)
      listeners.pass(said)
    })

  const source = createConfigurationSource({ dir: options.configDir, site: options.site, instance, checkTemplate })
  const versions = versionsHere()
  const engine: Engine = await createEngine({
    instance,
    journal: leadership.journal,
    clock: { ...wallClock, boot: bootId() === '-' ? null : bootId() },
    log,
    observe,
    async executor(report) {
      const executor = await openExecutor(chosen.executors, options.simulate ? 'simulated' : 'local', {
        instance,
        workDir,
        cacheDir,
        report,
        whenActive: whenSure,
        isJournalNew: lastN === 0,
        // Said in a later turn: the jobs it concerns are reported first.
        unreachable: report => setImmediate(() => engine.input(report, 'engine')),
        log,
        observe,
      })
      ending.undo(() => executor.close())
      return executor
    },
    locator: report => openLocator(chosen.locators, { instance, bus, report, now: () => wallClock.now() }),
    say,
    unsaid: () => (leadership.isSure() ? outlet.unconfirmed() : null),
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
    lastSaid: outlet.lastSaid,
    numbersAfter,
    onOffline: () => void ending.end('offline'),
    onLost: error => {
      if (error instanceof JournalError && error.code === 'FENCED') yieldName()
      else if (error instanceof JournalError) ending.lose('broken', `its journal cannot be written: ${error.message}`)
      else ending.lose('broken', `it met something that it holds impossible: ${error.message}`)
    },
  })
  ending.undo(() => engine.stop())
  ending.ready(() => engine.finish().then(() => outlet.flushed()))
  outlet.begin()

  const desk = createDesk({
    instance,
    engine,
    say,
    listeners,
    now: () => wallClock.now(),
    log,
    observe,
    facts: () => ({
      natsUrl: shownUrl(link.natsUrl),
      ...promised(),
      workDir,
      versions,
      pid: process.pid,
      host: hostname(),
    }),
    history: asked => records.history(asked),
    lastEvent: lastEvent(retained, instance),
  })
  await openDoors(chosen.doors, { instance, bus: leadership.speaking(bus), desk, log }, door =>
    ending.undo(() => door.close()),
  )
  ending.undo(
    presence.begin({
      heartbeats: leadership.speakingLate(bus, 1),
      lines: leadership.speakingLate(bus, LINES_LATE_MAX),
      engine,
      source,
      observe,
    }),
  )
  around.metrics?.facts(() => factsOf(engine.world))
  around.health.watch(bus, leadership, engine)
  log.info({ natsUrl: shownUrl(link.natsUrl), ...promised(), workDir }, `OCPS ${instance} is ready`)
  // Who takes over goes on where the other one was: perhaps someone had put it there.
  if (!isTakeover || lastN === 0) await reach(engine, options)
}

async function recordsFile(workDir: string, instance: string): Promise<string> {
  const directory = join(dirname(workDir), 'records')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return join(directory, `${instance}.sqlite`)
}

// What is logged in an outage is in the log file; who listens is told its end.
const LINES_LATE_MAX = 100

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
