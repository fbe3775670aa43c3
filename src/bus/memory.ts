/**
 * The bus without a server: connections of one network in one process see each other's messages, retained streams, logs and leases.
 * Promises the same behaviour as nats.ts (one contract test), delivers in order by microtasks, and can be cut, filled up or held for
 * tests. It keeps nothing beyond the process.
 */
import { checkHeaders, checkPattern, checkSize, checkSubject, matches, wireBytes } from './checks.ts'
import { type Clock, realClock } from './memory-clock.ts'
import { type Connection, openMemoryLease, openMemoryLog, openMemoryRetained, type Shared } from './memory-streams.ts'
import { type Bus, BusError, type Headers, type Incoming, type RequestOptions } from './port.ts'

export interface MemoryOptions {
  /** For timeouts and leases; default the real one. */
  readonly clock?: Clock
  /** Bytes; default the server's 1 MiB. */
  readonly maxPayload?: number
}

export interface MemoryNetwork {
  connect(name: string): Bus
  /** As if the server had gone away: messages are lost, what is acknowledged waits. */
  disconnect(): void
  reconnect(): void
  /** FULL: every append is refused. hold: appends are neither stored nor refused until `none`. */
  failAppends(how: 'none' | 'FULL' | 'hold'): void
  /** Resolves when every message so far, and every message sent in answer, has been delivered. */
  settle(): Promise<void>
}

interface Listener {
  readonly pattern: string
  readonly handler: (message: Incoming) => void
  stopped: boolean
}

const maxPayloadDefault = 1024 * 1024

export function createMemoryNetwork(options: MemoryOptions = {}): MemoryNetwork {
  const clock = options.clock ?? realClock
  const listeners = new Set<Listener>()
  const statusHandlers = new Set<() => void>()
  // Two halves, one filled while the other is emptied: taking the first off a long array would move all the others.
  let tasks: (() => void)[] = []
  let current: (() => void)[] = []
  let next = 0
  const untilUp: (() => void)[] = []
  const untilAppending: (() => void)[] = []
  let running = false
  let inboxes = 0

  const shared: Shared = {
    clock,
    maxPayload: options.maxPayload ?? maxPayloadDefault,
    streams: new Map(),
    logs: new Map(),
    leases: new Map(),
    up: true,
    appends: 'none',
    later: task => {
      tasks.push(task)
      run()
    },
    whenUp: task => {
      if (shared.up) shared.later(task)
      else untilUp.push(task)
    },
    whenAppending: task => {
      if (shared.appends === 'hold') untilAppending.push(task)
      else shared.whenUp(task)
    },
    deliver: message => {
      // Chosen before any is called: who subscribes while hearing it does not hear it.
      const hearing = [...listeners].filter(listener => matches(listener.pattern, message.subject))
      for (const listener of hearing) if (!listener.stopped) listener.handler(message)
      return hearing.length
    },
  }

  return {
    connect,
    disconnect: () => {
      if (!shared.up) return
      shared.up = false
      for (const handler of statusHandlers) handler()
    },
    reconnect: () => {
      if (shared.up) return
      shared.up = true
      for (const handler of statusHandlers) handler()
      for (const task of untilUp.splice(0)) shared.later(task)
    },
    failAppends: how => {
      shared.appends = how
      if (how !== 'hold') for (const task of untilAppending.splice(0)) shared.whenUp(task)
    },
    settle: async () => {
      // Twice empty: an answer may be on its way through promises between two deliveries.
      for (let quiet = 0; quiet < 2; quiet = running ? 0 : quiet + 1)
        await new Promise(resolve => setImmediate(resolve))
    },
  }

  /** One task per microtask, so that whoever awaits an answer goes on before the next message, as with a socket. */
  function run(): void {
    if (running) return
    running = true
    queueMicrotask(step)
  }

  function step(): void {
    if (next === current.length) {
      current = tasks
      tasks = []
      next = 0
    }
    const task = current[next]
    if (task === undefined) {
      running = false
      return
    }
    next += 1
    queueMicrotask(step)
    task()
  }

  function connect(name: string): Bus {
    const own = new Set<Listener>()
    const closedHandlers = new Set<() => void>()
    let closed = false
    const connection: Connection = { name, isClosed: () => closed, onClosed: handler => closedHandlers.add(handler) }
    const handlers = new Set<() => void>()

    return {
      server: { url: `memory://${name}`, version: 'memory', maxPayload: shared.maxPayload, isLoopbackOnly: true },

      subscribe: (subject, handler) => {
        checkPattern(subject)
        checkOpen()
        const listener = listen(subject, handler)
        return {
          stop: async () => {
            // After what was sent before, as the server does it.
            await new Promise<void>(resolve => shared.later(resolve))
            forget(listener)
          },
        }
      },

      publish: (subject, body, headers) => {
        checkSubject(subject)
        checkOpen()
        send(subject, body, headers ?? {}, null)
      },

      request: async (subject, body, requestOptions) => {
        for await (const answer of ask(subject, body, { ...requestOptions, last: () => true })) return answer
        throw new Error('impossible: a request ended without an answer or an error')
      },
      requestMany: ask,

      retained: async retained => {
        checkOpen()
        return openMemoryRetained(shared, connection, retained)
      },
      log: async log => {
        checkOpen()
        return openMemoryLog(shared, connection, log)
      },
      lease: async lease => {
        checkOpen()
        return openMemoryLease(shared, connection, lease)
      },

      onStatus: handler => {
        const tell = (): void => handler(shared.up && !closed ? 'connected' : 'disconnected')
        handlers.add(tell)
        statusHandlers.add(tell)
        tell()
      },

      close: async () => {
        if (closed) return
        closed = true
        await new Promise<void>(resolve => shared.later(resolve))
        for (const listener of own) forget(listener)
        for (const handler of closedHandlers) handler()
        for (const tell of handlers) {
          statusHandlers.delete(tell)
          tell()
        }
      },
    }

    function checkOpen(): void {
      if (closed) throw new BusError('CLOSED', `The connection ${name} is closed.`)
    }

    function listen(pattern: string, handler: (message: Incoming) => void): Listener {
      const listener = { pattern, handler, stopped: false }
      listeners.add(listener)
      own.add(listener)
      return listener
    }

    function forget(listener: Listener): void {
      listener.stopped = true
      listeners.delete(listener)
      own.delete(listener)
    }

    function send(
      subject: string,
      body: string,
      headers: Headers,
      reply: string | null,
      onHeard?: (by: number) => void,
    ): void {
      checkHeaders(headers)
      checkSize(subject, wireBytes(body, headers), shared.maxPayload)
      if (!shared.up) return
      const message: Incoming = { subject, body: new TextEncoder().encode(body), headers: asReceived(headers), reply }
      shared.later(() => {
        const id = message.headers['nats-msg-id'] ?? ''
        for (const stream of shared.streams.values()) stream.keep(subject, body, id || null)
        for (const log of shared.logs.values()) log.keep(subject, body, id)
        const heard = shared.deliver(message)
        onHeard?.(heard)
      })
    }

    async function* ask(
      subject: string,
      body: string,
      { timeoutMs, headers, last }: RequestOptions & { last: (answer: Incoming) => boolean },
    ): AsyncGenerator<Incoming> {
      checkSubject(subject)
      checkOpen()
      inboxes += 1
      const inbox = `_INBOX.${inboxes}`
      const arrived: Incoming[] = []
      let nobody = false
      let wake = nothing
      const listener = listen(inbox, answer => {
        arrived.push(answer)
        wake()
      })
      try {
        send(subject, body, headers ?? {}, inbox, by => {
          nobody = by === 0
          wake()
        })
        for (;;) {
          const answer = arrived.shift()
          if (answer !== undefined) {
            yield answer
            if (last(answer)) return
          } else if (nobody) {
            throw new BusError('NO_RESPONDERS', `Nobody answers on ${subject}; is the service running?`)
          } else if (closed) {
            checkOpen()
          } else if (!(await arrival())) {
            throw new BusError('TIMEOUT', `No answer on ${subject} within ${timeoutMs} ms.`)
          }
        }
      } finally {
        forget(listener)
      }

      /** The time is the silence allowed: it starts anew with every answer. */
      async function arrival(): Promise<boolean> {
        return await new Promise(resolve => {
          const cancel = clock.after(timeoutMs, () => resolve(false))
          wake = () => {
            cancel()
            resolve(true)
          }
        })
      }
    }
  }
}

function asReceived(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]))
}

function nothing(): void {}
