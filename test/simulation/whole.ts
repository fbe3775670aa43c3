import type { Announcement } from '../../machines/domain/announcements.ts'
import type { Order } from '../../machines/domain/messages.ts'
import { createEngine, type Engine, type Numbered } from '../../src/engine/engine.ts'
import type { Marked } from '../../src/engine/housekeeping.ts'
import type { StepObserver } from '../../src/engine/world.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { type Journal, JournalError } from '../../src/journal/port.ts'
import { silentLog } from '../../src/log.ts'
import { STARTED } from '../harness.ts'
import { rankOf } from './rank.ts'
import { createReplay } from './replay.ts'
import { INSTANCE, type Site, type SiteOptions } from './site.ts'

/**
 * An instance as it is: the engine with its inbox, answers, recovery and timers, over a journal in memory that can be
 * slow, full, cut off in the middle of an append, or taken over by another process. It writes marks after as many
 * entries as the seed draws, so that short nights begin again from them, too. Whoever runs the night lets the promises
 * it waits for resolve after every happening.
 */
export function createWholeSite(options: SiteOptions): Site {
  const { agenda, promises, processes } = options
  const memory = createMemoryJournal()
  const replay = createReplay(INSTANCE, null, promises.broken)
  let n = 0
  let quietN = 0
  let leading: Life | null = null
  /** Lost the journal and does not know yet. */
  let stranded: Life | null = null
  let lastDone = 0
  let slowMs = 0
  let isFull = false
  /** Entries whose delivery the promises have seen. */
  let observedN = 0
  /** Announcements of an earlier life that must be said again. */
  let owed = new Set<string>()
  const marked = drawMarked(options.draw)
  const entryMax = ENTRY_MAX_LEAST * 2 ** Math.floor(options.draw() * ENTRY_MAX_DOUBLINGS)

  return {
    lines: () => memory.lines,
    entries: () => n,
    quietN: () => quietN,
    world: () => leading?.engine?.world ?? null,
    isSettled: () => leading !== null && leading.appending === null,
    slow(ms) {
      slowMs = ms
    },
    fill() {
      isFull = true
    },
    begin(known, after) {
      promises.begins(known)
      owed = new Set(after.map(({ id }) => id))
      for (const effect of replay.takeUndone())
        if (effect.do === 'announce' && isKept(effect.announcement)) owed.add(effect.id)
      const life: Life = { engine: null, appending: null, isFenced: false, isRecovering: true, isNew: true, foldedN: 0 }
      leading = life
      start(life, known).catch((error: unknown) =>
        promises.broken('no fault of its own', `it did not begin: ${String(error)}`),
      )
    },
    kill(how) {
      const life = leading
      if (life === null) return
      leading = null
      life.engine?.stop()
      life.isFenced = true
      const kept = life.appending && (how === 'stored' ? life.appending : partsOf(life.appending))
      if (kept && kept.length > 0) void keep(kept)
      life.appending = null
    },
    supersede() {
      if (leading === null) return
      stranded?.engine?.stop()
      stranded = leading
      stranded.isFenced = true
      leading = null
    },
    command(command, caller) {
      stranded?.engine?.command(command, caller)
      leading?.engine?.command(command, caller)
    },
    input(what, door) {
      stranded?.engine?.input(what, door)
      leading?.engine?.input(what, door)
    },
    turn() {
      for (const life of [leading, stranded])
        life?.engine
          ?.settled()
          .catch((error: unknown) => promises.broken('no fault of its own', `the inbox broke: ${String(error)}`))
      // The memory journal and the inbox wait for nothing but one another: one turn of the event loop lets all of it
      // resolve, and what was put off is done in the next.
      return new Promise(resolve => void setImmediate(() => void setImmediate(resolve)))
    },
    verify() {
      const world = leading?.engine?.world
      if (!world || leading?.appending) return
      for (const id of owed)
        promises.broken('said once', `${id} was not known to have been said, and is not said again`)
      if (promises.isSabotaged()) replay.sabotaged()
      replay.compare(world, promises.touched)
      // Who begins is as the fold of everything from the first entry on, from wherever it began.
      if (leading?.isNew) {
        leading.isNew = false
        replay.compareAll(world)
      }
      promises.check(world)
    },
  }

  /** Of a checkpoint in several messages the first ones may be stored when the process dies; nobody may begin there. */
  function partsOf(entries: readonly Entry[]): readonly Entry[] {
    const first = entries.findIndex(({ what }) => what.type === 'engine.checkpoint')
    const parts = entries.filter(({ what }) => what.type === 'engine.checkpoint').length
    return first === -1 ? [] : entries.slice(0, first + Math.floor(options.draw() * parts))
  }

  async function start(life: Life, known: string | null): Promise<void> {
    const engine = await createEngine({
      instance: INSTANCE,
      journal: journalOf(life),
      clock: agenda,
      log: silentLog,
      started: STARTED,
      lastSaid: known,
      executor: report => {
        const executor = processes.connect(report)
        return {
          start: order => ordered(life, order) && executor.start(order),
          // Stopping what an earlier life began to stop follows from no entry.
          stop: order => (life.isRecovering || ordered(life, order)) && executor.stop(order),
          adopt: order => executor.adopt(order),
          close: () => executor.close(),
        }
      },
      locator: report => {
        const side = options.locator(report)
        return { order: order => void ((life.isRecovering || ordered(life, order)) && side.order(order)) }
      },
      say: said => say(life, said),
      loadConfiguration: options.loadConfiguration,
      unsaid: options.unsaid,
      onOffline: () => {},
      marked,
      onLost: error => {
        if (!life.isFenced) promises.broken('no fault of its own', `the engine gave up: ${error.message}`)
      },
      stepObserver: {
        stepped: (...step) => {
          if (!life.isRecovering || life.foldedN > observedN) promises.stepped(...step)
        },
      } satisfies StepObserver,
    })
    if (life === leading) life.engine = engine
    else engine.stop()
  }

  function journalOf(life: Life): Journal {
    return {
      entryMax: () => entryMax,
      async append(entries) {
        if (life.isRecovering) observedN = n
        life.isRecovering = false
        if (life.isFenced) throw new JournalError('FENCED', 'another orchestrator has taken over')
        for (const { at } of entries) promises.stamped(at)
        if (isFull) {
          isFull = false
          throw new JournalError('FULL', 'no space left')
        }
        // Slow now and then, so that some end in the middle of a checkpoint, or just when it is stored.
        const isCheckpoint = entries.some(({ what }) => what.type === 'engine.checkpoint')
        if (isCheckpoint && slowMs === 0 && options.draw() < CHECKPOINTS_SLOW)
          slowMs = 2 + Math.floor(options.draw() * SLOW_MAX_MS)
        if (isCheckpoint && slowMs > 0 && options.draw() < CHECKPOINTS_FATAL)
          agenda.later(slowMs / 2, () => life.appending === entries && options.die())
        if (slowMs > 0) {
          const ms = slowMs
          slowMs = 0
          life.appending = entries
          await new Promise<void>(resolve => agenda.later(ms, resolve))
          // Its process died meanwhile: nobody hears the answer.
          if (life.appending !== entries) await new Promise<never>(() => {})
          life.appending = null
          if (life.isFenced) throw new JournalError('FENCED', 'another orchestrator has taken over')
        }
        await keep(entries)
        observedN = n
      },
      async *read(from) {
        for await (const entry of memory.read(from)) {
          life.foldedN = entry.n
          yield entry
        }
      },
    }
  }

  async function keep(entries: readonly Entry[]): Promise<void> {
    // The memory journal has them when this call returns, before its promise resolves.
    const appended = memory.append(entries)
    for (const line of memory.lines.slice(-entries.length)) replay.stored(line)
    for (const entry of entries) {
      promises.journaled(entry)
      n = entry.n
      if (entry.what.type === 'engine.quiescent') quietN = n
    }
    await appended
  }

  function say(life: Life, said: Numbered): void {
    const { id, at, announcement } = said
    if (life !== leading) {
      if (id !== '') promises.broken('fenced is silent', `${id} is said by a process that does not lead`)
      return
    }
    const isOwed = owed.delete(id)
    const rank = id === '' ? 0 : rankOf(id)
    if (!isOwed && rank > lastDone) {
      replay.did({ do: 'announce', id, at, announcement })
      lastDone = rank
    }
    options.say(said)
  }

  function ordered(life: Life, order: Order): boolean {
    if (life !== leading) {
      promises.broken(
        'fenced is silent',
        `${order.type} for ${'jobId' in order ? order.jobId : 'the camera'} is ordered by a process that does not lead`,
      )
      return false
    }
    replay.did({ do: 'order', order })
    promises.ordered(order)
    return true
  }
}

/** What is said again where it may not have been heard: events, and the answer to `execute`, which brings the job id along. */
function isKept(announcement: Announcement): boolean {
  return announcement.type === 'event' || (announcement.type === 'ack' && announcement.askedAs !== undefined)
}

interface Life {
  engine: Engine | null
  /** What is in flight to the journal. */
  appending: readonly Entry[] | null
  isFenced: boolean
  isRecovering: boolean
  /** Nobody has compared it with the fold yet. */
  isNew: boolean
  /** How far the journal was folded at the start. */
  foldedN: number
}

// From almost always to hardly ever in a night of 2 000 entries; the engine's own are 1 000, and 20 000 or ten for
// every actor.
const QUIET_AFTER = { least: 20, doublings: 6 }
const CHECKPOINT_AFTER = { least: 60, doublings: 5 }
const ENTRIES_PER_ACTOR_MAX = 3
const CHECKPOINTS_SLOW = 0.4
const CHECKPOINTS_FATAL = 0.3
const SLOW_MAX_MS = 15_000
// From a checkpoint of many parts to one of a single part.
const ENTRY_MAX_LEAST = 32_768
const ENTRY_MAX_DOUBLINGS = 6

function drawMarked(draw: () => number): Marked {
  const drawn = ({ least, doublings }: { least: number; doublings: number }) =>
    Math.floor(least * 2 ** (draw() * doublings))
  return {
    quietAfter: drawn(QUIET_AFTER),
    checkpointAfter: drawn(CHECKPOINT_AFTER),
    entriesPerActor: Math.floor(draw() * (ENTRIES_PER_ACTOR_MAX + 1)),
  }
}
