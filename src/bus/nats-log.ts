/**
 * The append-only log on JetStream. Every message expects the id of the one before it, so the server itself refuses a writer that has
 * been overtaken (an expected sequence number would leave holes when several are in flight). Promises order and no duplicates;
 * leaves to the server when a stored message is on the disk.
 */
import { headers } from '@nats-io/transport-node'
import { checkSize, checkSubject, wireBytes } from './checks.ts'
import { closedError, type Link } from './nats-link.ts'
import {
  duplicateWindowMs,
  ensureStream,
  isGone,
  lastOf,
  newestOf,
  nanoseconds,
  readStream,
  type Streams,
} from './nats-streams.ts'
import { type Item, type Refusal, startingMs, Window } from './nats-window.ts'
import { BusError, type Log, type LogOptions } from './port.ts'

interface Append extends Item {
  readonly after: string
  resolve(): void
  reject(error: Error): void
}

const wrongLastId = 10070
const wrongLastSequence = 10071

export async function openLog(link: Link, streams: Streams, options: LogOptions): Promise<Log> {
  checkSubject(options.subject)
  // Marks have a subject of their own, so that the newest of them is found without reading the log.
  const markSubject = `${options.subject}.mark`
  await ensureStream(link, streams, {
    name: options.name,
    subjects: [options.subject, markSubject],
    deny_delete: true,
    duplicate_window: nanoseconds(duplicateWindowMs),
  })

  let closed = false
  const window = new Window<Append>(link, options.name, {
    ownSubjects: [],
    onStored: item => item.resolve(),
    onRefused: (item, refusal) => {
      void handleRefusal(item, refusal)
    },
    // Every append asks.
    onUnsure: () => {},
  })
  link.onClosed(() => {
    closed = true
    window.close()
    for (const item of window.takeAll()) item.reject(closedError(link.url))
  })

  return { append, read, lastId }

  async function append({ body, id, after, isMark = false }: Parameters<Log['append']>[0]): Promise<void> {
    if (closed) throw closedError(link.url)
    const lines = headers()
    lines.set('Nats-Msg-Id', id)
    lines.set('Nats-Expected-Stream', options.name)
    // An empty expected id means no expectation to the server; the first message expects an empty stream instead.
    if (after === '') lines.set('Nats-Expected-Last-Sequence', '0')
    else lines.set('Nats-Expected-Last-Msg-Id', after)
    const bytes = wireBytes(body, Object.fromEntries([...lines].map(([name, values]) => [name, values.join()])))
    checkSize(options.subject, bytes, link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY)
    await new Promise<void>((resolve, reject) => {
      window.push({
        subject: isMark ? markSubject : options.subject,
        body,
        id,
        after,
        headers: lines,
        copies: 0,
        stored: false,
        number: 0,
        resolve,
        reject,
      })
    })
  }

  async function* read(from: 'start' | 'mark' = 'start', before = 0): AsyncGenerator<{ body: string; id: string }> {
    const mark = from === 'mark' ? await lastOf(link, streams, options.name, { last_by_subj: markSubject }) : null
    for await (const message of readStream(link, streams, options.name, {
      from: Math.max(1, (mark?.sequence ?? 1) - before),
      headersOnly: false,
    })) {
      yield { body: Buffer.from(message.data).toString(), id: message.headers?.get('Nats-Msg-Id') ?? '' }
    }
  }

  async function lastId(): Promise<string> {
    return (await newestOf(link, streams, options.name))?.id ?? ''
  }

  async function handleRefusal(item: Append, refusal: Refusal): Promise<void> {
    try {
      if (refusal.code === 503) await whenNobodyListens()
      else if (refusal.code === wrongLastId || refusal.code === wrongLastSequence) await whenOvertaken(item)
      else
        rejectAll(
          'FULL',
          `The NATS server at ${link.url} could not store in ${options.name}: ${refusal.description}; nothing was written.`,
        )
    } catch {
      // The question could not be answered now; the next refusal asks again.
      window.retryLater(startingMs)
    }
  }

  async function whenNobodyListens(): Promise<void> {
    if (await isGone(streams, options.name)) {
      rejectAll('FENCED', `The stream ${options.name} at ${link.url} is gone; someone removed it while it was written.`)
    } else {
      window.retryLater(startingMs)
    }
  }

  async function whenOvertaken(item: Append): Promise<void> {
    const last = await lastId()
    if (closed || !window.inFlight.includes(item)) return
    const mine = window.inFlight.findIndex(candidate => candidate.id === last)
    if (mine >= window.inFlight.indexOf(item)) {
      // Stored longer ago than the server remembers ids, and only its confirmation was lost.
      for (const stored of window.inFlight.slice(0, mine + 1)) if (!stored.stored) window.markStored(stored)
    } else if (window.inFlight[0]?.after === last || mine >= 0) {
      // Nobody else has written: an earlier one of ours did not get through yet.
      window.retryLater(startingMs)
    } else {
      const newest = last === '' ? 'empty' : `at ${last}`
      rejectAll(
        'FENCED',
        `Another writer has taken over ${options.name} at ${link.url}: it is ${newest}, expected ${item.after || 'empty'}.`,
      )
    }
  }

  function rejectAll(code: 'FULL' | 'FENCED', sentence: string): void {
    for (const item of window.takeAll()) item.reject(new BusError(code, sentence))
  }
}
