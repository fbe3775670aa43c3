import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, BusError, type BusErrorCode, type LeaseResult } from '../bus/port.ts'
import { streams } from '../contract/subjects.ts'
import type { Log } from '../log.ts'
import { UserError } from '../userError.ts'
import type { Held } from './leadership.ts'

/**
 * Waiting to become the active process under a name: for a lease that its holder lost, and again when taking over did
 * not work out.
 */

// The server notices within a quarter of a second that a lease ran out: who stands by has taken over three seconds
// after its holder died or froze.
export const LEASE_MS = 2_000
// How often who waits for the lease asks for it: a handful of small requests.
const LEASE_POLL_MS = 100
// Not at once: a server that restarts would be asked hundreds of times, to no avail.
const STANDBY_AGAIN_MS = 1_000

/** Who stood by could not take over for a reason that will pass: it stands by again. */
export class NotNow extends Error {
  readonly isTakeover: boolean
  constructor(why: string, isTakeover: boolean) {
    super(why)
    this.isTakeover = isTakeover
  }
}

const PASSING: ReadonlySet<BusErrorCode> = new Set(['TIMEOUT', 'CLOSED', 'UNREACHABLE', 'FENCED'])

export function willPass(problem: unknown): problem is BusError {
  return problem instanceof BusError && PASSING.has(problem.code)
}

/** Tries until it is not put off any more. `isTakeover`: an earlier try had taken over from somebody. */
export async function untilNow<T>(attempt: (isTakeover: boolean) => Promise<T>): Promise<T> {
  for (let isTakeover = false; ; ) {
    try {
      return await attempt(isTakeover)
    } catch (error) {
      if (!(error instanceof NotNow)) throw error
      isTakeover = error.isTakeover
    }
    await delay(STANDBY_AGAIN_MS)
  }
}

export interface LeaseWanted {
  readonly instance: string
  readonly standby: boolean
  readonly onWaiting: (active: string) => void
  readonly onLost: () => void
  readonly log: Log
}

/**
 * Waits out the lease of a holder that died, and refuses if the holder lives; standing by, waits for as long as it
 * takes.
 */
export async function takeLease(bus: Bus, wanted: LeaseWanted): Promise<{ lease: Held; isTakeover: boolean }> {
  const { instance, standby, onWaiting, onLost, log } = wanted
  const holder = `process ${process.pid} on ${hostname()} since ${new Date().toISOString()}`
  const deadline = performance.now() + LEASE_MS + 1_000
  const server = new ServerSeen(bus)
  const ask = () => bus.lease({ name: streams(instance).lease, holder, ttlMs: LEASE_MS, onLost })
  let active = ''
  for (;;) {
    const result = standby ? await server.askedCalmly(ask) : await ask()
    if (result?.held) {
      if (active !== '') log.info({ before: active }, `OCPS ${instance} takes over from ${active}`)
      return { lease: result, isTakeover: active !== '' }
    }
    if (standby && result !== null && result.holder !== active && result.holder !== 'unknown') {
      active = result.holder
      log.info({ active }, `OCPS ${instance} stands by; active is ${active}`)
      onWaiting(active)
    }
    if (!standby && performance.now() > deadline && result !== null)
      throw new UserError(
        `an instance named ${instance} is running already: ${result.holder}; stop it first, or choose another name with --instance`,
      )
    await delay(LEASE_POLL_MS)
  }
}

/**
 * A server that was away may have forgotten the lease; the active one, which comes back to it at the same moment, goes
 * on if it lives.
 */
class ServerSeen {
  #notBefore = 0
  #isFirst = true

  constructor(bus: Bus) {
    bus.onStatus(status => {
      if (status === 'connected' && !this.#isFirst) this.#notBefore = performance.now() + LEASE_MS
      this.#isFirst = false
    })
  }

  /** null: it is away, or was a moment ago. */
  async askedCalmly(ask: () => Promise<LeaseResult>): Promise<LeaseResult | null> {
    if (performance.now() < this.#notBefore) return null
    try {
      return await ask()
    } catch (error) {
      if (error instanceof BusError && error.code === 'CLOSED') throw error
      return null
    }
  }
}
