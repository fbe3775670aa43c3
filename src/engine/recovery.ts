import type { Announcement } from '../../machines/domain/announcements.ts'
import type { Command } from '../../machines/domain/commands.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import type { Decoded } from '../contract/commands.ts'
import { type Entry, isMark } from '../journal/entry.ts'
import type { Journal } from '../journal/port.ts'
import { isAfter } from './announcementIds.ts'
import { type Answers, fingerprintOf } from './answers.ts'
import { createAssembly } from './checkpoint.ts'
import type { Numbered } from '../../machines/ports.ts'
import type { Before } from './timeline.ts'
import type { Effect, World } from './world.ts'

export interface Recovered {
  /** Where numbers and times go on. */
  readonly last: Pick<Entry, 'n'> & Before
  /** Numbers were given out that the journal does not have. */
  readonly hasGap: boolean
  /** What may never have been heard. */
  readonly unsaid: readonly Numbered[]
}

export interface RecoveryOptions {
  readonly journal: Journal
  readonly world: World
  readonly answers: Answers
  readonly note: (entry: Entry, effects: readonly Effect[]) => void
  /** The id of the last announcement that is known to have been said; null: none. */
  readonly lastSaid: string | null
  /** Numbers up to this one were given out already, although the journal ends before. */
  readonly numbersAfter?: number | undefined
}

/**
 * Folds the journal into the world with its effects held back. What was said after `lastSaid` may never have been
 * heard.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { journal, world, answers, note, lastSaid, numbersAfter = 0 } = options
  let last: Recovered['last'] = { n: 0, at: 0, anchor: null }
  const unsaid: Numbered[] = []
  const checkpoint = createAssembly()
  let beganAt = 0
  for await (const entry of await fromTheNewestMark(journal)) {
    const { n, at, what } = entry
    beganAt ||= n
    if (entry.door === 'command') recall(what as Command, answers)
    if (what.type === 'engine.quiescent') answers.settleInto(what.answers, at)
    // Only the one that reading begins with knows more than has been seen coming.
    if (what.type === 'engine.checkpoint' && n - what.part + 1 === beganAt) {
      const whole = checkpoint.take(what)
      if (whole) {
        answers.settleInto(whole.answers, at)
        unsaid.push(...whole.unsaid.filter(({ id }) => isAfter(id, lastSaid)))
      }
    }
    const effects = world.apply(entry)
    note(entry, effects)
    for (const effect of effects) {
      if (effect.do !== 'announce') continue
      if (effect.announcement.type === 'ack') answers.note(effect.announcement, effect.at)
      if (isKept(effect.announcement) && isAfter(effect.id, lastSaid)) unsaid.push(effect)
    }
    last = { n, at: entry.at, steppedMs: entry.steppedMs, anchor: entry.clock ?? last.anchor }
  }
  if (numbersAfter <= last.n) return { last, hasGap: false, unsaid }
  return { last: { ...last, n: numbersAfter }, hasGap: true, unsaid }
}

/**
 * From the newest quiescent entry or checkpoint, unless other machines wrote it: what they left may not be what these
 * expect.
 */
async function fromTheNewestMark(journal: Journal): Promise<AsyncIterable<Entry>> {
  for await (const { what } of journal.read('quiescent')) {
    return journal.read(isMark(what) && what.machines !== MACHINES_VERSION ? 'start' : 'quiescent')
  }
  return journal.read()
}

function recall(command: Command, answers: Answers): void {
  const { caller, ...rest } = command
  answers.recall(caller.id, fingerprintOf(withoutStamps(rest)))
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

/** Whether it leads to an event; the promise to one who asked with `execute` brings job_id along. */
function isKept(announcement: Announcement): boolean {
  return announcement.type === 'event' || (announcement.type === 'ack' && announcement.askedAs !== undefined)
}
