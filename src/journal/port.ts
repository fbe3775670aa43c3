import type { Entry } from './entry.ts'

/**
 * The journal: inputs, in order, on disk. One writer. Two keep the same contract test: the JetStream journal (log.ts
 * over a bus's log) and the in-memory twin.
 */
export interface Journal {
  /**
   * Makes the entries durable, in order, together: all or none. Resolves once they are. Rejects with JournalError FULL
   * (nothing was written; may be tried again) FENCED (another orchestrator has taken over: this one must stop), or
   * TOO_LARGE (one of the entries alone is more than a message holds; nothing was written). One call at a time; the
   * caller groups.
   */
  append(entries: readonly Entry[]): Promise<void>
  /**
   * All entries, oldest first; or those from the newest quiescent entry or checkpoint on, which are enough to go on
   * from.
   */
  read(from?: 'start' | 'quiescent'): AsyncIterable<Entry>
  /** Bytes of JSON one entry may have. */
  entryMax(): number
}

/**
 * FULL, FENCED, TOO_LARGE: an append was not taken. BROKEN: it never will be, or what was given is no journal. The
 * others: the journal is damaged, or more than this OCPS can read; their sentence names stream, place and entry, and
 * what to do.
 */
export type JournalErrorCode = 'FULL' | 'FENCED' | 'TOO_LARGE' | 'BROKEN' | DamageCode

/** What can be wrong with a journal; shown as `JOURNAL_…`. The README has the same sentences. */
export const DAMAGES = {
  HOLE: 'Entries are missing between others.',
  NO_BEGINNING: 'The first entries are missing, and no snapshot stands for them.',
  EMPTIED: 'Every entry was removed.',
  END_LOST: 'The newest messages were stored and cannot be read any more.',
  BEHIND:
    'The journal ends before entries that events or job directories know: an older copy was put back, or its end was lost.',
  GARBLED: 'An entry contradicts the one before it.',
  NEWER: 'A newer OCPS wrote a snapshot that this one does not understand.',
} as const

export type DamageCode = keyof typeof DAMAGES

export class JournalError extends Error {
  readonly code: JournalErrorCode
  constructor(code: JournalErrorCode, message: string) {
    super(message)
    this.name = 'JournalError'
    this.code = code
  }
}
