import { readdirSync, readFileSync } from 'node:fs'

/**
 * What runs on this machine, as /proc tells it: the jobs and launchers of one work directory, and how to signal them
 * one by one. Promises nothing about processes without that mark.
 */
export interface Marked {
  readonly pid: number
  readonly kind: 'job' | 'launcher'
  readonly what: string
}

/** Every process that names the work directory: jobs in their environment, launchers in their arguments. */
export function marked(workDir: string): Marked[] {
  return readdirSync('/proc').flatMap((name): Marked[] => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || !isRunning(pid)) return []
    const words = read(`/proc/${pid}/cmdline`).split('\0')
    if (words.includes(`${workDir}/.ledger`)) return [{ pid, kind: 'launcher', what: words.join(' ').trim() }]
    const mark = read(`/proc/${pid}/environ`)
      .split('\0')
      .find(variable => variable.startsWith(`OCPS_WORK_DIR=${workDir}/`))
    return mark === undefined
      ? []
      : [{ pid, kind: 'job', what: `${mark.slice(14)} (${words.join(' ').trim().slice(0, 60)})` }]
  })
}

/** False when it was gone already. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  // 0 and below are whole groups of processes, our own among them.
  if (pid <= 0) return false
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** A zombie does not run: it only waits to be counted. */
export function isRunning(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`)
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
