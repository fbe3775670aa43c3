/**
 * The dead-letter shelf as a person reads it: what ended without success and can be run again, and what became of that
 * which was. Read from the fold; a job whose end lies before the first entry is known by what the shelf keeps of it.
 */
import type { ShelfItem } from '../../machines/domain/messages.ts'
import type { ShelfContext } from '../../machines/shelf.ts'
import type { JobRecord, Night } from './night.ts'

export interface Shelved {
  readonly item: ShelfItem
  /** null: it ended before the first entry that was read. */
  readonly job: JobRecord | null
}

/** A job that ended without success, and the one that was made of it. */
export interface Retried {
  readonly job: JobRecord
  readonly by: JobRecord
}

/** Newest first. */
export function onShelf(night: Night): Shelved[] {
  const shelf = night.world.actor('shelf')
  if (!shelf) return []
  const { items } = shelf.snapshot.context as ShelfContext
  return items.map(item => ({ item, job: night.jobs.get(item.jobId) ?? null })).reverse()
}

/** Newest first. Retries name the first job of their kind; in between each was made of the one before. */
export function retried(night: Night): Retried[] {
  const latest = new Map<string, JobRecord>()
  const found: Retried[] = []
  for (const by of night.jobs.values()) {
    const { retryOf } = by.context.asked
    if (retryOf === null) continue
    const job = latest.get(retryOf) ?? night.jobs.get(retryOf)
    latest.set(retryOf, by)
    if (job) found.push({ job, by })
  }
  return found.reverse()
}
