import { hash } from 'node:crypto'
import type { AckBody, Acknowledgement } from '../../machines/domain/announcements.ts'
import type { QuietAnswer } from '../../machines/domain/messages.ts'
import type { Decoded } from '../contract/commands.ts'

/**
 * What was answered to which message id, so that the same message twice is executed once and answered alike. A copy of
 * a command that is still being written down or processed joins the first: every acknowledgement goes to both.
 */
export interface Answers {
  /**
   * A command came in. new: execute it. repeated: the acknowledgements so far, to be sent to its reply. other: the id
   * belongs to another command.
   */
  meet(
    id: string,
    fingerprint: string,
    reply: string | null,
  ): { readonly as: 'new' | 'other' } | { readonly as: 'repeated'; readonly acks: readonly AckBody[] }
  /** A journaled command, met while recovering. */
  recall(id: string, fingerprint: string): void
  /** An acknowledgement goes out, of an entry of this time; returns where copies of it go. */
  note(ack: Acknowledgement, at: number): readonly string[]
  /** Whether an acknowledgement of it went out. */
  isAnswered(id: string): boolean
  /** What is to be remembered over a restart and what is promised, for a quiescent entry or a checkpoint. */
  quiet(): readonly QuietAnswer[]
  /** Begins with what a quiescent entry or a checkpoint of this time holds. */
  settleInto(answers: readonly QuietAnswer[], at: number): void
  /**
   * A command was refused before it was written down: nothing is remembered of it, so that it may be sent again.
   * Returns where copies of the refusal go.
   */
  forget(id: string): readonly string[]
}

/**
 * How long an acknowledged id is remembered at least, and of how many commands, whatever restarts and marks come
 * between. A client sends a command again within seconds, a script that was restarted within minutes; 2 000 answers are
 * some 400 kB, so that a quiescent entry that holds them is one message.
 */
export const REMEMBERED = { ms: 600_000, commands: 2_000 } as const

// While it runs an instance remembers more, for half a kilobyte each.
const KNOWN_MAX = 50_000

interface Answered {
  readonly fingerprint: string
  acks: AckBody[]
  /** When it was acknowledged last; 0 before that. */
  at: number
  readonly copies: Set<string>
}

export function createAnswers(): Answers {
  const known = new Map<string, Answered>()
  let newest = 0
  const remember = (id: string, fingerprint: string) => {
    known.set(id, { fingerprint, acks: [], at: 0, copies: new Set() })
    if (known.size <= KNOWN_MAX) return
    const oldest = known.keys().next()
    if (!oldest.done) known.delete(oldest.value)
  }
  return {
    meet(id, fingerprint, reply) {
      const before = known.get(id)
      if (before === undefined) {
        remember(id, fingerprint)
        return { as: 'new' }
      }
      if (before.fingerprint !== fingerprint) return { as: 'other' }
      if (reply !== null) before.copies.add(reply)
      return { as: 'repeated', acks: before.acks }
    },
    recall: remember,
    note({ caller, body }, at) {
      newest = Math.max(newest, at)
      const before = known.get(caller.id)
      if (before === undefined) return []
      // Of the promises only the last still holds.
      before.acks = [body]
      before.at = at
      const copies = [...before.copies].filter(copy => copy !== caller.reply)
      if (body.ack !== IN_PROGRESS) before.copies.clear()
      return copies
    },
    isAnswered: id => (known.get(id)?.acks.length ?? 0) > 0,
    quiet: () =>
      [...known]
        // Of what was not answered at all nothing is written down yet either: it may be executed when it is sent again.
        .filter(
          ([, { acks, at }], place) =>
            acks.length > 0 &&
            (acks.at(-1)?.ack === IN_PROGRESS ||
              (at >= newest - REMEMBERED.ms && place >= known.size - REMEMBERED.commands)),
        )
        .map(([id, { fingerprint, acks, at }]) => ({ id, fingerprint, acks, at })),
    settleInto(answers, markedAt) {
      newest = Math.max(newest, markedAt)
      for (const { id, fingerprint, acks, at = markedAt } of answers)
        if (!known.has(id)) known.set(id, { fingerprint, acks: [...acks], at, copies: new Set() })
    },
    forget(id) {
      const copies = [...(known.get(id)?.copies ?? [])]
      known.delete(id)
      return copies
    },
  }
}

const IN_PROGRESS = 301

/** The same for two messages that ask the same. */
export function fingerprintOf(command: Decoded): string {
  return hash('sha1', JSON.stringify(command), 'base64')
}
