import type { Caller, Command } from '../../machines/domain/commands.ts'
import { dayObs } from '../../machines/domain/dataId.ts'
import type { Checkpoint, Input } from '../../machines/domain/messages.ts'
import type { CscContext } from '../../machines/csc.ts'
import { overrideOf } from '../../machines/domain/reload.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { startOrder } from '../../machines/jobAttempt.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { Executor, Locator } from '../../machines/ports.ts'
import type { Decoded } from '../../src/contract/commands.ts'
import { createAnswers, fingerprintOf } from '../../src/engine/answers.ts'
import { standingOrders } from '../../src/engine/locating.ts'
import { inParts } from '../../src/engine/checkpoint.ts'
import { createWorld, type Effect, type StepObserver, type World } from '../../src/engine/world.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { createTimeline, type Before } from '../../src/engine/timeline.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createLineReader, toLine } from '../../src/journal/lines.ts'
import { refused } from '../../machines/domain/announcements.ts'
import { STARTED } from '../harness.ts'
import { isIn } from './isIn.ts'
import { createReplay, difference } from './replay.ts'
import { INSTANCE, type Site, type SiteOptions } from './site.ts'

/**
 * An instance stepped synchronously: the real world, the real answers, and the inbox's stamping without its waiting. It
 * stands for the engine where speed matters; whole.ts runs the engine itself. A second world follows the journal in
 * lockstep and takes over when this one is killed.
 */
export function createDirectSite(options: SiteOptions): Site {
  const { agenda, promises, processes } = options
  const journal: Entry[] = []
  /** The journal as it is stored, as far as somebody has asked for it. */
  const written: string[] = []
  const answers = createAnswers()
  let gates: [live: Gate, shadow: Gate] = [gate(promises), gate(promises)]
  let live: World = createWorld({ instance: INSTANCE, observer: gates[0] })
  const replay = options.isInLockstep ? createReplay(INSTANCE, gates[1], promises.broken) : null
  gates[0].isOpen = true

  let isUp = false
  let n = 0
  let last: Before = { at: 0, anchor: null }
  let timeline = createTimeline(agenda, last)
  let waiting: Waiting[] = []
  let appending: Entry[] | null = null
  let slowMs = 0
  let sinceMark = 0
  let quietN = 0
  let executor: Executor | null = null
  let locator: Locator | null = null
  let unwake = () => {}
  let armedFor = -1
  let life = 0
  let isDraining = false
  let isMissingTimers = false
  /** What a process that died had to say of entries it had stored. */
  let undone: Numbered[] = []

  const site: Site = {
    lines() {
      for (const entry of journal.slice(written.length)) written.push(toLine(entry))
      return written
    },
    entries: () => n,
    quietN: () => quietN,
    turn: () => null,
    verify() {},
    world: () => (isUp ? live : null),
    isSettled: () => appending === null && waiting.length === 0,
    slow(ms) {
      slowMs = ms
    },
    fill() {},
    supersede() {},
    begin(known, after) {
      isUp = true
      life += 1
      timeline = createTimeline(agenda, last)
      if (life > 1) rise()
      const report = (mine: number) => (what: Exclude<Input, Command>) => {
        if (mine === life && isUp) site.input(what, 'report')
      }
      executor = processes.connect(report(life))
      locator = options.locator(report(life))
      promises.begins(known)
      for (const said of [...after, ...undone]) options.say(said)
      undone = []
      site.input(STARTED, 'engine')
      takeUp()
    },
    kill(how) {
      if (how === 'stored' && appending)
        store(appending, effect => {
          if (effect.do === 'announce' && effect.announcement.type === 'event') undone.push(effect)
        })
      if (how === 'cut' && appending) keepSomeParts(appending)
      const dropped = [...waiting, ...(how === 'cut' ? (appending ?? []) : [])]
      isMissingTimers ||= dropped.some(({ door }) => door === 'clock')
      for (const one of waiting) if (one.caller) answers.forget(one.caller.id)
      if (how === 'cut') for (const { what } of appending ?? []) if ('caller' in what) answers.forget(what.caller.id)
      appending = null
      waiting = []
      isUp = false
      unwake()
      armedFor = -1
    },
    command(command, caller) {
      if (!isUp) return
      const met = answers.meet(caller.id, fingerprint(command), caller.reply)
      if (met.as === 'new') return take({ door: 'command', from: caller.identity, command, caller })
      if (met.as === 'repeated')
        for (const body of met.acks)
          options.say({ id: '', at: agenda.now(), announcement: { type: 'ack', caller, body } })
      else
        options.say({
          id: '',
          at: agenda.now(),
          announcement: refused(caller, { code: 'ID_REUSED', reason: `${caller.id} was used before` }),
        })
    },
    input: (what, door) => take({ door, from: door === 'report' ? 'executor' : door, what, caller: null }),
  }
  return site

  /**
   * Another process. In lockstep, the world that followed the journal line by line takes over, which is a fold.
   * Otherwise the world that lived goes on, because nights in lockstep show that it is the same; some recoveries fold
   * the journal anew all the same.
   */
  function rise(): void {
    // A timer that was taken off to fire and never did is off for good in the world that died.
    const isFolded = isMissingTimers || options.draw() < FOLDED_ANEW
    const from = !isMissingTimers && options.draw() < 0.5 ? 'mark' : 'start'
    const dead = gates[0]
    isMissingTimers = false
    if (replay) {
      live = replay.swap(live)
      gates = [gates[1], dead]
    }
    if (isFolded) {
      const fresh = gate(promises)
      const folded = foldAnew(site.lines(), from, fresh)
      const different = difference(folded, live)
      if (different !== null)
        promises.broken('replay is the same', `folded anew at entry ${n} from ${from}: ${different}`)
      if (replay) replay.swap(folded)
      else live = folded
      gates = replay ? [gates[0], fresh] : [fresh, gates[1]]
    }
    gates[0].isOpen = true
    gates[1].isOpen = false
  }

  function take(one: Waiting): void {
    if (!isUp) return
    waiting.push(one)
    drain()
  }

  function drain(): void {
    if (isDraining || appending) return
    isDraining = true
    while (waiting.length > 0 && !appending) {
      const batch = waiting
      waiting = []
      const entries = batch.map((one, index) => stamp(one, n + 1 + index))
      if (slowMs > 0) {
        const mine = life
        appending = entries
        agenda.later(slowMs, () => {
          if (mine !== life || !isUp || appending !== entries) return
          appending = null
          deliver(entries)
          isDraining = false
          drain()
        })
        slowMs = 0
      } else deliver(entries)
      if (waiting.length === 0 && !appending) housekeep()
    }
    isDraining = false
  }

  function stamp(one: Waiting, number: number): Entry {
    const times = timeline.stamp()
    promises.stamped(times.at)
    const what = 'what' in one ? one.what : complete(one.command, one.caller, number, times.at)
    return { n: number, ...times, door: one.door, from: one.from, what }
  }

  function complete(command: Decoded, caller: Caller, number: number, now: number): Command {
    if (command.type === 'command.start')
      return { ...command, caller, loaded: options.loadConfiguration(command.configurationOverride) }
    if (command.type === 'command.reload')
      return { ...command, caller, loaded: options.loadConfiguration(overrideApplied(live)) }
    const jobId = `${dayObs(now)}-${String(number).padStart(6, '0')}`
    switch (command.type) {
      case 'command.processData':
      case 'command.closeGroup':
      case 'command.retry':
        // What is spread comes last, as in world.ts.
        return { caller, jobId, ...command }
      case 'command.enable':
      case 'command.disable':
      case 'command.standby':
      case 'command.exitControl':
      case 'command.setLogLevel':
      case 'command.abortJob':
      case 'command.pause':
      case 'command.resume':
        return { caller, ...command }
    }
  }

  function deliver(entries: readonly Entry[]): void {
    // What the locator answers at once waits its turn.
    isDraining = true
    store(entries, effect => {
      if (effect.do === 'announce') options.say(effect)
      else {
        const { order } = effect
        promises.ordered(order)
        if (order.type === 'executor.start') executor?.start(order)
        else if (order.type === 'executor.stop') executor?.stop(order)
        else locator?.order(order)
      }
    })
  }

  /** Writes down and steps; what follows is carried out, or not by a process that is gone. */
  function store(entries: readonly Entry[], carryOut: (effect: Effect) => void): void {
    for (const entry of entries) {
      journal.push(entry)
      n = entry.n
      last = { at: entry.at, steppedMs: entry.steppedMs, anchor: timeline.anchor }
      sinceMark += 1
      if (entry.what.type === 'engine.quiescent') quietN = n
      promises.journaled(entry)
      if (replay) {
        const line = toLine(entry)
        // In lockstep every line is asked for, so that none is missing before it.
        written.push(line)
        replay.stored(line)
      }
      for (const effect of live.apply(entry)) {
        replay?.did(effect)
        if (effect.do === 'announce' && effect.announcement.type === 'ack') answers.note(effect.announcement, effect.at)
        carryOut(effect)
      }
      if (promises.isSabotaged()) replay?.sabotaged()
      replay?.compare(live, promises.touched)
      promises.check(live)
    }
    arm()
  }

  /**
   * Without what was answered: here the answers live on, and most of what a mark holds would be written and read for
   * nobody. whole.ts recovers them.
   */
  function housekeep(): void {
    if (sinceMark < QUIET_AFTER) return
    const quiet = live.quiet()
    if (quiet !== null) {
      sinceMark = 0
      return take(note({ type: 'engine.quiescent', machines: MACHINES_VERSION, ...quiet, answers: [] }))
    }
    if (sinceMark < CHECKPOINT_AFTER) return
    sinceMark = 0
    // Slow now and then, so that some end in the middle of it.
    if (slowMs === 0 && options.draw() < CHECKPOINTS_SLOW) slowMs = 1 + Math.floor(options.draw() * SLOW_MAX_MS)
    // Before all that waits, so that it still is true when it is delivered.
    waiting.unshift(...inParts({ ...live.whole(), answers: [], unsaid: [] }, PART_MAX).map(note))
  }

  /** Of a checkpoint in several messages the first ones may be stored when the process dies; nobody may begin there. */
  function keepSomeParts(entries: readonly Entry[]): void {
    if (entries[0]?.what.type !== 'engine.checkpoint') return
    const kept = Math.floor(options.draw() * entries.length)
    store(entries.slice(0, kept), () => {})
  }

  function arm(): void {
    const due = live.nextDue()?.due ?? -1
    if (due === armedFor) return
    armedFor = due
    unwake()
    if (due === -1 || !isUp) return
    unwake = timeline.wake(due, () => {
      armedFor = -1
      for (let timer = live.nextDue(); timer && timer.due <= timeline.elapsed(); timer = live.nextDue()) {
        live.takeDue()
        const what = { type: 'clock.due', address: timer.address, timer: timer.timer } as const
        waiting.push({ door: 'clock', from: 'clock', what, caller: null })
      }
      drain()
      arm()
    })
  }

  function takeUp(): void {
    for (const { snapshot } of live.actors('job')) {
      const context = snapshot.context as JobContext
      const { jobId, attempt, reportsHeard, pipeline } = context
      const isStopping = isIn(snapshot, 'stopping')
      if (isStopping || isIn(snapshot, 'active')) {
        const started = !isIn(snapshot, 'active.starting')
        executor?.adopt({ type: 'executor.adopt', start: startOrder(context), reportsHeard, started })
        if (isStopping) executor?.stop({ type: 'executor.stop', jobId, attempt, graceMs: pipeline.graceMs })
      }
    }
    for (const order of standingOrders(live)) locator?.order(order)
    arm()
  }
}

// Small, so that a night of 2 000 entries is quiet some times and written down whole some times; the engine's own are 1
// 000 and 20 000.
const QUIET_AFTER = 150
const CHECKPOINT_AFTER = 250
// Small, so that it has several parts.
const PART_MAX = 60_000
const CHECKPOINTS_SLOW = 0.4
const SLOW_MAX_MS = 15_000
// Of the recoveries, how many fold the journal anew; the others go on with the world that followed it line by line,
// which is the same fold.
const FOLDED_ANEW = 0.05

type Waiting =
  | { readonly door: 'command'; readonly from: string; readonly command: Decoded; readonly caller: Caller }
  | {
      readonly door: 'report' | 'engine' | 'clock'
      readonly from: string
      readonly what: Exclude<Input, Command>
      readonly caller: null
    }

const fingerprints = new WeakMap<Decoded, string>()

/** The same message comes many times, in many nights. */
function fingerprint(command: Decoded): string {
  const known = fingerprints.get(command)
  if (known !== undefined) return known
  const fresh = fingerprintOf(command)
  fingerprints.set(command, fresh)
  return fresh
}

interface Gate extends StepObserver {
  isOpen: boolean
}

/** As the engine finds it. */
function overrideApplied(world: World): string {
  const csc = world.actor('csc')?.snapshot.context as CscContext | undefined
  return csc?.applied ? overrideOf(csc.applied) : ''
}

/** Lets through what the world that leads does; the other one's steps are its echo. */
function gate(observer: StepObserver): Gate {
  const self: Gate = {
    isOpen: false,
    stepped(actor, event, before, emissions) {
      if (self.isOpen) observer.stepped(actor, event, before, emissions)
    },
  }
  return self
}

/** A world folded from the journal's lines, from the first or from the newest quiescent entry or whole checkpoint. */
export function foldAnew(lines: readonly string[], from: 'start' | 'mark', observer?: StepObserver): World {
  const world = createWorld({ instance: INSTANCE, ...(observer && { observer }) })
  const first = from === 'start' ? 0 : Math.max(0, newestMark(lines))
  const reader = createLineReader()
  for (const line of lines.slice(first)) world.apply(reader.read(line, 'The journal of the simulation'))
  return world
}

function newestMark(lines: readonly string[]): number {
  for (let at = lines.length - 1; at >= 0; at--) {
    const line = lines[at] ?? ''
    if (line.includes(QUIESCENT)) return at
    if (!line.includes(CHECKPOINT)) continue
    const { what } = JSON.parse(line) as { what: Checkpoint }
    if (what.part === what.of) return at - what.of + 1
  }
  return -1
}

const QUIESCENT = '"what":{"type":"engine.quiescent"'
const CHECKPOINT = '"what":{"type":"engine.checkpoint"'

function note(what: Exclude<Input, Command>): Waiting {
  return { door: 'engine', from: 'engine', what, caller: null }
}
