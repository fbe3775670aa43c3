import type { Order } from '../../machines/domain/messages.ts'
import { createEngine, type Engine, type Numbered } from '../../src/engine/engine.ts'
import { isAfter, type Observer } from '../../src/engine/world.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { type Journal, JournalError } from '../../src/journal/port.ts'
import { silentLog } from '../../src/log.ts'
import { STARTED } from '../harness.ts'
import { createReplay } from './replay.ts'
import { INSTANCE, type Site, type SiteOptions } from './site.ts'

/**
 * An instance as it is: the engine with its inbox, answers, recovery and timers, over a journal in memory that can be slow, full, cut off in the middle of an append, or taken over
 * by another process. Whoever runs the night lets the promises it waits for resolve after every happening.
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
  let lastDone: string | null = null
  let slowMs = 0
  let isFull = false
  /** Entries whose delivery the promises have seen. */
  let observedN = 0
  /** Announcements of an earlier life that must be said again. */
  let owed = new Set<string>()

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
        if (effect.do === 'announce' && effect.announcement.type === 'event') owed.add(effect.id)
      const life: Life = { engine: null, appending: null, isFenced: false, isRecovering: true, foldedN: 0 }
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
      if (how === 'stored' && life.appending) void keep(life.appending)
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
      // The memory journal and the inbox wait for nothing but one another: one turn of the event loop lets all of it resolve.
      return new Promise(resolve => void setImmediate(resolve))
    },
    verify() {
      const world = leading?.engine?.world
      if (!world || leading?.appending) return
      for (const id of owed)
        promises.broken('said once', `${id} was not known to have been said, and is not said again`)
      replay.compare(world, promises.touched)
      promises.check(world)
    },
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
      dataSide: report => {
        const side = options.dataSide(report)
        return { order: order => void ((life.isRecovering || ordered(life, order)) && side.order(order)) }
      },
      say: said => say(life, said),
      loadConfiguration: options.loadConfiguration,
      unsaid: options.unsaid,
      onOffline: () => {},
      onLost: error => {
        if (!life.isFenced) promises.broken('no fault of its own', `the engine gave up: ${error.message}`)
      },
      observer: {
        stepped: (...step) => {
          if (!life.isRecovering || life.foldedN > observedN) promises.stepped(...step)
        },
      } satisfies Observer,
    })
    if (life === leading) life.engine = engine
    else engine.stop()
  }

  function journalOf(life: Life): Journal {
    return {
      entryMax: () => 1_048_576,
      async append(entries) {
        if (life.isRecovering) observedN = n
        life.isRecovering = false
        if (life.isFenced) throw new JournalError('FENCED', 'another orchestrator has taken over')
        if (isFull) {
          isFull = false
          throw new JournalError('FULL', 'no space left')
        }
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
    if (id !== '' && !isOwed && isAfter(id, lastDone)) {
      replay.did({ do: 'announce', id, at, announcement })
      lastDone = id
    }
    options.say(said)
  }

  function ordered(life: Life, order: Order): boolean {
    if (life !== leading) {
      promises.broken('fenced is silent', `${order.type} for ${order.jobId} is ordered by a process that does not lead`)
      return false
    }
    replay.did({ do: 'order', order })
    promises.ordered(order)
    return true
  }
}

interface Life {
  engine: Engine | null
  /** What is in flight to the journal. */
  appending: readonly Entry[] | null
  isFenced: boolean
  isRecovering: boolean
  /** How far the journal was folded at the start. */
  foldedN: number
}
