/**
 * What a system costs this machine: CPU and memory of a process and everything below it, as /proc tells. Complete where
 * account.c is the root, which inherits orphans and counts what it waited for; elsewhere at least that much.
 */
import { readdirSync, readFileSync } from 'node:fs'

interface Seen {
  readonly pid: number
  readonly parent: number
  readonly name: string
  /** Its own and that of children it waited for, in ticks. */
  readonly ticks: number
}

/** USER_HZ, the unit of /proc/PID/stat; 100 on every Linux there is. */
const TICKS_PER_SECOND = 100

/** CPU of everything at or below `root` that ever ran, ms. */
export function cpuMs(root: number): number {
  return (below(root).reduce((sum, { ticks }) => sum + ticks, 0) * 1_000) / TICKS_PER_SECOND
}

/** Memory of what is below `root`, without the processes `except` names: proportional set size, kB. */
export function memoryKb(root: number, except: (process: { pid: number; name: string }) => boolean): number {
  return below(root)
    .filter(process => !except(process))
    .reduce((sum, { pid }) => sum + Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0), 0)
}

/** How many processes of this name run below `root`. */
export function countNamed(root: number, name: string): number {
  return below(root).filter(process => process.name === name).length
}

function below(root: number): Seen[] {
  const all = readdirSync('/proc').flatMap((name): Seen[] => (/^\d+$/.test(name) ? seen(Number(name)) : []))
  const children = new Map<number, Seen[]>()
  for (const process of all) {
    const siblings = children.get(process.parent)
    if (siblings) siblings.push(process)
    else children.set(process.parent, [process])
  }
  const found = all.filter(({ pid }) => pid === root)
  for (let at = 0; at < found.length; at += 1) found.push(...(children.get(found[at]?.pid ?? 0) ?? []))
  return found
}

function seen(pid: number): Seen[] {
  const stat = read(`/proc/${pid}/stat`)
  const end = stat.lastIndexOf(')')
  if (end < 0) return []
  // Fields from the third on (proc(5)): state, ppid … utime is the 14th, stime, cutime and cstime follow.
  const fields = stat.slice(end + 2).split(' ')
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0)
  return [{ pid, parent: Number(fields[1]), name: stat.slice(stat.indexOf('(') + 1, end), ticks }]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
