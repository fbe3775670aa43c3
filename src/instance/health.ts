import type { Bus } from '../bus/port.ts'
import type { StateAnswer } from '../contract/answers.ts'
import { stateOf } from '../engine/queries.ts'
import type { Engine } from '../engine/engine.ts'
import { text, type Answer, type Routes } from '../http/listener.ts'
import type { Facts, Metrics } from '../http/metrics.ts'
import type { Observe } from '../observer.ts'

/**
 * Whether this process can do its work now: ready is the active process whose server answers, whose journal may be
 * written (the lease is surely held), and whose CSC is not in FAULT. One that stands by is alive and not ready.
 */
export class Health {
  #why: () => string | null = () => 'it is starting, or stands by for another process'

  watch(bus: Pick<Bus, 'onStatus'>, leadership: { isSure(): boolean }, { world }: Pick<Engine, 'world'>): void {
    let isConnected = true
    bus.onStatus(status => {
      isConnected = status === 'connected'
    })
    this.#why = () => {
      if (!isConnected) return 'the NATS server does not answer'
      if (!leadership.isSure()) return 'it is not sure to be the active process: its lease was not renewed'
      return stateOf(world).summaryState === 'FAULT' ? `the CSC is in FAULT: ${stateOf(world).errorReport}` : null
    }
  }

  /** null: it is ready. */
  whyNotReady(): string | null {
    return this.#why()
  }
}

export function routesOf(health: Health, metrics: Metrics): Routes {
  return new Map<string, () => Answer | Promise<Answer>>([
    ['/health/live', () => text(200, 'alive')],
    [
      '/health/ready',
      () => {
        const why = health.whyNotReady()
        return why === null ? text(200, 'ready') : text(503, `not ready: ${why}`)
      },
    ],
    ['/metrics', () => metrics.answer()],
  ])
}

export function factsOf(world: Engine['world']): Facts {
  const { summaryState, queue, groups, shelf } = stateOf(world)
  const { waiting, running, held, slots, slotsTaken }: StateAnswer['queue'] = queue
  return { summaryState, waiting, running, held, slots, slotsTaken, groups, shelf }
}

export function both(one: Observe | undefined, other: Observe): Observe {
  if (one === undefined) return other
  return (...observed) => {
    one(...observed)
    other(...observed)
  }
}
