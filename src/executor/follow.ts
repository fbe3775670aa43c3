/**
 * Looks at the reports files of running jobs, round and round, in one timer that stands still when nothing runs.
 * Polling, not fs.watch: a watch costs about 0.1 ms per job to make and sees nothing on a network file system; a look
 * costs 2 µs and a job shorter than one round is never looked at before its end.
 */
import type { Observe } from '../observer.ts'
import type { ReportsFile } from './reportsFile.ts'

/** A report is heard after half of this on average. */
const ROUND_MS_MIN = 20
/** 2 to 4 % of one core; with 1 000 running jobs a round takes 50 ms. */
const LOOKS_PER_SECOND_MAX = 20_000

export interface Follower {
  add(file: ReportsFile): void
  /** No looks any more. */
  remove(file: ReportsFile): void
  /** Reads to the end, at once where it is short; then calls. No looks any more. */
  finish(file: ReportsFile, then: () => void): void
  close(): void
}

export function createFollower(observe?: Observe): Follower {
  const files = new Set<ReportsFile>()
  let timer: NodeJS.Timeout | null = null
  let closed = false

  const schedule = (): void => {
    if (timer !== null || files.size === 0 || closed) return
    timer = setTimeout(look, Math.max(ROUND_MS_MIN, (files.size * 1_000) / LOOKS_PER_SECOND_MAX))
  }
  const look = (): void => {
    timer = null
    for (const file of files) file.poll()
    schedule()
  }
  const finish = (file: ReportsFile, then: () => void): void => {
    if (files.delete(file)) observe?.('reportFilesFollowed', files.size)
    if (closed) return
    if (file.poll()) setImmediate(finish, file, then)
    else {
      file.finish()
      then()
    }
  }

  return {
    add: file => {
      files.add(file)
      observe?.('reportFilesFollowed', files.size)
      schedule()
    },
    remove: file => void files.delete(file),
    finish,
    close: () => {
      closed = true
      files.clear()
      if (timer !== null) clearTimeout(timer)
    },
  }
}
