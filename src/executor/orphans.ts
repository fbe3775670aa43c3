/**
 * Follows jobs that our present launcher did not start: those of an earlier OCPS, and those of a launcher that died
 * under us. The ledger tells how they end while their launcher lives; after that only whether their process is still
 * there. It proves and tells; reporting is left to subprocess.ts.
 */
import { isLauncherAlive, type LauncherFacts, type Ledger, type LedgerEntry, openLedger } from './ledger.ts'
import { bootId, isAlive, isStopped, type ProcessIdentity, signalGroup, sweep } from '../processes.ts'
import type { Ending, LauncherMessage } from './protocol.ts'

/** How late an ending is heard at most; one look is a stat-sized read per launcher, not per job. */
const LOOK_MS = 25
/**
 * A launcher of an earlier OCPS says within milliseconds that it starts nothing more; one that is frozen or too old to
 * know is waited for this long.
 */
const NOT_GIVEN_MS = 1_000

/** A launcher says how a job ended within 4 s of its end (a second's grace for leftovers, three of proof). */
const ENDING_MS_MAX = 30_000

export interface Orphan {
  readonly key: string
  readonly directory: string
  readonly slots: number
  readonly pool: string
  started(pid: number): void
  failed(failure: Extract<LauncherMessage, { kind: 'failed' }>): void
  ended(ending: Ending, stoppedBy: Ending['stoppedBy']): void
  lost(reason: string): void
  /** No launcher ever took it up, so it never ran. */
  notGiven(): void
}

export interface Orphans {
  /** Looks at once, then until each has had exactly one of failed, ended, lost and notGiven. */
  take(orphans: readonly Orphan[]): void
  has(key: string): boolean
  /** Pool → slots taken by those that are followed. */
  slots(): ReadonlyMap<string, number>
  /** False when it is not one of ours. */
  stop(key: string, graceMs: number): boolean
  close(): void
}

export function slotsByPool(all: readonly Pick<Orphan, 'pool' | 'slots'>[]): ReadonlyMap<string, number> {
  const taken = new Map<string, number>()
  for (const { pool, slots } of all) taken.set(pool, (taken.get(pool) ?? 0) + slots)
  return taken
}

interface Followed {
  readonly orphan: Orphan
  readonly ledger: Ledger
  readonly sinceMs: number
  process: ProcessIdentity | null
  toldStarted: boolean
  /** Null: nobody asked to stop it. */
  grace: { readonly ms: number; termAtMs: number | null } | null
  stoppedBy: Ending['stoppedBy']
  /** When its process was first seen gone without a word of its launcher. */
  goneSinceMs: number | null
}

export interface OrphansOptions {
  readonly ledgerDir: string
  /** Who is not sure to be the active OCPS looks at nothing, for what it would say and end is another's by now. */
  readonly whenActive: (act: () => void) => void
  /** The pid of our present launcher, which was never given what is followed here; null while there is none. */
  readonly ownLauncher: () => number | null
}

export function createOrphans({ ledgerDir, whenActive, ownLauncher }: OrphansOptions): Orphans {
  const followed = new Map<string, Followed>()
  let timer: NodeJS.Timeout | null = null
  let closed = false
  let isLooking = false

  const look = (): void => {
    timer = null
    if (isLooking) return
    isLooking = true
    whenActive(lookNow)
  }

  const lookNow = (): void => {
    isLooking = false
    if (closed) return
    const doomed = new Map<Followed, string>()
    for (const ledger of new Set(Array.from(followed.values(), one => one.ledger))) {
      // First who lives, then what is written: a launcher that is dead now has written all it ever will.
      const living = ledger.launchers.filter(isLauncherAlive)
      // A job may have stopped the launcher that waits for it, and nobody else looks after one that is not ours any
      // more.
      for (const launcher of living) if (launcher.pid !== ownLauncher() && isStopped(launcher)) wake(launcher.pid)
      ledger.update()
      for (const one of followed.values()) if (one.ledger === ledger) lookAt(one, living, doomed)
    }
    bury(doomed)
    schedule()
  }

  const lookAt = (one: Followed, living: readonly LauncherFacts[], doomed: Map<Followed, string>): void => {
    const { orphan } = one
    const entry = one.ledger.entry(orphan.key)
    if (entry === null) {
      const mayBegin = living.some(launcher => launcher.pid !== ownLauncher() && !one.ledger.isDeaf(launcher))
      if (mayBegin && performance.now() - one.sinceMs < NOT_GIVEN_MS) return
      followed.delete(orphan.key)
      return orphan.notGiven()
    }
    if (entry.process && !one.toldStarted) {
      one.toldStarted = true
      one.process = entry.process
      orphan.started(entry.process.pid)
    }
    if (entry.failure || entry.ending) followed.delete(orphan.key)
    if (entry.failure) return orphan.failed(entry.failure)
    if (entry.ending) return orphan.ended(entry.ending, one.stoppedBy)
    if (entry.process && isSameBoot(entry)) stopIfAsked(one, entry.process)
    if (entry.process && isSameBoot(entry) && isAlive(entry.process)) return
    if (living.some(({ pid }) => pid === entry.launcher.pid)) {
      one.goneSinceMs ??= performance.now()
      if (entry.process === null || performance.now() - one.goneSinceMs < ENDING_MS_MAX) return
    }
    doomed.set(one, evidence(entry, one.goneSinceMs !== null))
  }

  /** One look through all processes for everyone who is lost in this turn. */
  const bury = (doomed: ReadonlyMap<Followed, string>): void => {
    const swept = sweep(new Set(Array.from(doomed.keys(), ({ orphan }) => orphan.directory)))
    for (const [one, reason] of doomed) {
      followed.delete(one.orphan.key)
      one.orphan.lost(swept > 0 ? `${reason}; ${swept} processes left behind were killed` : reason)
    }
  }

  const schedule = (): void => {
    if (timer === null && followed.size > 0 && !closed) timer = setTimeout(look, LOOK_MS)
  }

  return {
    take: orphans => {
      const ledger = openLedger(ledgerDir, new Set(orphans.map(({ key }) => key)))
      const rest = {
        ledger,
        sinceMs: performance.now(),
        process: null,
        toldStarted: false,
        grace: null,
        stoppedBy: null,
        goneSinceMs: null,
      }
      for (const orphan of orphans) followed.set(orphan.key, { orphan, ...rest })
      if (timer !== null) clearTimeout(timer)
      look()
    },
    has: key => followed.has(key),
    slots: () => slotsByPool(Array.from(followed.values(), ({ orphan }) => orphan)),
    stop: (key, graceMs) => {
      const one = followed.get(key)
      if (one) one.grace ??= { ms: graceMs, termAtMs: null }
      const leader = one?.process
      if (leader) whenActive(() => stopIfAsked(one, leader))
      return one !== undefined
    },
    close: () => {
      closed = true
      followed.clear()
      if (timer !== null) clearTimeout(timer)
    },
  }
}

function stopIfAsked(one: Followed, leader: ProcessIdentity): void {
  if (one.grace === null || one.stoppedBy === 'SIGKILL' || !isAlive(leader)) return
  const nowMs = performance.now()
  if (one.grace.termAtMs === null) {
    one.grace.termAtMs = nowMs
    one.stoppedBy = 'SIGTERM'
    signalGroup(leader.pid, 'SIGTERM')
    signalGroup(leader.pid, 'SIGCONT')
  } else if (nowMs - one.grace.termAtMs >= one.grace.ms) {
    one.stoppedBy = 'SIGKILL'
    signalGroup(leader.pid, 'SIGKILL')
  }
}

function isSameBoot(entry: LedgerEntry): boolean {
  return entry.launcher.bootId === bootId()
}

function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It ended in the meantime.
  }
}

function evidence(entry: LedgerEntry, isLauncherThere: boolean): string {
  const launcher = `launcher ${entry.launcher.pid}`
  if (!isSameBoot(entry)) return 'The machine was started anew since, and nothing tells how the process ended'
  if (entry.process && isLauncherThere)
    return `Process ${entry.process.pid} is gone, and its ${launcher} is there but did not say within ${ENDING_MS_MAX / 1_000} s how it ended`
  return entry.process
    ? `Process ${entry.process.pid} is gone, and its ${launcher} died before it could say how it ended`
    : `Its ${launcher} died between preparing it and saying that it runs`
}
