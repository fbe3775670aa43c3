/**
 * What the in-memory network keeps: retained streams, logs and leases, with the promises of their JetStream
 * counterparts. Time and order come from the network.
 */
import { checkSize, checkSubject, matches, wireBytes } from './checks.ts'
import type { Clock } from './memory-clock.ts'
import {
  BusError,
  type Incoming,
  type LeaseOptions,
  type LeaseResult,
  type Log,
  type LogMessage,
  type LogOptions,
  type Retained,
  type RetainedOptions,
} from './port.ts'

/** What the connections of a network share. */
export interface Shared {
  readonly clock: Clock
  readonly maxPayload: number
  readonly streams: Map<string, MemoryStream>
  readonly logs: Map<string, MemoryLog>
  readonly leases: Map<string, StoredLease>
  up: boolean
  appends: 'none' | 'FULL' | 'hold'
  /** Runs the task after everything before it. */
  later(task: () => void): void
  /** As `later`, and not before the network is up. */
  whenUp(task: () => void): void
  /** As `whenUp`, and not while appends are held. */
  whenAppending(task: () => void): void
  deliver(message: Incoming): number
}

/** What the parts of one connection share. */
export interface Connection {
  readonly name: string
  isClosed(): boolean
  onClosed(handler: () => void): void
}

export interface MemoryStream {
  keep(subject: string, body: string, id: string | null): boolean
  last(subject: string): string | null
  lastId(accepts: (id: string) => boolean): string | null
}

export interface MemoryLog {
  messages: (LogMessage & { readonly isMark: boolean })[]
  /** The newest place ever given. */
  last: number
  /** What anybody publishes on its subjects is kept, too. */
  keep(subject: string, body: string, id: string): void
}

export interface StoredLease {
  readonly holder: string
  readonly token: symbol
  expiresAt: number
}

/** As many ids as JetStream remembers in its ten minutes, generously; between one and two times as many are kept. */
const idsMax = 100_000

/** Two renewals may fail before the lease runs out. */
const renewalsPerLease = 3

export function openMemoryRetained(shared: Shared, connection: Connection, options: RetainedOptions): Retained {
  const existing = shared.streams.get(options.name)
  const stream = existing ?? createStream(shared, options)
  shared.streams.set(options.name, stream)
  let published = 0
  let stored = 0
  let flushes: { target: number; resolve: () => void; reject: (error: Error) => void }[] = []
  const closed = (): BusError => new BusError('CLOSED', `The connection ${connection.name} is closed.`)
  connection.onClosed(() => {
    for (const flush of flushes.splice(0)) flush.reject(closed())
  })

  return {
    publish: ({ subject, body, id }) => {
      if (connection.isClosed() || !isPublishable(subject, body, id)) return
      published += 1
      shared.whenUp(() => {
        if (stream.keep(subject, body, id)) {
          shared.deliver({ subject, body: new TextEncoder().encode(body), headers: { 'nats-msg-id': id }, reply: null })
        }
        stored += 1
        for (const flush of flushes) if (stored >= flush.target) flush.resolve()
        flushes = flushes.filter(flush => stored < flush.target)
      })
    },
    flushed: () =>
      new Promise((resolve, reject) => {
        if (stored >= published) resolve()
        else if (connection.isClosed()) reject(closed())
        else flushes.push({ target: published, resolve, reject })
      }),
    last: async subject => {
      checkSubject(subject)
      return stream.last(subject)
    },
    lastId: async (accepts = () => true) => stream.lastId(accepts),
  }

  function isPublishable(subject: string, body: string, id: string): boolean {
    try {
      checkSubject(subject)
      checkSize(subject, wireBytes(body, { 'Nats-Msg-Id': id }), shared.maxPayload)
    } catch {
      return false
    }
    return options.subjects.some(pattern => matches(pattern, subject))
  }
}

function createStream(shared: Shared, options: RetainedOptions): MemoryStream {
  // A map remembers the order of insertion: the newest is the last one.
  const kept = new Map<string, { body: string; id: string | null; at: number }>()
  let ids = new Set<string>()
  let older = new Set<string>()
  return {
    keep: (subject, body, id) => {
      if (!options.subjects.some(pattern => matches(pattern, subject))) return false
      if (id !== null) {
        if (ids.has(id) || older.has(id)) return false
        ids.add(id)
        if (ids.size >= idsMax) [older, ids] = [ids, new Set()]
      }
      kept.delete(subject)
      kept.set(subject, { body, id, at: shared.clock.now() })
      return true
    },
    last: subject => {
      forgetOld()
      return kept.get(subject)?.body ?? null
    },
    lastId: accepts => {
      forgetOld()
      return [...kept.values()].findLast(({ id }) => id !== null && accepts(id))?.id ?? null
    },
  }

  function forgetOld(): void {
    for (const [subject, { at }] of kept) {
      if (shared.clock.now() - at <= options.maxAgeMs) break
      kept.delete(subject)
    }
  }
}

export function openMemoryLog(shared: Shared, connection: Connection, options: LogOptions): Log {
  checkSubject(options.subject)
  const { name, isWritten = ({ id }) => id !== '' } = options
  const log = shared.logs.get(name) ?? createLog(options.subject)
  shared.logs.set(name, log)
  const waiting = new Set<(error: Error) => void>()
  const closed = (): BusError => new BusError('CLOSED', `The connection ${connection.name} is closed.`)
  const newest = () => log.messages.findLast(isWritten) ?? null
  connection.onClosed(() => {
    for (const reject of waiting) reject(closed())
  })

  return {
    append: async ({ body, id, after, isMark = false }) => {
      if (connection.isClosed()) throw closed()
      checkSize(
        options.subject,
        wireBytes(body, { 'Nats-Msg-Id': id, 'Nats-Expected-Last-Sequence': String(Number.MAX_SAFE_INTEGER) }),
        shared.maxPayload,
      )
      await new Promise<void>((resolve, reject) => {
        waiting.add(reject)
        shared.whenAppending(() => {
          if (!waiting.delete(reject) || connection.isClosed()) return
          const refusal = store({ body, id, isMark }, after)
          if (refusal === null) resolve()
          else reject(refusal)
        })
      })
    },
    async *read(from = 'start', before = 0) {
      let first = from === 'mark' ? log.messages.findLastIndex(message => message.isMark && isWritten(message)) : 0
      for (let left = before; left > 0 && first > 0; ) {
        first -= 1
        if (log.messages.slice(first, first + 1).some(isWritten)) left -= 1
      }
      for (const { body, id, sequence } of log.messages.slice(Math.max(0, first))) yield { body, id, sequence }
    },
    last: async () => newest(),
    state: async () => ({
      first: log.messages[0]?.sequence ?? log.last + 1,
      last: log.last,
      lastReadable: log.messages.at(-1)?.sequence ?? 0,
      messages: log.messages.length,
    }),
    keepsBehindLost: () => true,
    purge: async () => {
      log.messages = []
    },
  }

  function store(message: { body: string; id: string; isMark: boolean }, after: string): BusError | null {
    const present = newest()
    if (present?.id === message.id) return null
    if (shared.appends === 'FULL') return new BusError('FULL', `The log ${name} is full; nothing was written.`)
    const at = present?.id ?? ''
    if (after !== at) {
      return new BusError(
        'FENCED',
        `Another writer has taken over ${name}: it is at ${at || 'empty'}, expected ${after || 'empty'}.`,
      )
    }
    log.last += 1
    log.messages.push({ ...message, sequence: log.last })
    return null
  }
}

function createLog(subject: string): MemoryLog {
  const log: MemoryLog = {
    messages: [],
    last: 0,
    keep: (to, body, id) => {
      if (to !== subject && to !== `${subject}.mark`) return
      log.last += 1
      log.messages.push({ body, id, isMark: to !== subject, sequence: log.last })
    },
  }
  return log
}

export function openMemoryLease(shared: Shared, connection: Connection, options: LeaseOptions): LeaseResult {
  const { clock, leases } = shared
  const current = leases.get(options.name)
  if (current !== undefined && current.expiresAt > clock.now()) return { held: false, holder: current.holder }

  const lease: StoredLease = {
    holder: options.holder,
    token: Symbol(options.holder),
    expiresAt: clock.now() + options.ttlMs,
  }
  leases.set(options.name, lease)
  let lapses = 0
  let cancel = clock.after(options.ttlMs / renewalsPerLease, renew)
  connection.onClosed(() => cancel())
  return {
    held: true,
    isSure: () => leases.get(options.name) === lease && lease.expiresAt > clock.now(),
    lapses: () => lapses,
    release: async () => {
      cancel()
      if (leases.get(options.name) === lease) leases.delete(options.name)
    },
  }

  function renew(): void {
    const present = leases.get(options.name)
    if (present !== lease && present !== undefined && present.expiresAt > clock.now()) {
      options.onLost()
      return
    }
    if (shared.up) {
      if (present !== lease || lease.expiresAt < clock.now()) lapses += 1
      lease.expiresAt = clock.now() + options.ttlMs
      leases.set(options.name, lease)
    }
    cancel = clock.after(options.ttlMs / renewalsPerLease, renew)
  }
}
