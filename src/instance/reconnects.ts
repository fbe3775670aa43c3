import type { Bus } from '../bus/port.ts'
import type { Observe } from '../observer.ts'

/** Each connection after the first. */
export function countReconnects(bus: Pick<Bus, 'onStatus'>, observe: Observe): void {
  let wasLost = false
  bus.onStatus(status => {
    if (status === 'connected' && wasLost) observe('busReconnects', 1)
    wasLost = status === 'disconnected'
  })
}
