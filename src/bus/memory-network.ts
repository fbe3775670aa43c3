/**
 * What the connections of an in-memory network share: who listens, whether the network is up and takes appends, and
 * the order in which everything happens. One task per microtask, so that whoever awaits an answer goes on before the
 * next message, as with a socket.
 */
import { matches } from './checks.ts'
import type { Clock } from './memory-clock.ts'
import type { Shared } from './memory-streams.ts'
import type { Incoming } from './port.ts'

export interface Listener {
  readonly pattern: string
  readonly handler: (message: Incoming) => void
  stopped: boolean
}

export class Network implements Shared {
  readonly clock: Clock
  readonly maxPayload: number
  readonly streams: Shared['streams'] = new Map()
  readonly logs: Shared['logs'] = new Map()
  readonly leases: Shared['leases'] = new Map()
  readonly listeners = new Set<Listener>()
  readonly statusHandlers = new Set<() => void>()
  up = true
  appends: Shared['appends'] = 'none'
  // Two halves, one filled while the other is emptied: taking the first off a long array would move all the others.
  #tasks: (() => void)[] = []
  #current: (() => void)[] = []
  #next = 0
  #running = false
  readonly #untilUp: (() => void)[] = []
  readonly #untilAppending: (() => void)[] = []
  #inboxes = 0

  constructor({ clock, maxPayload }: Pick<Shared, 'clock' | 'maxPayload'>) {
    this.clock = clock
    this.maxPayload = maxPayload
  }

  later(task: () => void): void {
    this.#tasks.push(task)
    if (this.#running) return
    this.#running = true
    queueMicrotask(() => this.#step())
  }

  whenUp(task: () => void): void {
    if (this.up) this.later(task)
    else this.#untilUp.push(task)
  }

  whenAppending(task: () => void): void {
    if (this.appends === 'hold') this.#untilAppending.push(task)
    else this.whenUp(task)
  }

  deliver(message: Incoming): number {
    // Chosen before any is called: who subscribes while hearing it does not hear it.
    const hearing = [...this.listeners].filter(listener => matches(listener.pattern, message.subject))
    for (const listener of hearing) if (!listener.stopped) listener.handler(message)
    return hearing.length
  }

  newInbox(): string {
    this.#inboxes += 1
    return `_INBOX.${this.#inboxes}`
  }

  setUp(up: boolean): void {
    if (this.up === up) return
    this.up = up
    for (const handler of this.statusHandlers) handler()
    if (up) for (const task of this.#untilUp.splice(0)) this.later(task)
  }

  failAppends(how: Shared['appends']): void {
    this.appends = how
    if (how !== 'hold') for (const task of this.#untilAppending.splice(0)) this.whenUp(task)
  }

  async settle(): Promise<void> {
    // Twice empty: an answer may be on its way through promises between two deliveries.
    for (let quiet = 0; quiet < 2; quiet = this.#running ? 0 : quiet + 1)
      await new Promise(resolve => setImmediate(resolve))
  }

  #step(): void {
    if (this.#next === this.#current.length) {
      this.#current = this.#tasks
      this.#tasks = []
      this.#next = 0
    }
    const task = this.#current[this.#next]
    if (task === undefined) {
      this.#running = false
      return
    }
    this.#next += 1
    queueMicrotask(() => this.#step())
    task()
  }
}
