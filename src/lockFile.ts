/**
 * A lock on a directory with a living owner: a file that names the process that holds it. Promises that a lock left by
 * a crash is told apart from one in use, also after its pid was given to another process, after a restart of the
 * machine, and on a file system that several machines share. What the lock is for, and who else may take it, is its
 * user's.
 */
import { randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { bootId, identityOf, isAlive, isAlivePid } from './processes.ts'

export interface Owner {
  /** Its pid. */
  readonly owner: number
  /** As in ProcessIdentity; a lock of an older OCPS has only the pid. */
  readonly startTime?: number
  readonly bootId?: string
  readonly host?: string
  readonly since?: string
}

export interface LockFile<Facts extends object> {
  /** Changes what it says besides its owner. */
  say(facts: Facts): Promise<void>
  release(): Promise<void>
}

/** Thrown where the owner lives. */
export class Locked<Facts extends object> extends Error {
  readonly by: Owner & Partial<Facts>
  constructor(path: string, by: Owner & Partial<Facts>) {
    super(`${path} is held by process ${by.owner}${by.host === undefined ? '' : ` on ${by.host}`}`)
    this.by = by
  }
}

/**
 * How often an owner shows that it lives, and how long another machine, which cannot see its process, looks for that.
 */
const ALIVE_MS = 2_000
const WATCHED_MS = 7_000
const WATCH_MS = 250
/** Several may find a dead owner's lock at once; one of them gets it within a few attempts. */
const ATTEMPTS_MAX = 50

/**
 * `isOurs`: whether one may take the lock of a living owner. `beforeTaking` is done once the lock of another one is
 * known to be free.
 */
export async function takeLockFile<Facts extends object>(
  path: string,
  facts: Facts,
  { isOurs = () => false, beforeTaking = () => Promise.resolve() }: LockOptions<Facts> = {},
): Promise<LockFile<Facts>> {
  const id = randomUUID()
  const me = { owner: process.pid, startTime: ownStartTime(), bootId: bootId(), host: hostname(), id }
  const since = new Date().toISOString()
  let mine = ''
  const put = async (what: Facts, into: (aside: string) => Promise<boolean>): Promise<boolean> => {
    const aside = `${path}.${id}`
    mine = JSON.stringify({ ...me, since, ...what })
    await writeFile(aside, mine, { mode: 0o600 })
    try {
      return await into(aside)
    } finally {
      await rm(aside, { force: true })
    }
  }
  for (let attempt = 0; ; attempt += 1) {
    if (await put(facts, aside => linked(aside, path, mine))) break
    if (attempt >= ATTEMPTS_MAX) throw new Error(`the lock ${path} changes hands all the time`)
    const text = await textIn(path)
    if (text === null) continue
    const found = parsed<Facts>(text)
    if (found !== null && !isOurs(found) && (await lives(found, path))) throw new Locked<Facts>(path, found)
    if (found !== null) await beforeTaking(found)
    await clear(path, text, id)
  }
  let latest = facts
  let isReleased = false
  let working: Promise<unknown> = Promise.resolve()
  const inTurn = async (work: () => Promise<unknown>): Promise<void> => {
    working = working.then(work, work)
    await working
  }
  const timer = setInterval(() => void inTurn(showLife).catch(() => {}), ALIVE_MS)
  timer.unref()

  return {
    say: what =>
      inTurn(async () => {
        if ((await textIn(path)) !== mine) return
        latest = what
        await put(what, async aside => {
          await rename(aside, path)
          return true
        })
      }),
    release: () => {
      clearInterval(timer)
      return inTurn(async () => {
        isReleased = true
        // Whoever took it over meanwhile keeps it.
        if ((await textIn(path)) === mine) await rm(path, { force: true })
      })
    },
  }

  async function showLife(): Promise<void> {
    if (isReleased) return
    const text = await textIn(path)
    const now = new Date()
    if (text === mine) await utimes(path, now, now)
    // Removed by one that took it by mistake, and gave it back to nobody.
    else if (text === null) await put(latest, aside => linked(aside, path, mine))
  }
}

interface LockOptions<Facts> {
  readonly isOurs?: (owner: Owner & Partial<Facts>) => boolean
  readonly beforeTaking?: (owner: Owner & Partial<Facts>) => Promise<void>
}

async function lives({ owner, startTime, bootId: boot, host }: Owner, path: string): Promise<boolean> {
  if (host !== undefined && host !== hostname()) return await showsLife(path)
  if (boot !== undefined && boot !== bootId()) return false
  return startTime === undefined ? isAlivePid(owner) : isAlive({ pid: owner, startTime })
}

async function showsLife(path: string): Promise<boolean> {
  const before = await changedAt(path)
  for (let waitedMs = 0; waitedMs < WATCHED_MS; waitedMs += WATCH_MS) {
    await delay(WATCH_MS)
    if ((await changedAt(path)) !== before) return true
  }
  return false
}

/** Opened anew each time: that is when a network file system asks its server. */
async function changedAt(path: string): Promise<number> {
  const file = await open(path, 'r').catch(() => null)
  if (file === null) return 0
  const { mtimeMs } = await file.stat()
  await file.close()
  return mtimeMs
}

/** False where there is one already. The link makes the file appear whole. */
async function linked(aside: string, path: string, text: string): Promise<boolean> {
  try {
    await link(aside, path)
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return false
    if (!NO_LINKS.includes(code)) throw error
  }
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Removes the lock that was read, and no newer one. */
async function clear(path: string, text: string, id: string): Promise<void> {
  const old = `${path}.${id}.old`
  try {
    await rename(path, old)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  if ((await textIn(old)) !== text) await link(old, path).catch(() => {})
  await rm(old, { force: true })
}

async function textIn(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  })
}

/** null: half written by an older OCPS that died, so nobody's. */
function parsed<Facts>(text: string): (Owner & Partial<Facts>) | null {
  try {
    const lock = JSON.parse(text) as Partial<Owner> | null
    return typeof lock?.owner === 'number' ? (lock as Owner & Partial<Facts>) : null
  } catch {
    return null
  }
}

function ownStartTime(): number {
  return identityOf(process.pid)?.startTime ?? Date.now() / 1_000 - process.uptime()
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
