import type { Observe } from '../observer.ts'

/**
 * Lets out what an instance says and orders only while it is certain to be the active one. A process that was frozen
 * does not know that another has taken over; so before it speaks it looks at the clock, and when its lease may have run
 * out it asks first. What waits meanwhile keeps its order; once shut, nothing comes out. Who holds the lease and who
 * writes the journal is decided elsewhere.
 */
export interface Gate {
  /** At once while we are certain; else in order when we are again; never once shut. */
  whenSure(act: () => void): void
  /** Whether it would act at once. */
  isSure(): boolean
  shut(): void
}

export interface GateOptions {
  readonly lease: { isSure(): boolean; lapses(): number }
  /**
   * Whether nobody else has written the journal; rejects while that cannot be asked. Asked when the lease had run out.
   */
  readonly isOurs: () => Promise<boolean>
  readonly onLost: () => void
  readonly observe?: Observe | undefined
}

// A renewal takes about a millisecond once the process runs again; the answer to who waits comes this late at most.
const LOOK_MS = 20

/**
 * What waits needs no bound of its own: nothing new is journaled while the server is away, and while it is there the
 * answer takes milliseconds.
 */
export function createGate({ lease, isOurs, onLost, observe }: GateOptions): Gate {
  let waiting: (() => void)[] = []
  let isAsking = false
  let isShut = false
  let lapsesSeen = lease.lapses()

  const isSure = () => !isShut && !isAsking && lease.isSure() && lease.lapses() === lapsesSeen
  return {
    isSure,
    whenSure(act) {
      if (isShut) return
      if (isSure()) return act()
      observe?.('gateWaits', 1)
      waiting.push(act)
      if (!isAsking) void ask()
    },
    shut() {
      isShut = true
      waiting = []
    },
  }

  async function ask(): Promise<void> {
    isAsking = true
    while (!(await isCertain())) {
      if (isShut) return
      await new Promise(resolve => void setTimeout(resolve, LOOK_MS).unref())
    }
    isAsking = false
    for (const act of waiting.splice(0)) if (!isShut) act()
  }

  async function isCertain(): Promise<boolean> {
    if (!lease.isSure()) return false
    const lapses = lease.lapses()
    if (lapses !== lapsesSeen) {
      const ours = await isOurs().catch(() => null)
      if (ours === false) onLost()
      if (ours !== true) return false
      observe?.('leaseLapses', lapses - lapsesSeen)
      lapsesSeen = lapses
    }
    return lease.isSure() && lease.lapses() === lapsesSeen
  }
}
