import type { Gate } from './gate.ts'

/**
 * What a CSC publishes by itself, held back while it is not certain to be the active one. Of what waits only the newest
 * come out: one late heartbeat and not thirty old ones, the last lines of the log and not all of an outage.
 */
export function newest(gate: Pick<Gate, 'whenSure'>, countMax: number): (publish: () => void) => void {
  let waiting: (() => void)[] = []
  return publish => {
    const isWaiting = waiting.length > 0
    waiting = [...waiting, publish].slice(-countMax)
    if (isWaiting) return
    gate.whenSure(() => {
      for (const one of waiting.splice(0)) one()
    })
  }
}
