import { ACK, type AckBody, type Event } from '../machines/domain/announcements.ts'
import type { LoadedConfiguration } from '../machines/domain/commands.ts'
import type { Configuration } from '../machines/domain/configuration.ts'
import type { Order } from '../machines/domain/messages.ts'
import type { Metric } from '../machines/domain/reports.ts'
import { machines } from '../machines/index.ts'
import type { JobContext } from '../machines/jobContext.ts'
import type { AdoptOrder } from '../machines/ports.ts'
import { decodeCommand } from '../src/contract/decode.ts'
import { createSteppedClock, type SteppedClock } from '../src/engine/clock.ts'
import { createEngine, type Engine, type Numbered } from '../src/engine/engine.ts'
import type { Marked } from '../src/engine/housekeeping.ts'
import type { Observe } from '../src/observer.ts'
import type { StepObserver } from '../src/engine/world.ts'
import type { Entry } from '../src/journal/entry.ts'
import { createMemoryJournal, type MemoryJournal } from '../src/journal/memory.ts'
import { silentLog } from '../src/log.ts'
import { NIGHTFALL, type Report, STARTED, aConfiguration, dotted, exit, loaded, noteStep } from './harness.ts'

/** A whole instance in memory, with a stepped clock: nothing here waits for real time or starts a process. */

export interface NightOptions {
  readonly configuration?: Configuration
  /** By the name given to start; any other name is refused. */
  readonly overrides?: Readonly<Record<string, LoadedConfiguration>>
  /** A journal that holds something already. */
  readonly journal?: MemoryJournal
  readonly clock?: SteppedClock
  /** When marks are written; as an instance does it unless given. */
  readonly marked?: Marked
  readonly lastSaid?: string | null
  readonly observer?: StepObserver
  readonly observe?: Observe
  /** What the feed does not know to be stored; nothing unless given. */
  readonly unsaid?: () => readonly Numbered[]
  /** Called with every order as it is given, to answer it at once or later; orders are recorded either way. */
  readonly onOrder?: (order: Order, report: (what: Report) => void) => void
}

type Bodies = { [E in Event as E['topic']]: E['body'] }

export interface Night {
  readonly clock: SteppedClock
  readonly journal: MemoryJournal
  engine(): Engine
  /**
   * A command as it comes off the wire. Resolves, when everything it led to is delivered, with its newest
   * acknowledgement.
   */
  command(name: string, body?: object, who?: Who): Promise<AckBody | undefined>
  /** The same without waiting: for a journal that keeps its writer waiting. */
  send(name: string, body?: object, who?: Who): string
  /** start and enable. */
  enable(): Promise<void>
  /** One word of the executor or the locator. */
  report(what: Report): Promise<void>
  started(jobId: string): Promise<void>
  exited(jobId: string, how?: Parameters<typeof exit>[2]): Promise<void>
  /** started and exited 0. */
  succeeds(jobId: string): Promise<void>
  metric(jobId: string, metric: string, value: Metric['value'], unit?: string): Promise<void>
  /** Time passes; every timer fires at its own moment. */
  advance(ms: number): Promise<void>
  /** Everything taken in so far is delivered. */
  settled(): Promise<void>
  /** All that was said in this and earlier lives, in order. */
  readonly said: Numbered[]
  /** Orders of this life. */
  orders(): readonly Order[]
  adopted(): readonly AdoptOrder[]
  lost(): readonly Error[]
  wentOffline(): boolean
  acks(id: string): AckBody[]
  events<T extends keyof Bodies>(topic: T, key?: string): Bodies[T][]
  entries(): Entry[]
  state(address: string): string | undefined
  /**
   * The process dies and another begins over the same journal. lastSaid: what is known to have been said; all of it
   * unless given. numbersAfter: entries up to there were given out, though the journal may end before.
   */
  restart(options?: { lastSaid?: string | null; numbersAfter?: number }): Promise<void>
}

export interface Who {
  readonly id?: string
  readonly identity?: string
  readonly reply?: string | null
}

export async function createNight(options: NightOptions = {}): Promise<Night> {
  const { configuration = aConfiguration(), overrides = {}, clock = createSteppedClock(NIGHTFALL) } = options
  const journal = options.journal ?? createMemoryJournal()
  const said: Numbered[] = []
  let orders: Order[] = []
  let adopted: AdoptOrder[] = []
  let lost: Error[] = []
  let offline = false
  // Over an earlier journal the ids of its commands are taken.
  let serial = journal.lines.length
  let engine = await begins(options.lastSaid ?? null)

  const night: Night = {
    clock,
    journal,
    said,
    engine: () => engine,
    async command(name, body, who) {
      const id = night.send(name, body, who)
      await night.settled()
      return night.acks(id).at(-1)
    },
    send(name, body = {}, { id = `m${++serial}`, identity = 'script', reply = `_INBOX.${id}` } = {}) {
      const decoded = decodeCommand(name, new TextEncoder().encode(JSON.stringify(body)), 'LATISS')
      if (!decoded.ok) throw new Error(`${decoded.refusal.code}: ${decoded.refusal.reason}`)
      engine.command(decoded.command, { identity, id, reply })
      return id
    },
    async enable() {
      for (const name of ['start', 'enable']) {
        const ack = await night.command(name)
        if (ack?.ack !== ACK.COMPLETE) throw new Error(`${name} was answered ${JSON.stringify(ack)}`)
      }
    },
    async report(what) {
      engine.input(what, 'report')
      await night.settled()
    },
    started: jobId => night.report({ type: 'executor.started', jobId, attempt: attemptOf(jobId), pid: 1_000 }),
    exited: (jobId, how = { exitCode: 0 }) => night.report(exit(jobId, attemptOf(jobId), how)),
    async succeeds(jobId) {
      await night.started(jobId)
      await night.exited(jobId)
    },
    metric: (jobId, metric, value, unit = '') =>
      night.report({ type: 'executor.metric', jobId, attempt: attemptOf(jobId), metric, value, unit }),
    async advance(ms) {
      const goal = clock.elapsed() + ms
      for (;;) {
        await night.settled()
        const wake = clock.nextWake()
        if (wake === null || wake > goal) break
        clock.advance(Math.max(0, wake - clock.elapsed()))
      }
      clock.advance(goal - clock.elapsed())
      await night.settled()
    },
    settled: () => engine.settled(),
    orders: () => orders,
    adopted: () => adopted,
    lost: () => lost,
    wentOffline: () => offline,
    acks: id =>
      said.flatMap(({ announcement }) =>
        announcement.type === 'ack' && announcement.caller.id === id ? [announcement.body] : [],
      ),
    events: <T extends keyof Bodies>(topic: T, key?: string) =>
      said.flatMap(({ announcement }) =>
        announcement.type === 'event' && announcement.topic === topic && (key === undefined || announcement.key === key)
          ? [announcement.body as Bodies[T]]
          : [],
      ),
    entries: () => journal.lines.map(line => JSON.parse(line) as Entry),
    state: address => {
      const actor = engine.world.actor(address)
      return actor && dotted(actor.snapshot.value)
    },
    async restart({ lastSaid = lastEventId(), numbersAfter = 0 } = {}) {
      engine.stop()
      orders = []
      adopted = []
      lost = []
      offline = false
      engine = await begins(lastSaid, numbersAfter)
    },
  }
  return night

  function begins(lastSaid: string | null, numbersAfter = 0): Promise<Engine> {
    return createEngine({
      instance: 'LATISS',
      journal,
      clock,
      ...(options.marked && { marked: options.marked }),
      log: silentLog,
      started: STARTED,
      lastSaid,
      numbersAfter,
      executor: report => {
        const take = (order: Order) => {
          orders.push(order)
          options.onOrder?.(order, report)
        }
        return { start: take, stop: take, adopt: order => void adopted.push(order), close: () => Promise.resolve() }
      },
      locator: report => ({
        order: order => {
          orders.push(order)
          options.onOrder?.(order, report)
        },
      }),
      say: one => void said.push(one),
      loadConfiguration: name =>
        name === ''
          ? loaded(configuration)
          : (overrides[name] ?? { ok: false, problem: `there is no ${name} in /config; there are no overrides` }),
      unsaid: options.unsaid ?? (() => []),
      onOffline: () => {
        offline = true
      },
      onLost: error => void lost.push(error),
      observe: options.observe,
      stepObserver: {
        stepped(actor, event, before, emissions) {
          if (before) noteStep(machines[actor.kind], before, event)
          options.observer?.stepped(actor, event, before, emissions)
        },
      },
    })
  }

  function attemptOf(jobId: string): number {
    const context = engine.world.actor(`job.${jobId}`)?.snapshot.context as JobContext | undefined
    return context?.attempt ?? 1
  }

  function lastEventId(): string | null {
    return said.findLast(({ id, announcement }) => id !== '' && announcement.type === 'event')?.id ?? null
  }
}
