/**
 * The append-only log on JetStream. Every message expects the place (sequence number) of the newest one, and only one
 * is on its way at a time, so the server itself refuses a writer that has been overtaken. After a refusal what came in
 * between decides: our own message (it is stored), another writer's (we are fenced off), or one nobody who writes here
 * sent (it is passed over). Leaves to the server when a stored message is on the disk.
 */
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { checkSize, checkSubject, wireBytes } from './checks.ts'
import { closedError, type Link } from './nats-link.ts'
import { newestMark, newestWritten, placeBefore, readableState, toMessage } from './nats-log-search.ts'
import { duplicateWindowMs, ensureStream, explain, isGone, lastOf, nanoseconds } from './nats-streams.ts'
import { readStream, stateOf, type Streams } from './nats-streams.ts'
import { type Item, type Refusal, startingMs, type Stored, Window } from './nats-window.ts'
import { BusError, type Log, type LogMessage, type LogOptions } from './port.ts'
import { atLeast } from './server-binary.ts'

interface Append extends Item {
  readonly after: string
  /** The place it expects to be the newest. */
  expected: number
  /** How often it was refused for its place although no other writer had come in between. */
  refusals: number
  resolve(): void
  reject(error: Error): void
}

/** 2.9 and later name it so for an expected sequence; 10070, the expected id, is no longer asked for. */
const wrongLastSequence = 10071

/**
 * 2.9.10 confirms what comes behind a zeroed tail and never finds it again, unless it was restarted before (measured;
 * 2.15.1 keeps it).
 */
const keepsBehindLostSince = '2.10.0'

/**
 * Each time somebody who is no writer came in between, or, on a cluster that changes its leader, nobody: so often is
 * more than any accident.
 */
const refusalsMax = 200

/** The server that starts is asked ten times a second; that it still does not answer is worth a line now and then. */
const complainEveryMs = 30_000

export async function openLog(link: Link, streams: Streams, options: LogOptions): Promise<Log> {
  const { name, isWritten = ({ id }) => id !== '' } = options
  checkSubject(options.subject)
  // Marks have a subject of their own, so that the newest of them is found without reading the log.
  const markSubject = `${options.subject}.mark`
  await ensureStream(link, streams, {
    name,
    subjects: [options.subject, markSubject],
    deny_delete: true,
    duplicate_window: nanoseconds(options.duplicateWindowMs ?? duplicateWindowMs),
  })
  const place = { link, streams, name, isWritten }

  /** The newest written message and the newest place of the stream; null: to be asked. */
  let position: { id: string; sequence: number } | null = null
  let current: Append | null = null
  let waiting: Append[] = []
  let closed = false
  let complained = Number.NEGATIVE_INFINITY

  const window = new Window<Append>(link, name, {
    ownSubjects: [],
    onStored: (item, answer) => void whenStored(item, answer),
    onRefused: (item, refusal) => void whenRefused(item, refusal),
    // Every append asks.
    onUnsure: () => {},
  })
  link.onClosed(() => {
    closed = true
    window.close()
    window.takeAll()
    rejectAll(closedError(link.url))
  })

  return {
    append,
    read,
    async last() {
      const newest = await newestWritten(place)
      // While something is on its way this may be older than what is known.
      if (current === null) position ??= { id: newest.message?.id ?? '', sequence: newest.last }
      return newest.message
    },
    state: () => readableState(place),
    keepsBehindLost: () => atLeast(link.connection.info?.version ?? '', keepsBehindLostSince),
    async purge() {
      position = null
      await streams.manager.streams.purge(name).catch((error: unknown) => {
        throw explain(error, link, `emptying stream ${name}`)
      })
    },
  }

  async function append({ body, id, after, isMark = false }: Parameters<Log['append']>[0]): Promise<void> {
    if (closed) throw closedError(link.url)
    const lines = headers()
    lines.set('Nats-Msg-Id', id)
    expect(lines, Number.MAX_SAFE_INTEGER)
    const bytes = wireBytes(body, Object.fromEntries([...lines].map(([key, values]) => [key, values.join()])))
    checkSize(options.subject, bytes, link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY)
    const subject = isMark ? markSubject : options.subject
    const item = { subject, body, id, after, headers: lines, expected: 0, refusals: 0, copies: 0, stored: false }
    await new Promise<void>((resolve, reject) => {
      waiting.push({ ...item, number: 0, resolve, reject })
      next()
    })
  }

  function next(): void {
    if (current !== null) return
    current = waiting.shift() ?? null
    if (current === null) return
    if (position?.id === current.after) send(current, position.sequence)
    else void locate(current)
  }

  function send(item: Append, expected: number): void {
    item.expected = expected
    expect(item.headers, expected)
    window.push(item)
  }

  /** It does not follow what we know to be the newest: that may be because we know too little. */
  async function locate(item: Append): Promise<void> {
    const newest = await whenAnswered(() => newestWritten(place))
    if (newest === null || current !== item) return
    position = { id: newest.message?.id ?? '', sequence: newest.last }
    if (position.id === item.id) finish(item, position)
    else if (position.id === item.after) send(item, position.sequence)
    else overtaken(item, position.id)
  }

  async function whenStored(item: Append, answer: Stored | null): Promise<void> {
    // Concluded by ourselves, from what the stream holds: whoever did has noted the place, too.
    if (answer === null || current !== item) return
    if (answer.isRepeat) {
      const kept = await whenAnswered(() => lastOf(link, streams, name, { seq: answer.place }))
      if (current !== item) return
      if (kept !== null && (kept.id !== item.id || Buffer.from(kept.body).toString() !== item.body)) {
        return broken(`message ${answer.place} has the id ${item.id} of ours, and another wrote it`)
      }
    }
    finish(item, { id: item.id, sequence: answer.place })
  }

  function finish(item: Append, at: { id: string; sequence: number }): void {
    position = at
    current = null
    item.resolve()
    next()
  }

  async function whenRefused(item: Append, refusal: Refusal): Promise<void> {
    if (current !== item) return
    if (refusal.code === 503) {
      const gone = await whenAnswered(() => isGone(streams, name))
      if (current !== item || gone === null) return
      if (gone) return broken('the stream is gone; someone removed it while it was written')
      complain(refusal.description)
      window.retryLater(startingMs)
    } else if (refusal.code === wrongLastSequence) {
      await whenOutOfPlace(item, refusal)
    } else {
      refuseAll(
        `The NATS server at ${link.url} could not store in ${name}: ${refusal.description}; nothing was written.`,
      )
    }
  }

  /** The newest place is not the one expected. What came in between says whose it is. */
  async function whenOutOfPlace(item: Append, refusal: Refusal): Promise<void> {
    const between = await whenAnswered(async () => {
      const { last } = await stateOf(link, streams, name)
      const messages: LogMessage[] = []
      if (last > item.expected)
        for await (const kept of readStream(link, streams, name, { from: item.expected + 1, headersOnly: false }))
          messages.push(toMessage(kept))
      return { last: Math.max(last, messages.at(-1)?.sequence ?? 0), messages }
    })
    if (between === null || current !== item) return
    const { last, messages } = between
    const own = messages.find(message => message.id === item.id && message.body === item.body)
    if (own !== undefined) {
      // Only its confirmation was lost. Who came after it is seen at the next append.
      finish(item, { id: item.id, sequence: own.sequence })
      window.markStored(item)
      return
    }
    const other = messages.find(isWritten)
    if (other !== undefined) return overtaken(item, other.id)
    if (last < item.expected)
      return broken(
        `it ends with message ${last}, and message ${item.expected} was confirmed; an older copy was put back`,
      )
    if (messages.length < last - item.expected)
      return broken(`messages ${item.expected + 1} to ${last} came in between and cannot be read`)
    item.refusals += 1
    if (item.refusals >= refusalsMax) {
      const why =
        messages.length > 0 ? 'others publish on its subjects faster than it can be written' : 'no reason is seen'
      return refuseAll(
        `The NATS server at ${link.url} refused to store in ${name} ${refusalsMax} times: ${why}; nothing was written.`,
      )
    }
    // Behind a damaged file a server may count further than it can read; what it compares with is what it says.
    const counted = messages.length === 0 ? Number(/sequence: (\d+)/.exec(refusal.description)?.[1] ?? last) : last
    item.expected = last
    expect(item.headers, counted)
    window.retryLater(messages.length > 0 ? 0 : startingMs)
  }

  function overtaken(item: Append, newest: string): void {
    const found = newest === '' ? 'empty' : `at ${newest}`
    rejectAll(
      new BusError(
        'FENCED',
        `Another writer has taken over ${name} at ${link.url}: it is ${found}, expected ${item.after || 'empty'}.`,
      ),
    )
  }

  function broken(why: string): void {
    rejectAll(new BusError('BROKEN', `The stream ${name} at ${link.url} cannot be written any more: ${why}.`))
  }

  function refuseAll(sentence: string): void {
    rejectAll(new BusError('FULL', sentence))
  }

  function rejectAll(error: Error): void {
    window.takeAll()
    const all = current === null ? waiting : [current, ...waiting]
    current = null
    waiting = []
    // What was written meanwhile, and by whom, is to be asked.
    position = null
    for (const item of all) item.reject(error)
  }

  /** Asks until there is an answer; null: closed meanwhile. */
  async function whenAnswered<T>(ask: () => Promise<T>): Promise<T | null> {
    for (;;) {
      if (closed) return null
      try {
        return await ask()
      } catch (error) {
        if (!closed) complain(error instanceof Error ? error.message : String(error))
      }
      await new Promise(resolve => setTimeout(resolve, startingMs))
    }
  }

  function complain(why: string): void {
    if (performance.now() - complained < complainEveryMs) return
    complained = performance.now()
    link.log.warn({ stream: name }, `${link.url} does not take what is to be written to ${name}: ${why}; trying again.`)
  }

  async function* read(from: 'start' | 'mark' = 'start', before = 0): AsyncGenerator<LogMessage> {
    const mark = from === 'mark' ? await newestMark(place, markSubject) : null
    const first = mark === null ? 1 : await placeBefore(place, mark, before)
    for await (const kept of readStream(link, streams, name, { from: first, headersOnly: false })) yield toMessage(kept)
  }
}

function expect(lines: MsgHdrs, last: number): void {
  lines.set('Nats-Expected-Last-Sequence', String(last))
}
