import type { Entry } from './entry.ts'

/**
 * The journal: inputs, in order, on disk. One writer. Two keep the same contract test: the JetStream journal (log.ts over a bus's
 * log) and the in-memory twin.
 */
export interface Journal {
  /**
   * Makes the entries durable, in order, together: all or none. Resolves once they are. Rejects with JournalError FULL (nothing was written;
   * may be tried again) or FENCED (another orchestrator has taken over: this one must stop). One call at a time; the caller groups.
   */
  append(entries: readonly Entry[]): Promise<void>
  /** All entries, oldest first. */
  read(): AsyncIterable<Entry>
}

export class JournalError extends Error {
  readonly code: 'FULL' | 'FENCED' | 'BROKEN'
  constructor(code: 'FULL' | 'FENCED' | 'BROKEN', message: string) {
    super(message)
    this.name = 'JournalError'
    this.code = code
  }
}
