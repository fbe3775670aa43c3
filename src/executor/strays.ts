/**
 * Processes that carry the mark of this instance's jobs (OCPS_INSTANCE and a job's directory in their environment) and
 * that no job of ours claims: left over where a journal was lost, a launcher was killed, or a process hid until its job
 * was long settled. They are looked for once, at start, and ended with every one of them in the log. Elsewhere than on
 * Linux nothing is found.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { identityOf, isAlive, type ProcessIdentity } from '../processes.ts'
import type { Log } from '../log.ts'

export interface StrayOptions {
  readonly workDir: string
  readonly instance: string
  /** Whether a job with this directory is followed by us. */
  readonly isClaimed: (directory: string) => boolean
  /** Acts only while we are the active one. */
  readonly whenActive: (act: () => void) => void
  readonly log: Log
}

interface Stray extends ProcessIdentity {
  readonly jobId: string
  readonly directory: string
}

/** From TERM to KILL: nobody waits for what they do any more, so they get time to tidy up and no more. */
const GRACE_MS = 2_000

/**
 * One look takes 2 to 8 ms for 100 processes, so there is one at start and one after the grace. Resolves when it is
 * over.
 */
export async function endStrays(options: StrayOptions): Promise<void> {
  const found = straysOf(options)
  if (found.length === 0) return
  const { log, whenActive } = options
  whenActive(() => {
    for (const stray of found) {
      log.warn(
        { pid: stray.pid, jobId: stray.jobId, directory: stray.directory },
        `process ${stray.pid} of job ${stray.jobId} belongs to no open job; it is stopped`,
      )
      signal(stray, 'SIGTERM')
      signal(stray, 'SIGCONT')
    }
  })
  await delay(GRACE_MS, undefined, { ref: false })
  // Looked for again: what was found may have started others since.
  whenActive(() => {
    for (const stray of straysOf(options)) {
      log.warn(
        { pid: stray.pid, jobId: stray.jobId },
        `process ${stray.pid} of job ${stray.jobId} did not stop; it is killed`,
      )
      signal(stray, 'SIGKILL')
    }
  })
}

function straysOf({ workDir, instance, isClaimed }: StrayOptions): Stray[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc').flatMap(name => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    // First who it is, then what it says: the pid may belong to another one a moment later.
    const identity = identityOf(pid)
    const variables = identity && environmentOf(pid)
    const directory = variables?.get('OCPS_WORK_DIR') ?? ''
    if (!identity || !directory.startsWith(`${workDir}/`) || variables?.get('OCPS_INSTANCE') !== instance) return []
    return isClaimed(directory) ? [] : [{ ...identity, jobId: variables.get('OCPS_JOB_ID') ?? '', directory }]
  })
}

function environmentOf(pid: number): ReadonlyMap<string, string> | null {
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return new Map(text.split('\0').map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  } catch {
    return null
  }
}

function signal(stray: Stray, name: NodeJS.Signals): void {
  try {
    if (isAlive(stray)) process.kill(stray.pid, name)
  } catch {
    // It ended by itself in the meantime.
  }
}
