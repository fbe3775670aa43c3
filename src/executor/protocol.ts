/**
 * The language between OCPS and its launcher, as launcher.c tells it: requests as fields ended by NUL behind a length,
 * answers as lines. The ledger holds the same lines. Pure; a line that is not of the language is null.
 */
import { constants } from 'node:os'
import { encodeToken } from '../../machines/domain/dataId.ts'

/** How a process ended, as the launcher saw it. */
export interface Ending {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly wallMs: number
  readonly cpuMs: number
  readonly peakMemoryKiB: number
  readonly stdoutBytes: number
  readonly stderrBytes: number
  readonly stoppedBy: 'SIGTERM' | 'SIGKILL' | null
  readonly survivors: number
}

export type LauncherMessage =
  | { readonly kind: 'hello'; readonly pid: number; readonly startTime: number; readonly bootId: string }
  /** It starts nothing any more, and goes on until its last job has ended. */
  | { readonly kind: 'deaf' }
  /** It was asked whether it is there. */
  | { readonly kind: 'awake' }
  | { readonly kind: 'preparing'; readonly key: string }
  | { readonly kind: 'started'; readonly key: string; readonly pid: number; readonly startTime: number }
  | { readonly kind: 'failed'; readonly key: string; readonly errno: number; readonly where: string }
  | { readonly kind: 'ended'; readonly key: string; readonly ending: Ending }

export interface RunRequest {
  readonly jobId: string
  readonly attempt: number
  readonly directory: string
  readonly outputMaxBytes: number
  readonly members: string
  /** How many it takes, and how many its pool has: it waits at the launcher until they are free. Of 0 all are free. */
  readonly slots: number
  readonly capacity: number
  readonly pool: string
  readonly argv: readonly string[]
  readonly env: readonly string[]
}

/** Names one attempt of one job: `<jobId, encoded> <attempt>`. */
export function attemptKey(jobId: string, attempt: number): string {
  return `${encodeToken(jobId)} ${attempt}`
}

export function runRequest(request: RunRequest): string {
  const { jobId, attempt, directory, outputMaxBytes, members, slots, capacity, pool, argv, env } = request
  const head = ['R', encodeToken(jobId), attempt, directory, outputMaxBytes, members, slots, capacity, pool]
  return framed([...head, argv.length, ...argv, env.length, ...env])
}

/** So many slots of a pool are taken by processes that the launcher did not start. */
export function elsewhereRequest(pool: string, slots: number): string {
  return framed(['O', slots, pool])
}

/** Asks whether it is there. */
export function awakeRequest(): string {
  return framed(['W'])
}

export function stopRequest(jobId: string, attempt: number, graceMs: number): string {
  return framed(['K', encodeToken(jobId), attempt, Math.max(0, Math.round(graceMs))])
}

export function parseSaid(line: string): LauncherMessage | null {
  const [kind = '', a = '', b = '', ...rest] = line.split(' ')
  const key = `${a} ${b}`
  switch (kind) {
    case 'H':
    case 'L':
      return rest[0] && b !== '' ? { kind: 'hello', pid: Number(a), startTime: Number(b), bootId: rest[0] } : null
    case 'Q':
      return { kind: 'deaf' }
    case 'W':
      return { kind: 'awake' }
    case 'P':
      return b === '' ? null : { kind: 'preparing', key }
    case 'S':
      return rest.length === 2 ? { kind: 'started', key, pid: Number(rest[0]), startTime: Number(rest[1]) } : null
    case 'F':
      return rest.length === 2 ? { kind: 'failed', key, errno: Number(rest[0]), where: rest[1] ?? '' } : null
    case 'E': {
      const numbers = rest.map(Number)
      return numbers.length === 9 && numbers.every(Number.isInteger)
        ? { kind: 'ended', key, ending: ending(numbers) }
        : null
    }
    default:
      return null
  }
}

function ending([
  status = 0,
  wall = 0,
  user = 0,
  system = 0,
  peak = 0,
  out = 0,
  err = 0,
  stop = 0,
  left = 0,
]: number[]): Ending {
  return {
    exitCode: status >= 0 ? status : null,
    signal: status < 0 ? signalName(-status) : null,
    wallMs: Math.round(wall / 1_000),
    cpuMs: Math.round((user + system) / 1_000),
    peakMemoryKiB: peak,
    stdoutBytes: out,
    stderrBytes: err,
    stoppedBy: stop === constants.signals.SIGKILL ? 'SIGKILL' : stop === constants.signals.SIGTERM ? 'SIGTERM' : null,
    survivors: left,
  }
}

function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`
}

function framed(fields: readonly (string | number)[]): string {
  const body = `${fields.join('\0')}\0`
  return `${Buffer.byteLength(body)}\n${body}`
}
