import type { LoadedConfiguration } from '../../machines/domain/commands.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { overrideOf } from '../../machines/domain/reload.ts'
import type { Input, LocatorAnswer, Order, Quiescent } from '../../machines/domain/messages.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { DataOrder } from '../../machines/ports.ts'
import type { Entry } from '../journal/entry.ts'
import { createAgenda } from './agenda.ts'
import { firingKey, isEnd, type RecordedInput, type History } from './history.ts'
import { createSupposed, type Coming } from './supposed.ts'
import { createTallying, type Tallying } from './tally.ts'
import { createWorld } from '../engine/world.ts'

/**
 * The recorded night once more, under another configuration, on virtual time: commands come when they came, jobs take
 * as long and end as they did, data arrive when they arrived; queue, limits, policies, retries and timers are the new
 * ones. With the recorded configuration it gives the recorded outcomes. What it has to suppose it counts.
 */
export interface WhatIfOptions {
  readonly history: History
  /** What a recorded `start` applies now. */
  readonly reconfigure: (recorded: LoadedConfiguration, configurationOverride: string) => LoadedConfiguration
}

export interface WhatIf {
  readonly tallying: Tallying
  /** Sentences on what was supposed, with how often. */
  readonly supposed: Readonly<Record<string, number>>
  /** Why a start was refused, if one was. */
  readonly problems: readonly string[]
}

type Reported = ExecutorReport | LocatorAnswer

type Happening =
  | { readonly kind: 'asked'; readonly asked: RecordedInput }
  | { readonly kind: 'report'; readonly what: Reported; readonly called: { off: boolean } }
  | { readonly kind: 'timer'; readonly address: string; readonly timer: string }

// The longest time limit or wait there is; what is not over a day after the recording never will be (a queue that stays
// paused).
const AFTERWARDS_MS = 24 * 3_600_000

// At the same moment what was recorded keeps its order, and what was not comes after it: reports first, a job that ends
// in time is in time.
const RANK_REPORT = 1e15
const RANK_TIMER = 2e15

export function whatIf({ history, reconfigure }: WhatIfOptions): WhatIf {
  const world = createWorld({ instance: history.instance })
  const agenda = createAgenda<Happening>()
  const tallying = createTallying()
  const supposed = createSupposed(history)
  const problems = new Set<string>()
  const looking = new Map<string, { off: boolean }>()
  let n = 0
  let now = 0

  if (history.rest !== null) apply(history.rest.at, 'engine', 'engine', atRest(history.rest.what))
  for (const asked of history.asked) agenda.add({ at: asked.at, rank: asked.n, what: { kind: 'asked', asked } })

  for (;;) {
    planTimers()
    const next = agenda.take()
    if (next === undefined || next.at > history.lastAt + AFTERWARDS_MS) break
    happen(next.at, next.what)
  }
  return { tallying, supposed: supposed.counts(), problems: [...problems] }

  /** Timers that are the next to happen; a recorded one fires as late as it did. */
  function planTimers(): void {
    for (;;) {
      const due = world.nextDue()
      const first = agenda.first()
      if (due === undefined || (first !== undefined && first.at < due.due)) return
      world.takeDue()
      const { address, timer } = due
      const fired = history.firings.get(firingKey(address, timer, due.due))
      agenda.add({
        at: fired?.at ?? Math.max(now, due.due),
        rank: fired?.n ?? RANK_TIMER,
        what: { kind: 'timer', address, timer },
      })
    }
  }

  function happen(at: number, what: Happening): void {
    switch (what.kind) {
      case 'asked':
        return apply(at, what.asked.door, what.asked.from, configured(what.asked.what))
      case 'report':
        return what.called.off ? undefined : report(at, what.what)
      case 'timer':
        return apply(at, 'clock', 'clock', { type: 'clock.due', address: what.address, timer: what.timer })
    }
  }

  function report(at: number, what: Reported): void {
    apply(at, 'report', 'executor', what)
    // What it led to is ordered behind those that wait already.
    if ('attempt' in what && isEnd(what)) plan(supposed.ended(what, now))
  }

  function apply(at: number, door: Entry['door'], from: string, what: Input): void {
    now = Math.max(now, at)
    const effects = world.apply({ n: ++n, at: now, door, from, what })
    tallying.take(effects)
    for (const effect of effects) if (effect.do === 'order') carryOut(effect.order)
  }

  function carryOut(order: Order): void {
    switch (order.type) {
      case 'executor.start':
        return plan(supposed.start(order, now))
      case 'executor.stop':
        return plan(supposed.stop(order, now))
      case 'data.look':
        return look(order)
      // What was ingested is in the recording.
      case 'data.follow':
        return undefined
      case 'data.forget': {
        const looked = looking.get(order.jobId)
        if (looked) looked.off = true
      }
    }
  }

  function plan(all: readonly Coming[]): void {
    for (const { afterMs, rank, what, called } of all)
      agenda.add({ at: now + afterMs, rank: rank ?? RANK_REPORT, what: { kind: 'report', what, called } })
  }

  function look(order: Extract<DataOrder, { type: 'data.look' }>): void {
    const called = { off: false }
    looking.set(order.jobId, called)
    for (const { at, rank, type, inputs } of supposed.look(order, now))
      agenda.add({
        at,
        rank: rank ?? RANK_REPORT,
        what: { kind: 'report', what: { type, jobId: order.jobId, ...(inputs && { inputs }) }, called },
      })
  }

  function configured(what: Input): Input {
    if (what.type === 'command.reload')
      return { ...what, loaded: reconfigured(what.loaded, what.loaded.ok ? overrideOf(what.loaded.applied) : '') }
    if (what.type !== 'command.start') return what
    return { ...what, loaded: reconfigured(what.loaded, what.configurationOverride) }
  }

  function reconfigured(recorded: LoadedConfiguration, override: string): LoadedConfiguration {
    const loaded = reconfigure(recorded, override)
    if (!loaded.ok) problems.add(loaded.problem)
    return loaded
  }

  /** A night that begins at rest has its configuration applied already: in the queue, and in groups that linger. */
  function atRest(quiescent: Quiescent): Quiescent {
    const applied = quiescent.actors.flatMap(({ context }) => configurationIn(context) ?? [])[0]
    if (applied === undefined) return quiescent
    const loaded = reconfigured(supposedlyLoaded(applied), '')
    if (!loaded.ok) return quiescent
    return {
      ...quiescent,
      actors: quiescent.actors.map(actor =>
        configurationIn(actor.context) === null
          ? actor
          : { ...actor, context: { ...(actor.context as object), configuration: loaded.configuration } },
      ),
    }
  }
}

function configurationIn(context: unknown): Configuration | null {
  if (typeof context !== 'object' || context === null || !('configuration' in context)) return null
  return context.configuration as Configuration | null
}

/** A quiescent entry holds the configuration without where it came from. */
function supposedlyLoaded(configuration: Configuration): LoadedConfiguration {
  const where = { version: '', url: '', schemaVersion: '' }
  return {
    ok: true,
    configuration,
    applied: { configurations: '', ...where, otherInfo: '' },
    available: { overrides: '', ...where },
  }
}
