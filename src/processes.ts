/**
 * Facts about processes that are not our children: whether one is alive and still the same, and which belong to a job.
 * Reads /proc on Linux and asks ps elsewhere. Children of a living launcher are the launcher's business.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A process that is still the one that was started: pids are used again, start times with the same pid are not. */
export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/<pid>/stat on Linux; elsewhere seconds since 1970. */
  readonly startTime: number
}

/** On systems without /proc the launcher notes the time of day a moment after the fork. */
const PS_TOLERANCE_S = 2

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  if (process.platform === 'linux') {
    const fields = statFields(pid)
    return fields !== null && fields[0] !== 'Z' && fields[0] !== 'X' && Number(fields[19]) === startTime
  }
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env: { LC_ALL: 'C' } })
    return Math.abs(Date.parse(started) / 1_000 - startTime) <= PS_TOLERANCE_S
  } catch {
    return false
  }
}

/** Of a process of which only the pid is known. One that has ended and waits to be collected counts as gone. */
export function isAlivePid(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  if (process.platform !== 'linux') return true
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Null when there is none, or only what is left of one until it is counted. */
export function identityOf(pid: number): ProcessIdentity | null {
  const fields = statFields(pid)
  return fields === null || fields[0] === 'Z' || fields[0] === 'X' ? null : { pid, startTime: Number(fields[19]) }
}

/** Whether a signal or a debugger has stopped it; elsewhere than on Linux this cannot be told. */
export function isStopped({ pid, startTime }: ProcessIdentity): boolean {
  const fields = process.platform === 'linux' ? statFields(pid) : null
  return fields !== null && (fields[0] === 'T' || fields[0] === 't') && Number(fields[19]) === startTime
}

/** Changes with every start of the machine; '-' where the system does not say. */
export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? '-'
}

/** Sends a signal to a process group; false when there is no such group. */
export function signalGroup(leader: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-leader, signal)
  } catch {
    return false
  }
}

/**
 * Ends every process whose environment names one of these job directories, wherever it hides from its process group;
 * answers how many there were. One look through /proc takes 2 to 8 ms for 100 processes, so it is for jobs whose
 * launcher died. Elsewhere than on Linux: 0.
 */
export function sweep(directories: ReadonlySet<string>): number {
  if (process.platform !== 'linux' || directories.size === 0) return 0
  let ended = 0
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const marker = read(`/proc/${pid}/environ`)
      ?.split('\0')
      .find(variable => variable.startsWith(MARKER))
    if (marker === undefined || !directories.has(marker.slice(MARKER.length))) continue
    try {
      process.kill(pid, 'SIGKILL')
      ended += 1
    } catch {
      // It ended by itself in the meantime.
    }
  }
  return ended
}

const MARKER = 'OCPS_WORK_DIR='

function statFields(pid: number): string[] | null {
  const stat = read(`/proc/${pid}/stat`)
  return stat === null ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
