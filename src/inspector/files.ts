/**
 * The files of jobs, for looking at: a job's directory listed, and one file of it. Nothing outside the work directory
 * is ever opened: the job id is spelled as the executor spells it, and what a path really is (links followed) must lie
 * in that job's directory. The job may be at work in it: what was found is opened once, as what it is then, and only so
 * much is looked at as a page can show.
 */
import { lstatSync, opendirSync, realpathSync } from 'node:fs'
import { join, sep } from 'node:path'
import { encodeToken } from '../../machines/domain/dataId.ts'
import { openUntrusted } from '../jobFiles/untrusted.ts'

export interface Found {
  /** Open for reading; whoever asked for it closes it. */
  readonly descriptor: number
  readonly size: number
  /** How it may be shown; what a browser could execute is only ever downloaded. */
  readonly mime: string
  readonly inline: boolean
}

export interface Listed {
  readonly path: string
  readonly size: number
}

// What a page can list without being long to draw; the rest is on the disk.
const LISTED_MAX = 200
// A job may leave millions of files; looking at this many takes some 10 ms.
const LOOKED_AT_MAX = 2_000

/** A file of a job, opened, or null for anything that is not a regular file inside that job's directory. */
export function findFile(workDir: string, jobId: string, path: string): Found | null {
  const directory = inside(workDir, jobId, '.')
  const found = inside(workDir, jobId, path)
  if (directory === null || found === null || found === directory) return null
  const opened = openUntrusted(directory, found.slice(directory.length + 1))
  if (opened === null) return null
  const mime = MIMES[found.slice(found.lastIndexOf('.') + 1).toLowerCase()]
  return {
    descriptor: opened.descriptor,
    size: opened.stat.size,
    mime: mime ?? (found.includes('.') ? BINARY : TEXT),
    inline: mime !== undefined,
  }
}

/** Regular files of a job's directory, by name; null where there is none. Links are not followed. */
export function listFiles(workDir: string, jobId: string): readonly Listed[] | null {
  const directory = inside(workDir, jobId, '.')
  if (directory === null) return null
  const listed: Listed[] = []
  const folders = [directory]
  let lookedAt = 0
  for (const folder of folders) {
    for (const { name, isFile, isDirectory } of entriesOf(folder, LOOKED_AT_MAX - lookedAt)) {
      lookedAt += 1
      const path = join(folder, name)
      if (isDirectory) folders.push(path)
      else if (isFile && listed.length < LISTED_MAX)
        listed.push({ path: path.slice(directory.length + 1), size: sizeOf(path) })
    }
    if (lookedAt >= LOOKED_AT_MAX || listed.length >= LISTED_MAX) break
  }
  return listed.sort((a, b) => (a.path < b.path ? -1 : 1))
}

interface Entry {
  readonly name: string
  readonly isFile: boolean
  readonly isDirectory: boolean
}

function entriesOf(folder: string, most: number): Entry[] {
  const entries: Entry[] = []
  try {
    const opened = opendirSync(folder)
    try {
      while (entries.length < most) {
        const entry = opened.readSync()
        if (entry === null) break
        entries.push({ name: entry.name, isFile: entry.isFile(), isDirectory: entry.isDirectory() })
      }
    } finally {
      opened.closeSync()
    }
  } catch {
    // It is gone or may not be entered: what was seen of it counts.
  }
  return entries
}

function sizeOf(path: string): number {
  try {
    return lstatSync(path).size
  } catch {
    return 0
  }
}

function inside(workDir: string, jobId: string, path: string): string | null {
  if (jobId === '' || path.includes('\0')) return null
  try {
    const root = realpathSync(workDir)
    const directory = join(root, encodeToken(jobId))
    if (realpathSync(directory) !== directory) return null
    const real = realpathSync(join(directory, path))
    return real === directory || real.startsWith(directory + sep) ? real : null
  } catch {
    return null
  }
}

const TEXT = 'text/plain; charset=utf-8'
const BINARY = 'application/octet-stream'

// No HTML and no SVG: they can hold scripts.
const MIMES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  txt: TEXT,
  log: TEXT,
  out: TEXT,
  err: TEXT,
  csv: TEXT,
  ndjson: TEXT,
  yaml: TEXT,
  json: 'application/json',
}
