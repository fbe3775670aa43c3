import { hash } from 'node:crypto'
import type { AckBody, Acknowledgement } from '../../machines/domain/announcements.ts'
import type { QuietAnswer } from '../../machines/domain/messages.ts'
import type { Decoded } from '../contract/commands.ts'

/**
 * What was answered to which message id, so that the same message twice is executed once and answered alike. A copy of a command that is
 * still being written down or processed joins the first: every acknowledgement goes to both.
 */
export interface Answers {
  /** A command came in. new: execute it. repeated: the acknowledgements so far, to be sent to its reply. other: the id belongs to another command. */
  meet(
    id: string,
    fingerprint: string,
    reply: string | null,
  ): { readonly as: 'new' | 'other' } | { readonly as: 'repeated'; readonly acks: readonly AckBody[] }
  /** A journaled command, met while recovering. */
  recall(id: string, fingerprint: string): void
  /** An acknowledgement goes out; returns where copies of it go. */
  note(ack: Acknowledgement): readonly string[]
  /** The last answers and those that are promised, for a quiescent entry or a checkpoint. */
  quiet(): readonly QuietAnswer[]
  /** Begins with what a quiescent entry or a checkpoint holds. */
  settleInto(answers: readonly QuietAnswer[]): void
  /** A command was refused before it was written down: nothing is remembered of it, so that it may be sent again. Returns where copies of the refusal go. */
  forget(id: string): readonly string[]
}

// A client retries within seconds; a night's commands all fit (DESIGN §1: 190 000 jobs come as 1 000 lists of detectors, or singly).
const REMEMBERED_MAX = 250_000

// A command is sent again within seconds of a restart; a quiescent entry, which holds these, is one message on the wire.
const QUIET_MAX = 500

interface Answered {
  readonly fingerprint: string
  acks: AckBody[]
  readonly copies: Set<string>
}

export function createAnswers(): Answers {
  const known = new Map<string, Answered>()
  const remember = (id: string, fingerprint: string) => {
    known.set(id, { fingerprint, acks: [], copies: new Set() })
    if (known.size <= REMEMBERED_MAX) return
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
    note({ caller, body }) {
      const before = known.get(caller.id)
      if (before === undefined) return []
      // Of the promises only the last still holds.
      before.acks = [body]
      const copies = [...before.copies].filter(copy => copy !== caller.reply)
      if (body.ack !== IN_PROGRESS) before.copies.clear()
      return copies
    },
    quiet: () =>
      [...known]
        // Of what was not answered at all nothing is written down yet either: it may be executed when it is sent again.
        .filter(
          ([, { acks }], at) => acks.length > 0 && (at >= known.size - QUIET_MAX || acks.at(-1)?.ack === IN_PROGRESS),
        )
        .map(([id, { fingerprint, acks }]) => ({ id, fingerprint, acks })),
    settleInto(answers) {
      for (const { id, fingerprint, acks } of answers)
        if (!known.has(id)) known.set(id, { fingerprint, acks: [...acks], copies: new Set() })
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
