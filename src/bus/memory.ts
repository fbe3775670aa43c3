/**
 * The bus without a server: connections of one network in one process see each other's messages, retained streams,
 * logs and leases. Promises the same behaviour as nats.ts (one contract test), delivers in order by microtasks, and
 * can be cut, filled up or held for tests. It keeps nothing beyond the process.
 */
import { type Clock, realClock } from './memory-clock.ts'
import { MemoryConnection } from './memory-connection.ts'
import { Network } from './memory-network.ts'
import { openMemoryLease, openMemoryLog, openMemoryRetained } from './memory-streams.ts'
import type { Bus } from './port.ts'

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

const maxPayloadDefault = 1024 * 1024

export function createMemoryNetwork({
  clock = realClock,
  maxPayload = maxPayloadDefault,
}: MemoryOptions = {}): MemoryNetwork {
  const network = new Network({ clock, maxPayload })
  return {
    connect: name => connect(network, name),
    disconnect: () => network.setUp(false),
    reconnect: () => network.setUp(true),
    failAppends: how => network.failAppends(how),
    settle: () => network.settle(),
  }
}

function connect(network: Network, name: string): Bus {
  const connection = new MemoryConnection(network, name)
  return {
    server: { url: `memory://${name}`, version: 'memory', maxPayload: network.maxPayload, isLoopbackOnly: true },
    subscribe: (subject, handler) => connection.subscribe(subject, handler),
    publish: (subject, body, headers) => connection.publish(subject, body, headers),
    request: (subject, body, options) => connection.request(subject, body, options),
    requestMany: (subject, body, options) => connection.requestMany(subject, body, options),
    retained: async options => {
      connection.checkOpen()
      return openMemoryRetained(network, connection, options)
    },
    log: async options => {
      connection.checkOpen()
      return openMemoryLog(network, connection, options)
    },
    lease: async options => {
      connection.checkOpen()
      return openMemoryLease(network, connection, options)
    },
    onStatus: handler => connection.onStatus(handler),
    close: () => connection.close(),
  }
}
