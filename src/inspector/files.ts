/**
 * The files of jobs, for looking at: a job's directory listed, and one file of it. Nothing outside the work directory is ever opened: the job id is
 * spelled as the executor spells it, and what a path really is (links followed) must lie in that job's directory.
 */
import { realpathSync, readdirSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { encodeToken } from '../../machines/domain/dataId.ts'

export interface Found {
  readonly path: string
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

/** The real path of a file of a job, or null for anything that is not a regular file inside that job's directory. */
export function findFile(workDir: string, jobId: string, path: string): Found | null {
  const found = inside(workDir, jobId, path)
  if (found === null) return null
  const stat = statSync(found)
  if (!stat.isFile()) return null
  const mime = MIMES[found.slice(found.lastIndexOf('.') + 1).toLowerCase()]
  return {
    path: found,
    size: stat.size,
    mime: mime ?? (found.includes('.') ? BINARY : TEXT),
    inline: mime !== undefined,
  }
}

/** Regular files of a job's directory, by name; null where there is none. Links are not followed. */
export function listFiles(workDir: string, jobId: string): readonly Listed[] | null {
  const directory = inside(workDir, jobId, '.')
  if (directory === null) return null
  try {
    return readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter(entry => entry.isFile())
      .slice(0, LISTED_MAX)
      .map(entry => join(entry.parentPath, entry.name))
      .map(path => ({ path: path.slice(directory.length + 1), size: statSync(path).size }))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  } catch {
    return null
  }
}

function inside(workDir: string, jobId: string, path: string): string | null {
  if (jobId === '' || path.includes('\0')) return null
  try {
    const root = realpathSync(workDir)
    const directory = realpathSync(join(root, encodeToken(jobId)))
    if (!directory.startsWith(root + sep)) return null
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
