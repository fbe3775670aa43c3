import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { hasCredentials, shownUrl, withToken } from '../bus/serverUrl.ts'

/**
 * The note a running `ocps serve` leaves where it was started, so that commands in the same directory, or below it,
 * find its server without being told: `.ocps/<instance>.json` with {url, token, pid}. It is a hint; whether anybody
 * answers there is found out by asking. The token is that of a server of our own, and what keeps other users of the
 * machine out: the note is for its owner only. Credentials of any other server are never written down.
 */
export interface UrlNote {
  /** Without credentials. */
  readonly url: string
  readonly token?: string
  readonly pid: number
}

export function urlFile(instance: string, directory: string = process.cwd()): string {
  return join(directory, '.ocps', `${instance}.json`)
}

export function writeUrlFile(path: string, note: UrlNote): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Made by an older OCPS it is open to everybody.
  chmodSync(dirname(path), 0o700)
  // Written aside and moved, so that nobody reads half of it.
  const aside = `${path}.${process.pid}`
  rmSync(aside, { force: true })
  writeFileSync(aside, `${JSON.stringify(note)}\n`, { mode: 0o600 })
  renameSync(aside, path)
}

/** Removes our own note only: a successor may have written its own already. */
export function removeUrlFile(path: string): void {
  if (readNote(path)?.pid === process.pid) rmSync(path, { force: true })
}

/** The note of this directory or the nearest one above, or null; its url is one to connect to. */
export function findUrlNote(
  instance: string,
  from: string = process.cwd(),
): (UrlNote & { readonly path: string }) | null {
  for (const directory of upwards(from)) {
    const path = urlFile(instance, directory)
    const note = readNote(path)
    // Two instances with one server: only the one that brought it along has the token.
    if (note) return { ...note, url: withNotedToken(urlOf(note), from), path }
  }
  return null
}

/** A URL without credentials, as it is shown, with the token that a note here or above has for it. */
export function withNotedToken(url: string, from: string = process.cwd()): string {
  if (hasCredentials(url)) return url
  for (const directory of upwards(from))
    for (const name of namesIn(join(directory, '.ocps'))) {
      const note = name.endsWith('.json') ? readNote(join(directory, '.ocps', name)) : null
      if (note?.token !== undefined && note.url === shownUrl(url)) return urlOf(note)
    }
  return url
}

function urlOf({ url, token }: UrlNote): string {
  return token === undefined ? url : withToken(url, token)
}

function upwards(from: string): string[] {
  const directory = resolve(from)
  const above = dirname(directory)
  return above === directory ? [directory] : [directory, ...upwards(above)]
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function readNote(path: string): UrlNote | null {
  try {
    const { url, token, pid } = JSON.parse(readFileSync(path, 'utf8')) as Partial<UrlNote>
    if (typeof url !== 'string' || typeof pid !== 'number') return null
    return { url, pid, ...(typeof token === 'string' && { token }) }
  } catch {
    return null
  }
}
