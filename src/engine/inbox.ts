import type { Caller, Command, LoadedConfiguration } from '../../machines/domain/commands.ts'
import { dayObs } from '../../machines/domain/dataId.ts'
import type { Input } from '../../machines/domain/messages.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import type { Decoded } from '../contract/commands.ts'
import { type Entry, isMark } from '../journal/entry.ts'
import { JournalError, type Journal } from '../journal/port.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'
import type { Clock } from './clock.ts'
import type { Timeline } from './timeline.ts'

/**
 * The only door in: everything is stamped, written down, and only then delivered. While one append is in flight the
 * next entries wait and go out together (group commit). When the journal has no space, commands are refused and reports
 * wait until it has.
 */
export interface Inbox {
  command(command: Decoded, caller: Caller): void
  input(what: Exclude<Input, Command>, door: 'report' | 'clock' | 'engine'): void
  /** Resolves when everything taken in so far is delivered or refused. */
  settled(): Promise<void>
  /** Takes nothing more in; what is waiting is dropped. */
  stop(): void
}

export interface InboxOptions {
  readonly journal: Journal
  readonly clock: Clock
  readonly timeline: Timeline
  readonly log: Log
  /** Where numbering goes on: the last entry of the journal, or 0. */
  readonly lastN: number
  readonly loadConfiguration: (configurationOverride: string) => LoadedConfiguration
  /** The same under the override that is applied. */
  readonly reloadConfiguration: () => LoadedConfiguration
  readonly deliver: (entry: Entry) => void
  readonly refuse: (caller: Caller, refusal: Refusal) => void
  /**
   * What the engine itself has to write down, asked after every batch. It goes before all that waits, so it still is
   * true when it is delivered.
   */
  readonly housekeeping: () => readonly Exclude<Input, Command>[]
  /**
   * The journal is lost to this process: another orchestrator has taken over, or it cannot be written for a reason that
   * will not pass.
   */
  readonly onLost: (error: JournalError) => void
  readonly observe?: Observe | undefined
}

// 189 detectors asked for one by one by three scripts are under a thousand; ten times that is a runaway client.
const COMMANDS_MAX = 10_000
// One append; at some 50 µs to deliver each, a batch keeps the event loop for about 10 ms at most.
const BATCH_MAX = 200
// Space comes back when someone deletes files; asking once a second costs nothing.
const FULL_RETRY_MS = 1_000

type Waiting =
  | { readonly kind: 'command'; readonly command: Decoded; readonly caller: Caller }
  | { readonly kind: 'input'; readonly what: Exclude<Input, Command>; readonly door: 'report' | 'clock' | 'engine' }

export function createInbox({
  journal,
  clock,
  timeline,
  log,
  lastN,
  loadConfiguration,
  reloadConfiguration,
  deliver,
  refuse,
  housekeeping,
  onLost,
  observe,
}: InboxOptions): Inbox {
  let waiting: Waiting[] = []
  let commands = 0
  let n = lastN
  let draining: Promise<void> | null = null
  let stopped = false
  /** How many of those waiting go out alone, because one of them is too large and it is not known which. */
  let oneByOne = 0

  return {
    command(command, caller) {
      if (commands >= COMMANDS_MAX)
        return refuse(caller, {
          code: 'OVERLOADED',
          reason: `${COMMANDS_MAX} commands are waiting to be written down; send it again in a second`,
        })
      commands += 1
      take({ kind: 'command', command, caller })
    },
    input(what, door) {
      take({ kind: 'input', what, door })
    },
    settled: () => draining ?? Promise.resolve(),
    stop() {
      stopped = true
      waiting = []
    },
  }

  function take(one: Waiting): void {
    if (stopped) return
    waiting.push(one)
    draining ??= drain()
  }

  async function drain(): Promise<void> {
    // A turn of the microtask queue lets everything that arrived together go out together.
    await Promise.resolve()
    try {
      while (waiting.length > 0 && !stopped) {
        const batch = waiting.slice(0, oneByOne > 0 ? 1 : BATCH_MAX)
        const entries = batch.map((one, index) => stamp(one, n + 1 + index))
        const began = observe ? performance.now() : 0
        try {
          await journal.append(entries)
        } catch (error) {
          if (!(error instanceof JournalError)) throw error
          if (error.code === 'FULL') await standOff(batch, error)
          else if (error.code === 'TOO_LARGE') putAside(batch, error)
          else return lose(error)
          continue
        }
        if (observe) noteAppend(observe, entries.length, performance.now() - began)
        oneByOne = Math.max(0, oneByOne - 1)
        waiting = waiting.slice(batch.length)
        commands -= batch.filter(one => one.kind === 'command').length
        n = entries.at(-1)?.n ?? n
        for (const entry of entries) {
          if (stopped) return
          deliver(entry)
        }
        const own = housekeeping().map(what => ({ kind: 'input', what, door: 'engine' }) as const)
        if (own.length > 0) waiting.unshift(...own)
      }
    } finally {
      // In the same turn as the last look at what waits: one turn later something would lie there with nobody coming
      // for it.
      draining = null
    }
  }

  function stamp(one: Waiting, number: number): Entry {
    const times = timeline.stamp()
    if (one.kind === 'input')
      return {
        n: number,
        ...times,
        ...(isBeginning(one.what) && timeline.anchor && { clock: timeline.anchor }),
        door: one.door,
        from: one.door === 'report' ? 'executor' : one.door,
        what: one.what,
      }
    return {
      n: number,
      ...times,
      door: 'command',
      from: one.caller.identity,
      what: complete(one.command, one.caller, number, times.at),
    }
  }

  function complete(command: Decoded, caller: Caller, number: number, now: number): Command {
    const jobId = `${dayObs(now)}-${String(number).padStart(6, '0')}`
    switch (command.type) {
      case 'command.start':
        return { ...command, caller, loaded: loadConfiguration(command.configurationOverride) }
      case 'command.reload':
        return { ...command, caller, loaded: reloadConfiguration() }
      case 'command.processData':
      case 'command.closeGroup':
      case 'command.retry':
        return { ...command, caller, jobId }
      case 'command.enable':
      case 'command.disable':
      case 'command.standby':
      case 'command.exitControl':
      case 'command.setLogLevel':
      case 'command.abortJob':
      case 'command.pause':
      case 'command.resume':
        return { ...command, caller }
    }
  }

  /**
   * No space: commands are refused, so that nobody waits in vain; reports are kept, because they are true whether
   * written or not.
   */
  async function standOff(batch: readonly Waiting[], error: JournalError): Promise<void> {
    const refused = waiting.filter(one => one.kind === 'command')
    waiting = waiting.filter(one => one.kind !== 'command')
    commands = 0
    log.error({ refused: refused.length, kept: waiting.length }, `the journal is full: ${error.message}`)
    for (const { caller } of refused)
      refuse(caller, {
        code: 'JOURNAL_FULL',
        reason: 'the journal has no space left; free some on the disk of the NATS server, then send it again',
      })
    if (batch.some(one => one.kind !== 'command'))
      await new Promise<void>(resolve => void clock.wake(clock.elapsed() + FULL_RETRY_MS, resolve))
  }

  function putAside(batch: readonly Waiting[], error: JournalError): void {
    const [first] = batch
    if (batch.length > 1 || first === undefined) {
      oneByOne = batch.length
      return
    }
    oneByOne = Math.max(0, oneByOne - 1)
    waiting = waiting.slice(1)
    if (first.kind === 'input')
      return log.error({ type: first.what.type }, `dropped what the journal cannot hold: ${error.message}`)
    commands -= 1
    refuse(first.caller, {
      code: 'TOO_LARGE',
      reason: `the command, with what it leads to, is more than one journal message holds: ${error.message}`,
    })
  }

  function lose(error: JournalError): void {
    stopped = true
    waiting = []
    onLost(error)
  }
}

function noteAppend(observe: Observe, entries: number, ms: number): void {
  observe('journalAppends', 1)
  observe('journalBatchEntries', entries)
  observe('journalAppendMs', ms)
}

/** A later process begins to read at a mark, or at the beginning of this life. */
function isBeginning(what: Input): boolean {
  return what.type === 'engine.started' || isMark(what)
}
