import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * The note a running `ocps serve` leaves where it was started, so that commands in the same directory, or below it, find its server
 * without being told: `.ocps/<instance>.json` with {url, pid}. It is a hint; whether anybody answers there is found out by asking.
 */
export interface UrlNote {
  readonly url: string
  readonly pid: number
}

export function urlFile(instance: string, directory: string = process.cwd()): string {
  return join(directory, '.ocps', `${instance}.json`)
}

export function writeUrlFile(path: string, note: UrlNote): void {
  mkdirSync(dirname(path), { recursive: true })
  // Written aside and moved, so that nobody reads half of it.
  const aside = `${path}.${process.pid}`
  writeFileSync(aside, `${JSON.stringify(note)}\n`)
  renameSync(aside, path)
}

/** Removes our own note only: a successor may have written its own already. */
export function removeUrlFile(path: string): void {
  if (readNote(path)?.pid === process.pid) rmSync(path, { force: true })
}

/** The note of this directory or the nearest one above, or null. */
export function findUrlNote(
  instance: string,
  from: string = process.cwd(),
): (UrlNote & { readonly path: string }) | null {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    const path = urlFile(instance, directory)
    const note = readNote(path)
    if (note) return { ...note, path }
    if (dirname(directory) === directory) return null
  }
}

function readNote(path: string): UrlNote | null {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<UrlNote>
    return typeof value.url === 'string' && typeof value.pid === 'number' ? { url: value.url, pid: value.pid } : null
  } catch {
    return null
  }
}
