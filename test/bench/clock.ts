/** The wall clock with microseconds, the same one that stamp.c reads, and the stamps of jobs. */
import { existsSync, readFileSync } from 'node:fs'

let offset = 0

/**
 * To be called before a measurement: the wall clock is slewed by time servers, and after minutes the two differ by
 * milliseconds.
 */
export function setClock(): void {
  const before = Date.now()
  let wall = before
  while (wall === before) wall = Date.now()
  offset = wall - performance.now()
}

/** Milliseconds since 1970. */
export function now(): number {
  if (offset === 0) setClock()
  return performance.now() + offset
}

/** When jobs began, by id, milliseconds since 1970; of a job that ran more than once the first time. */
export function readStamps(file: string): Map<string, number> {
  const stamps = new Map<string, number>()
  if (!existsSync(file)) return stamps
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [id = '', seconds = ''] = line.split(' ')
    if (seconds !== '' && !stamps.has(id)) stamps.set(id, Number(seconds) * 1_000)
  }
  return stamps
}
