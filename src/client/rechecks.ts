import type { Bus } from '../bus/port.ts'
import { OcpsError } from './errors.ts'

/**
 * The net under the events: what is awaited and was not heard is asked for, at once when the server was away, and now
 * and then in any case. Whoever awaits something says how to ask for it; here is only when.
 */
export interface Rechecks {
  /** `ask` delivers by itself what it learns, and rejects when it learns nothing. Returns how to call it off. */
  add(ask: () => Promise<void>, giveUp: (error: OcpsError) => void): () => void
  close(): void
}

// An event is lost only with a server or a connection; this finds the rest.
const REGULAR_MS = 15_000
// After the server was away: until every question has been answered once.
const URGENT_MS = 500
// Questions at a time; an instance answers thousands a second.
const TOGETHER_MAX = 20
// An instance that says so in four rounds has lost the job with its journal; once may be an event that is still on its
// way.
const UNKNOWN_MAX = 4

interface Check {
  readonly ask: () => Promise<void>
  readonly giveUp: (error: OcpsError) => void
  unknown: number
}

export function createRechecks(bus: Bus): Rechecks {
  const checks = new Set<Check>()
  let timer: NodeJS.Timeout | undefined
  let away = false
  let asking = false
  /** The server came back while questions were on their way; some of them are lost. */
  let askAgain = false
  let closed = false
  bus.onStatus(status => {
    if (status === 'connected' && away) {
      askAgain = asking
      again(0)
    }
    away = status === 'disconnected'
  })
  return {
    add(ask, giveUp) {
      const check = { ask, giveUp, unknown: 0 }
      checks.add(check)
      if (timer === undefined && !asking) again(REGULAR_MS)
      return () => void checks.delete(check)
    },
    close() {
      closed = true
      clearTimeout(timer)
      checks.clear()
    },
  }

  function again(afterMs: number): void {
    clearTimeout(timer)
    timer = undefined
    if (closed || checks.size === 0) return
    timer = setTimeout(() => void round(), afterMs)
    timer.unref()
  }

  async function round(): Promise<void> {
    timer = undefined
    if (asking) return
    asking = true
    askAgain = false
    let answered = true
    // After closing there are no checks left, and each question below is skipped.
    const all = [...checks]
    for (let at = 0; at < all.length; at += TOGETHER_MAX) {
      const results = await Promise.all(all.slice(at, at + TOGETHER_MAX).map(one))
      if (results.includes(false)) {
        answered = false
        break
      }
    }
    asking = false
    again(answered && !askAgain ? REGULAR_MS : URGENT_MS)
  }

  /** Whether there was an answer. */
  async function one(check: Check): Promise<boolean> {
    if (!checks.has(check)) return true
    try {
      await check.ask()
      check.unknown = 0
      return true
    } catch (error) {
      if (!(error instanceof OcpsError) || error.kind !== 'UNKNOWN') return false
      check.unknown += 1
      if (check.unknown >= UNKNOWN_MAX && checks.delete(check)) check.giveUp(error)
      return true
    }
  }
}
