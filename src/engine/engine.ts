import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import type { Announcement } from '../../machines/domain/announcements.ts'
import { refused, type Acknowledgement } from '../../machines/domain/announcements.ts'
import type { Caller, Command, LoadedConfiguration } from '../../machines/domain/commands.ts'
import {
  jobAddress,
  type Checkpoint,
  type Input,
  type Order,
  type Quiescent,
  type Said,
} from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { startOrder, type JobContext } from '../../machines/job.ts'
import type { CscContext } from '../../machines/csc.ts'
import { overrideOf } from '../../machines/domain/reload.ts'
import type { Locator, Executor } from '../../machines/ports.ts'
import type { QueueContext } from '../../machines/queue.ts'
import type { Decoded } from '../contract/commands.ts'
import { type Entry, isMark, MARK_FORMAT } from '../journal/entry.ts'
import type { Journal, JournalError } from '../journal/port.ts'
import type { Log } from '../log.ts'
import { createAnswers, fingerprintOf } from './answers.ts'
import { createAssembly, inParts } from './checkpoint.ts'
import type { Clock } from './clock.ts'
import { createInbox } from './inbox.ts'
import { type Before, createTimeline } from './timeline.ts'
import { digestOf } from './digest.ts'
import { isAfter } from './announcementIds.ts'
import { standingOrders, withPath } from './locating.ts'
import { createWorld, type Effect, type Observer, type World } from './world.ts'

/**
 * The engine: what comes in by the inbox is stepped through the world, what follows leaves by the outbox: announcements in order, and orders in order. On start it folds the journal,
 * says again what may not have been heard, and takes up what was running. It decides nothing about telescopes.
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

/** An announcement on its way out: its number is its identity wherever it is heard. */
export interface Numbered {
  /** `<entry>.<place>`; empty for what never was journaled (refusals at the door). */
  readonly id: string
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly announcement: Announcement
}

export interface EngineOptions {
  readonly instance: string
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
  readonly executor: (report: (what: Exclude<Input, Command>) => void) => Executor | Promise<Executor>
  readonly locator: (report: (what: Exclude<Input, Command>) => void) => Locator
  /** Carries announcements away; never waits, never throws. */
  readonly say: (said: Numbered) => void
  readonly loadConfiguration: (configurationOverride: string) => LoadedConfiguration
  /** The first entry of this life of the process. */
  readonly started: Extract<Input, { type: 'engine.started' }>
  /** The id of the last announcement that is known to have been said; null: none. */
  readonly lastSaid: string | null
  /**
   * Numbers up to this one were given out already, although the journal ends before: it is a copy from earlier. Job ids are made of them, so none is
   * given out again; a mark is written first, behind the gap.
   */
  readonly numbersAfter?: number
  /** Events that were said and are not known to be stored where late joiners find them; null: it is not known now. */
  readonly unsaid: () => readonly Numbered[] | null
  /** The CSC went OFFLINE: the process is asked to end. */
  readonly onOffline: () => void
  readonly onLost: (error: JournalError | Error) => void
  readonly observer?: Observer
  /** When marks are written, where nights are short; without it as MARKED says. */
  readonly marked?: Marked
}

/** So many entries after the last mark the next one may be written. */
export interface Marked {
  /** A quiescent entry. */
  readonly quietAfter: number
  /** A checkpoint: after this many, and so many for every actor there is. */
  readonly checkpointAfter: number
  readonly entriesPerActor: number
}

// One line of the journal for so many others; a difference in a replay is still placed to the entry.
const SAID_MAX = 500
// And for so many once no job is open: who records a short session can compare it.
const SAID_AT_REST = 20
// Folding takes some 15 µs an entry: an instance that was quiet lately starts at once, and one that never is quiet within half a second all the same. The
// larger the state, the rarer it is written: about a tenth of what is journaled anyway.
const MARKED: Marked = { quietAfter: 1_000, checkpointAfter: 20_000, entriesPerActor: 10 }
// Writing 2 000 actors down and living on from them keeps the event loop for a quarter of a second, 5 000 for nearly a whole one, and the lease lasts two; an
// instance with more of them starts more slowly instead.
const CHECKPOINT_ACTORS_MAX = 2_000
// What is on its way to the stream at one moment; more means that it stores nothing.
const UNSAID_MAX = 1_000
// A message holds 1 MiB; what needs more than this is written in parts.
const QUIET_SIZE_MAX = 700_000

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { instance, journal, clock, log, say, onLost, onOffline, marked = MARKED } = options
  const world = createWorld({ instance, ...(options.observer && { observer: options.observer }) })
  const answers = createAnswers()
  let unwake = () => {}

  let digests: [n: number, digest: string][] = []
  /** What entries led to whose digest has not been made yet; nobody is to wait for it. */
  let undigested: [n: number, effects: readonly Effect[]][] = []
  /** What lets something else go first. */
  let toSay: Numbered[] = []
  let toOrder: Order[] = []
  let isLaterDue = false
  /** Answers go out in this turn: orders wait for them. */
  let isAnswering = false
  let sinceMark = 0

  const recovered = await recover()
  const timeline = createTimeline(clock, recovered.last)
  const inbox = createInbox({
    journal,
    clock,
    timeline,
    log,
    lastN: recovered.last.n,
    loadConfiguration: options.loadConfiguration,
    reloadConfiguration: () => options.loadConfiguration(overrideApplied()),
    deliver,
    refuse,
    housekeeping,
    onLost,
  })
  const report = (what: Exclude<Input, Command>) => inbox.input(what, 'report')
  const executor = await options.executor(report)
  const locator = options.locator(report)

  for (const said of recovered.unsaid) say(said)
  if (recovered.hasGap) for (const part of checkpoint(recovered.unsaid)) inbox.input(part, 'engine')
  inbox.input(options.started, 'engine')
  takeUp()
  await inbox.settled()

  return {
    world,
    command(command, caller) {
      const met = answers.meet(caller.id, fingerprintOf(command), caller.reply)
      switch (met.as) {
        case 'new':
          return inbox.command(command, caller)
        case 'repeated':
          for (const body of met.acks) say({ id: '', at: clock.now(), announcement: { type: 'ack', caller, body } })
          return
        case 'other':
          return say({
            id: '',
            at: clock.now(),
            announcement: refused(caller, {
              code: 'ID_REUSED',
              reason: `message id ${caller.id} was used before for another command; give every command its own`,
            }),
          })
      }
    },
    input: (what, door) => inbox.input(what, door),
    settled,
    async finish() {
      unwake()
      // First what waits: its digests belong in, too.
      await settled()
      for (const own of digestsSoFar()) inbox.input(own, 'engine')
      await settled()
    },
    stop() {
      unwake()
      toSay = []
      toOrder = []
      inbox.stop()
    },
  }

  /** Folds the journal with its effects held back; what was said after `lastSaid` may never have been heard. */
  async function recover(): Promise<{ last: Pick<Entry, 'n'> & Before; hasGap: boolean; unsaid: Numbered[] }> {
    let last: Pick<Entry, 'n'> & Before = { n: 0, at: 0, anchor: null }
    const unsaid: Numbered[] = []
    const checkpoint = createAssembly()
    let beganAt = 0
    for await (const entry of await fromTheNewestMark()) {
      const { n, at, what } = entry
      beganAt ||= n
      if (entry.door === 'command') recall(what as Command)
      if (what.type === 'engine.quiescent') answers.settleInto(what.answers, at)
      // Only the one that reading begins with knows more than has been seen coming.
      if (what.type === 'engine.checkpoint' && n - what.part + 1 === beganAt) {
        const whole = checkpoint.take(what)
        if (whole) {
          answers.settleInto(whole.answers, at)
          unsaid.push(...whole.unsaid.filter(({ id }) => isAfter(id, options.lastSaid)))
        }
      }
      const effects = world.apply(entry)
      keepBooks(entry, effects)
      for (const effect of effects) {
        if (effect.do !== 'announce') continue
        if (effect.announcement.type === 'ack') answers.note(effect.announcement, effect.at)
        if (isKept(effect.announcement) && isAfter(effect.id, options.lastSaid)) unsaid.push(effect)
      }
      last = { n, at: entry.at, steppedMs: entry.steppedMs, anchor: entry.clock ?? last.anchor }
    }
    const { numbersAfter = 0 } = options
    if (numbersAfter <= last.n) return { last, hasGap: false, unsaid }
    return { last: { ...last, n: numbersAfter }, hasGap: true, unsaid }
  }

  /** From the newest quiescent entry or checkpoint, unless other machines wrote it: what they left may not be what these expect. */
  async function fromTheNewestMark(): Promise<AsyncIterable<Entry>> {
    for await (const { what } of journal.read('quiescent')) {
      return journal.read(isMark(what) && what.machines !== MACHINES_VERSION ? 'start' : 'quiescent')
    }
    return journal.read()
  }

  /** Notes what an entry led to, for the digests in the journal. */
  function keepBooks({ n, what }: Entry, effects: readonly Effect[]): void {
    sinceMark = isMark(what) ? 0 : sinceMark + 1
    if (what.type === 'engine.said') forgetDigests(what.digests.at(-1)?.[0] ?? 0)
    if (effects.length > 0) undigested.push([n, effects])
    if (undigested.length >= SAID_MAX) digestAll()
  }

  function digestAll(): void {
    for (const [n, effects] of undigested) {
      const digest = digestOf(effects)
      if (digest !== null) digests.push([n, digest])
    }
    undigested = []
  }

  /** Up to this entry they are written down. */
  function forgetDigests(until: number): void {
    undigested = undigested.filter(([n]) => n > until)
    digests = digests.filter(([n]) => n > until)
  }

  function housekeeping(): readonly (Said | Quiescent | Checkpoint)[] {
    const unwritten = digests.length + undigested.length
    if (unwritten >= SAID_MAX || (unwritten >= SAID_AT_REST && isAtRest())) return digestsSoFar()
    if (sinceMark < marked.quietAfter) return []
    sayAll()
    const unstored = options.unsaid()
    if (unstored === null) return []
    const quiet = unstored.length === 0 ? quiescent() : null
    const isDue = sinceMark >= Math.max(marked.checkpointAfter, world.size * marked.entriesPerActor)
    if (quiet !== null && JSON.stringify(quiet).length <= QUIET_SIZE_MAX) return [...digestsSoFar(), quiet]
    return quiet !== null || (isDue && world.size <= CHECKPOINT_ACTORS_MAX && unstored.length <= UNSAID_MAX)
      ? [...digestsSoFar(), ...checkpoint(unstored)]
      : []
  }

  function isAtRest(): boolean {
    for (const _ of world.actors('job')) return false
    return true
  }

  function digestsSoFar(): Said[] {
    digestAll()
    return digests.length === 0 ? [] : [{ type: 'engine.said', digests: digests.splice(0) }]
  }

  function quiescent(): Quiescent | null {
    const quiet = world.quiet()
    return (
      quiet && {
        type: 'engine.quiescent',
        machines: MACHINES_VERSION,
        format: MARK_FORMAT,
        ...quiet,
        answers: answers.quiet(),
      }
    )
  }

  function checkpoint(unsaid: readonly Numbered[]): Checkpoint[] {
    return inParts({ ...world.whole(), answers: answers.quiet(), unsaid }, journal.entryMax())
  }

  function recall(command: Command): void {
    const { caller, ...rest } = command
    answers.recall(caller.id, fingerprintOf(withoutStamps(rest)))
  }

  /** What was running or waiting for data when the process ended is put to the executor and the locator again: in the order slots were granted. */
  function takeUp(): void {
    const queue = world.actor('queue')?.snapshot.context as QueueContext | undefined
    const granted = Object.keys(queue?.running ?? {}).flatMap(jobId => world.actor(jobAddress(jobId)) ?? [])
    for (const { snapshot, address } of new Set([...granted, ...world.actors('job')])) {
      const context = snapshot.context as JobContext
      const { jobId, attempt, reportsHeard, pipeline } = context
      if (snapshot.matches('active') || snapshot.matches('stopping')) {
        log.info(
          { jobId, attempt },
          `taking up ${address}, which was ${snapshot.matches('active') ? 'running' : 'being stopped'}`,
        )
        executor.adopt({
          type: 'executor.adopt',
          start: startOrder(context),
          reportsHeard,
          started: !snapshot.matches({ active: 'starting' }),
        })
        if (snapshot.matches('stopping'))
          executor.stop({ type: 'executor.stop', jobId, attempt, graceMs: pipeline.graceMs })
      }
    }
    for (const order of standingOrders(world)) locator.order(order)
  }

  function overrideApplied(): string {
    const csc = world.actor('csc')?.snapshot.context as CscContext | undefined
    return csc?.applied ? overrideOf(csc.applied) : ''
  }

  function deliver(entry: Entry): void {
    let effects: readonly Effect[]
    try {
      effects = world.apply(entry)
    } catch (error) {
      // The last line of defence gave way: the csc itself broke. Nothing that follows could be trusted.
      return onLost(error instanceof Error ? error : new Error(String(error)))
    }
    keepBooks(entry, effects)
    let isAnswer = false
    for (const effect of effects) {
      if (effect.do === 'order') toOrder.push(effect.order)
      else toSay.push(effect)
      isAnswer ||= effect.do === 'announce' && effect.announcement.type === 'ack'
    }
    // Who asked is answered before a process is started, which takes a core for a millisecond; a process is started before anyone else is told anything.
    if (isAnswer || toOrder.length === 0) sayAll()
    else if (!isAnswering) orderAll()
    isAnswering ||= isAnswer
    // After the turn of the event loop in which the bus sends what was said in this one.
    if (!isLaterDue) setImmediate(doLater)
    isLaterDue = true
    arm()
  }

  function doLater(): void {
    isLaterDue = false
    isAnswering = false
    orderAll()
    sayAll()
    setImmediate(digestAll)
  }

  function orderAll(): void {
    const orders = toOrder
    toOrder = []
    for (const order of orders) carryOut(order)
  }

  function sayAll(): void {
    const announcements = toSay
    toSay = []
    for (const said of announcements) leave(said)
  }

  async function settled(): Promise<void> {
    await inbox.settled()
    doLater()
  }

  /** The only door out. */
  function leave(said: Numbered): void {
    say(said)
    const { announcement } = said
    if (announcement.type === 'ack') copy(announcement, said, answers.note(announcement, said.at))
    if (
      announcement.type === 'event' &&
      announcement.topic === 'summaryState' &&
      announcement.body.summaryState === SUMMARY_STATE.OFFLINE
    )
      onOffline()
  }

  function copy(ack: Acknowledgement, said: Numbered, replies: readonly string[]): void {
    for (const reply of replies) say({ ...said, announcement: { ...ack, caller: { ...ack.caller, reply } } })
  }

  function refuse(caller: Caller, refusal: Parameters<typeof refused>[1]): void {
    const ack = refused(caller, refusal)
    const said = { id: '', at: clock.now(), announcement: ack }
    say(said)
    copy(ack, said, answers.forget(caller.id))
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

  /** Wakes for the next deadline; its firing goes through the inbox like everything else. */
  function arm(): void {
    unwake()
    unwake = () => {}
    const next = world.nextDue()
    if (!next) return
    unwake = timeline.wake(next.due, () => {
      for (let due = world.nextDue(); due && due.due <= timeline.elapsed(); due = world.nextDue()) {
        world.takeDue()
        inbox.input({ type: 'clock.due', address: due.address, timer: due.timer }, 'clock')
      }
      arm()
    })
  }
}

/** Whether it leads to an event; the promise to one who asked with `execute` brings job_id along. */
function isKept(announcement: Announcement): boolean {
  return announcement.type === 'event' || (announcement.type === 'ack' && announcement.askedAs !== undefined)
}

/** A journaled command as the decoder made it. */
function withoutStamps(command: Omit<Command, 'caller'>): Decoded {
  const copy: Record<string, unknown> = { ...command }
  if (
    command.type === 'command.processData' ||
    command.type === 'command.closeGroup' ||
    command.type === 'command.retry'
  )
    delete copy['jobId']
  if (command.type === 'command.start' || command.type === 'command.reload') delete copy['loaded']
  return copy as Decoded
}
