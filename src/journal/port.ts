import type { Entry } from './entry.ts'

/**
 * The journal: inputs, in order, on disk. One writer. Two keep the same contract test: the JetStream journal (log.ts over a bus's
 * log) and the in-memory twin.
 */
export interface Journal {
  /**
   * Makes the entries durable, in order, together: all or none. Resolves once they are. Rejects with JournalError FULL (nothing was written;
   * may be tried again) FENCED (another
   * orchestrator has taken over: this one must stop), or TOO_LARGE (one of the entries alone is more than a message holds; nothing was written). One call at a time; the caller groups.
   */
  append(entries: readonly Entry[]): Promise<void>
  /** All entries, oldest first; or those from the newest quiescent entry or checkpoint on, which are enough to go on from. */
  read(from?: 'start' | 'quiescent'): AsyncIterable<Entry>
  /** Bytes of JSON one entry may have. */
  entryMax(): number
}

export type JournalErrorCode = 'FULL' | 'FENCED' | 'TOO_LARGE' | 'BROKEN'

export class JournalError extends Error {
  readonly code: JournalErrorCode
  constructor(code: JournalErrorCode, message: string) {
    super(message)
    this.name = 'JournalError'
    this.code = code
  }
}
