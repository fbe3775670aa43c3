/**
 * The retained stream on JetStream: publishes in order without waiting, keeps what is not confirmed and sends it
 * again. Heartbeats published by anyone on the same subjects land in the stream too, without an id; `lastId` looks
 * past them.
 */
import { headers } from '@nats-io/transport-node'
import { checkSubject, matches, wireBytes } from './checks.ts'
import { closedError, type Link } from './nats-link.ts'
import {
  duplicateWindowMs,
  ensureStream,
  isGone,
  lastOf,
  nanoseconds,
  readStream,
  stateOf,
  type Streams,
} from './nats-streams.ts'
import { type Item, type Refusal, startingMs, Window } from './nats-window.ts'
import type { Retained, RetainedOptions } from './port.ts'

/**
 * Messages waiting for a server that is away. What is accepted stops when the journal stops, so only announcements of
 * work already accepted gather here; at a kilobyte each this is about 100 MB.
 */
const waitingMax = 100_000

/** How long closing waits for the server to confirm: all that may be in flight, on a disk that syncs every write. */
const closeFlushMs = 5000

/** A full store is emptied by people; every refused message is a line in the server's log. */
const noSpaceMs = 2000

/** How far back `lastId` looks first; then ever further. */
const lookBackFirst = 1000
const lookBackFactor = 8

export async function openRetained(link: Link, streams: Streams, options: RetainedOptions): Promise<Retained> {
  const shape = {
    name: options.name,
    subjects: [...options.subjects],
    max_msgs_per_subject: 1,
    max_age: nanoseconds(options.maxAgeMs),
    duplicate_window: nanoseconds(Math.min(duplicateWindowMs, options.maxAgeMs)),
  }
  await ensureStream(link, streams, shape)

  let published = 0
  let settled = 0
  let flushes: { target: number; resolve: () => void; reject: (error: Error) => void }[] = []
  let closed = false
  let refusedBefore = false

  const window = new Window<Item>(link, options.name, {
    ownSubjects: options.subjects,
    onStored: () => {
      refusedBefore = false
      settle(1)
    },
    onRefused: (item, refusal) => {
      void handleRefusal(item, refusal)
    },
    onUnsure: items => void lookFor(items).catch(() => window.retryLater(startingMs)),
  })

  link.onClosing(async () => {
    if (window.size === 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, closeFlushMs)
    })
    await Promise.race([retained.flushed(), late])
    clearTimeout(timer)
    if (window.size > 0) {
      link.log.error(
        { stream: options.name, lost: window.size },
        `Closing although ${link.url} has not confirmed every announcement.`,
      )
    }
  })
  link.onClosed(() => {
    closed = true
    window.close()
    for (const flush of flushes.splice(0)) flush.reject(closedError(link.url))
  })

  const retained: Retained = {
    publish: ({ subject, body, id }) => {
      const fault = faultOf(subject, body, id)
      if (fault !== null) {
        link.log.error({ stream: options.name, subject, id }, `A message was not published: ${fault}`)
        return
      }
      if (window.size >= waitingMax) makeRoom()
      const lines = headers()
      lines.set('Nats-Msg-Id', id)
      published += 1
      window.push({ subject, body, id, headers: lines, copies: 0, stored: false, number: 0 })
    },

    flushed: () =>
      new Promise((resolve, reject) => {
        if (settled >= published) resolve()
        else if (closed) reject(closedError(link.url))
        else flushes.push({ target: published, resolve, reject })
      }),

    last: async subject => {
      checkSubject(subject)
      const message = await lastOf(link, streams, options.name, { last_by_subj: subject })
      return message === null ? null : Buffer.from(message.body).toString()
    },

    lastId: async (accepts = () => true) => {
      const { first, last } = await stateOf(link, streams, options.name)
      for (let back = lookBackFirst; ; back *= lookBackFactor) {
        const from = Math.max(first, last - back + 1, 1)
        let newest: string | null = null
        for await (const { id } of readStream(link, streams, options.name, { from, headersOnly: true }))
          if (id !== null && accepts(id)) newest = id
        if (newest !== null || from <= Math.max(first, 1)) return newest
      }
    },
  }
  return retained

  function faultOf(subject: string, body: string, id: string): string | null {
    if (closed) return 'the connection is closed.'
    try {
      checkSubject(subject)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
    if (!options.subjects.some(pattern => matches(pattern, subject)))
      return `stream ${options.name} does not keep this subject.`
    const max = link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY
    const bytes = wireBytes(body, { 'Nats-Msg-Id': id })
    return bytes > max ? `it has ${bytes} bytes and the server takes ${max}.` : null
  }

  async function handleRefusal(_item: Item, refusal: Refusal): Promise<void> {
    if (!refusedBefore) {
      refusedBefore = true
      link.log.warn(
        { stream: options.name, ...refusal },
        `${link.url} does not keep announcements now: ${refusal.description}; trying again.`,
      )
    }
    dropSuperseded()
    // The store may have been wiped; it holds only last values, so a new one is as good.
    if (refusal.code === 503 && (await isGone(streams, options.name))) {
      await ensureStream(link, streams, shape).catch(() => {})
    }
    window.retryLater(refusal.code === 503 ? startingMs : noSpaceMs)
  }

  /** Not sent again as a question, as a refused one is: whoever listens would hear it twice. */
  async function lookFor(items: readonly Item[]): Promise<void> {
    for (const item of items) {
      const kept = await lastOf(link, streams, options.name, { last_by_subj: item.subject })
      const isSuperseded = window.inFlight.some(
        ({ subject, number, id }) => subject === item.subject && number > item.number && id === kept?.id,
      )
      if (item.stored) continue
      if (kept?.id === item.id || isSuperseded) window.markStored(item)
      else window.sendAgain(item)
    }
  }

  /** A refused message must not be stored over a newer one of its subject that went through. */
  function dropSuperseded(): void {
    const newer = new Set<string>()
    for (const item of window.inFlight.toReversed()) {
      if (item.stored) newer.add(item.subject)
      else if (item.copies === 0 && newer.has(item.subject)) window.markStored(item)
    }
  }

  /** Only the last message of a subject is kept anyway: superseded ones go first, then the oldest. */
  function makeRoom(): void {
    const before = window.waiting.length
    const newer = new Set<string>()
    const kept = window.waiting.toReversed().filter(item => {
      const superseded = newer.has(item.subject)
      newer.add(item.subject)
      return !superseded
    })
    kept.length = Math.min(kept.length, Math.floor(waitingMax / 2))
    window.waiting = kept.toReversed()
    const dropped = before - window.waiting.length
    link.log.error(
      { stream: options.name, dropped },
      `${link.url} has been away so long that ${dropped} announcements were dropped.`,
    )
    settle(dropped)
  }

  function settle(count: number): void {
    settled += count
    if (flushes.length === 0) return
    for (const flush of flushes) if (settled >= flush.target) flush.resolve()
    flushes = flushes.filter(flush => settled < flush.target)
  }
}
