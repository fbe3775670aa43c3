import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Sink } from '../../machines/ports.ts'
import type { HistoryAnswer, HistoryRequest } from '../contract/history.ts'
import type { RecordStore } from './store.ts'

/**
 * Keeps the record store current: a sink like any other, so that what it missed is brought from the journal, and a new
 * file gets all that the journal holds. Rows are written some hundred at a time, or when nothing came for a moment; a
 * question is answered with all that was said before it.
 */
export interface Records {
  readonly sink: Sink
  history(asked: HistoryRequest): HistoryAnswer
  close(): void
}

/** Calls once, after so many milliseconds, unless it is called off. */
export type Later = (milliseconds: number, call: () => void) => () => void

// Some 20 µs a row: 5 ms of the event loop.
const ROWS_MAX = 250
/** While the disk refuses them; then they are left to the journal. */
const ROWS_HELD_MAX = 1_000
const SOON_MS = 200
const AGAIN_MS = 2_000
/** A cursor that says: bring all there is. */
const EVERYTHING = '0.0'

export function createRecords(
  store: Pick<RecordStore, 'cursor' | 'add' | 'jobs' | 'count' | 'close'>,
  later: Later = timer,
): Records {
  let jobs: JobResult[] = []
  let latest: string | null = null
  let cancel: (() => void) | null = null
  let isClosed = false

  return {
    sink: {
      say({ id, announcement }) {
        // What never was journaled is no end of a job.
        if (id === '' || isClosed) return
        if (jobs.length >= ROWS_MAX) writeOrLeave()
        latest = id
        if (announcement.type === 'event' && announcement.topic === 'jobResult') jobs.push(announcement.body)
        cancel ??= later(SOON_MS, writeInTime)
      },
      flushed() {
        write()
        return Promise.resolve()
      },
      cursor: () => store.cursor ?? EVERYTHING,
    },
    history(asked) {
      write()
      return { jobs: store.jobs(asked), total: store.count(asked) }
    },
    close() {
      if (isClosed) return
      try {
        write()
      } catch {
        // The journal has them: the next start brings what is missing.
      }
      isClosed = true
      store.close()
    },
  }

  function write(): void {
    cancel?.()
    cancel = null
    if (latest === null || isClosed) return
    store.add(jobs, latest)
    forget()
  }

  function writeInTime(): void {
    try {
      write()
    } catch {
      cancel ??= later(AGAIN_MS, writeInTime)
    }
  }

  /** Throws, which means "not now", when too much is held back: all that follows the store's cursor comes again. */
  function writeOrLeave(): void {
    try {
      write()
    } catch (error) {
      if (jobs.length < ROWS_HELD_MAX) return
      forget()
      throw error
    }
  }

  function forget(): void {
    jobs = []
    latest = null
  }
}

const timer: Later = (milliseconds, call) => {
  const handle = setTimeout(call, milliseconds).unref()
  return () => clearTimeout(handle)
}
