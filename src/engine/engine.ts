import type { Caller, Command, LoadedConfiguration } from '../../machines/domain/commands.ts'
import type { Input, Order } from '../../machines/domain/messages.ts'
import { overrideOf } from '../../machines/domain/reload.ts'
import type { CscContext } from '../../machines/csc.ts'
import type { Executor, Locator, Numbered } from '../../machines/ports.ts'
import type { Decoded } from '../contract/commands.ts'
import type { Entry } from '../journal/entry.ts'
import type { Journal, JournalError } from '../journal/port.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'
import { Alarm } from './alarm.ts'
import { createAnswers, fingerprintOf } from './answers.ts'
import type { Clock } from './clock.ts'
import { countingSteps, countingSaid } from './counting.ts'
import { DigestBook } from './digestBook.ts'
import { Housekeeping, type Marked } from './housekeeping.ts'
import { createInbox } from './inbox.ts'
import { withPath } from './locating.ts'
import { Outbox } from './outbox.ts'
import { recover } from './recovery.ts'
import { takeUp } from './takingUp.ts'
import { createTimeline } from './timeline.ts'
import { createWorld, type Effect, type StepObserver, type World } from './world.ts'

/**
 * The engine: what comes in by the inbox is stepped through the world, what follows leaves by the outbox. On start it
 * folds the journal (recovery), says again what may not have been heard, and takes up what was running. It decides
 * nothing about telescopes.
 */
export interface Engine {
  readonly world: World
  /** A command, decoded. Its acknowledgements leave by the outbox like everything else. */
  command(command: Decoded, caller: Caller): void
  input(what: Exclude<Input, Command>, door: 'report' | 'engine'): void
  /** Resolves when everything taken in so far has been delivered. */
  settled(): Promise<void>
  /** Writes down what is left to write. */
  finish(): Promise<void>
  stop(): void
}

export type { Numbered }

export interface EngineOptions {
  readonly instance: string
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
  readonly executor: (report: (what: Exclude<Input, Command>) => void) => Executor | Promise<Executor>
  readonly locator: (report: (what: Exclude<Input, Command>) => void) => Locator | Promise<Locator>
  /** Carries announcements away; never waits, never throws. */
  readonly say: (said: Numbered) => void
  readonly loadConfiguration: (configurationOverride: string) => LoadedConfiguration
  /** The first entry of this life of the process. */
  readonly started: Extract<Input, { type: 'engine.started' }>
  /** The id of the last announcement that is known to have been said; null: none. */
  readonly lastSaid: string | null
  /**
   * Numbers up to this one were given out already, although the journal ends before: it is a copy from earlier. Job ids
   * are made of them, so none is given out again; a mark is written first, behind the gap.
   */
  readonly numbersAfter?: number
  /** Events that were said and are not known to be stored where late joiners find them; null: it is not known now. */
  readonly unsaid: () => readonly Numbered[] | null
  /** The CSC went OFFLINE: the process is asked to end. */
  readonly onOffline: () => void
  readonly onLost: (error: JournalError | Error) => void
  readonly stepObserver?: StepObserver | undefined
  readonly observe?: Observe | undefined
  /** When marks are written, where nights are short. */
  readonly marked?: Marked
}

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { instance, journal, clock, log, onLost, onOffline, marked, observe } = options
  const observer = observe ? countingSteps(observe, options.stepObserver) : options.stepObserver
  const world = createWorld({ instance, ...(observer && { observer }) })
  const answers = createAnswers()
  const say = observe ? countingSaid(observe, options.say) : options.say
  const digests = new DigestBook()
  const outbox = new Outbox({ answers, clock, say, carryOut, onOffline, onIdle: digests.makeAll, observe })
  const housekeeping = new Housekeeping({
    world,
    answers,
    digests,
    entryMax: () => journal.entryMax(),
    unsaid: options.unsaid,
    sayAll: () => outbox.sayAll(),
    ...(marked && { marked }),
  })

  const recovered = await recover({
    journal,
    world,
    answers,
    note: (entry, effects) => housekeeping.note(entry, effects),
    lastSaid: options.lastSaid,
    numbersAfter: options.numbersAfter,
  })
  const timeline = createTimeline(clock, recovered.last)
  const inbox = createInbox({
    journal,
    clock,
    timeline,
    log,
    lastN: recovered.last.n,
    loadConfiguration: options.loadConfiguration,
    reloadConfiguration: () => options.loadConfiguration(overrideApplied(world)),
    deliver,
    refuse: (caller, refusal) => outbox.refuse(caller, refusal),
    housekeeping: () => housekeeping.due(),
    onLost,
    observe,
  })
  const alarm = new Alarm(world, timeline, ({ address, timer }) =>
    inbox.input({ type: 'clock.due', address, timer }, 'clock'),
  )
  const report = (what: Exclude<Input, Command>) => inbox.input(what, 'report')
  const executor = await options.executor(report)
  const locator = await options.locator(report)

  for (const said of recovered.unsaid) say(said)
  if (recovered.hasGap) for (const part of housekeeping.checkpoint(recovered.unsaid)) inbox.input(part, 'engine')
  inbox.input(options.started, 'engine')
  takeUp({ world, executor, locator, log })
  await inbox.settled()

  return {
    world,
    command(command, caller) {
      const met = answers.meet(caller.id, fingerprintOf(command), caller.reply)
      switch (met.as) {
        case 'new':
          return inbox.command(command, caller)
        case 'repeated':
          return outbox.repeat(caller, met.acks)
        case 'other':
          return outbox.refuseReused(caller)
      }
    },
    input: (what, door) => inbox.input(what, door),
    settled,
    async finish() {
      alarm.off()
      // First what waits: its digests belong in, too.
      await settled()
      for (const own of digests.take()) inbox.input(own, 'engine')
      await settled()
    },
    stop() {
      alarm.off()
      outbox.stop()
      inbox.stop()
    },
  }

  function deliver(entry: Entry): void {
    const began = observe ? performance.now() : 0
    let effects: readonly Effect[]
    try {
      effects = world.apply(entry)
    } catch (error) {
      // The last line of defence gave way: the csc itself broke. Nothing that follows could be trusted.
      return onLost(error instanceof Error ? error : new Error(String(error)))
    }
    housekeeping.note(entry, effects)
    outbox.take(effects)
    alarm.set()
    observe?.('turnMs', performance.now() - began)
  }

  async function settled(): Promise<void> {
    await inbox.settled()
    outbox.flush()
  }

  function carryOut(order: Order): void {
    switch (order.type) {
      case 'executor.start':
        return executor.start(order)
      case 'executor.stop':
        return executor.stop(order)
      case 'data.look':
      case 'data.forget':
      case 'data.follow':
        return locator.order(withPath(world, order))
    }
  }
}

/** The override that `start` named, which a reload reads again. */
function overrideApplied(world: World): string {
  const csc = world.actor('csc')?.snapshot.context as CscContext | undefined
  return csc?.applied ? overrideOf(csc.applied) : ''
}
