/**
 * The append-only log on JetStream. Every message expects the place (sequence number) of the newest one, and only one
 * is on its way at a time, so the server itself refuses a writer that has been overtaken. After a refusal what came in
 * between decides: our own message (it is stored), another writer's (we are fenced off), or one nobody who writes here
 * sent (it is passed over): nats-log-writer.ts. Leaves to the server when a stored message is on the disk.
 */
import { checkSubject } from './checks.ts'
import type { Link } from './nats-link.ts'
import { newestMark, newestWritten, type Where, placeBefore, readableState, toMessage } from './nats-log-search.ts'
import { LogWriter } from './nats-log-writer.ts'
import { duplicateWindowMs, ensureStream, explain, nanoseconds, readStream, type Streams } from './nats-streams.ts'
import type { Log, LogMessage, LogOptions } from './port.ts'
import { atLeast } from './server-binary.ts'

/**
 * 2.9.10 confirms what comes behind a zeroed tail and never finds it again, unless it was restarted before (measured;
 * 2.15.1 keeps it).
 */
const keepsBehindLostSince = '2.10.0'

export async function openLog(link: Link, streams: Streams, options: LogOptions): Promise<Log> {
  const { name, subject, isWritten = ({ id }) => id !== '' } = options
  checkSubject(subject)
  // Marks have a subject of their own, so that the newest of them is found without reading the log.
  const markSubject = `${subject}.mark`
  await ensureStream(link, streams, {
    name,
    subjects: [subject, markSubject],
    deny_delete: true,
    duplicate_window: nanoseconds(options.duplicateWindowMs ?? duplicateWindowMs),
  })
  const place = { link, streams, name, isWritten }
  const writer = new LogWriter(place, { subject, markSubject })
  return {
    append: appended => writer.append(appended),
    read: (from, before) => read(place, markSubject, from, before),
    async last() {
      const newest = await newestWritten(place)
      writer.note({ id: newest.message?.id ?? '', sequence: newest.last })
      return newest.message
    },
    state: () => readableState(place),
    keepsBehindLost: () => atLeast(link.connection.info?.version ?? '', keepsBehindLostSince),
    async purge() {
      writer.forget()
      await streams.manager.streams.purge(name).catch((error: unknown) => {
        throw explain(error, link, `emptying stream ${name}`)
      })
    },
  }
}

async function* read(
  place: Where,
  markSubject: string,
  from: 'start' | 'mark' = 'start',
  before = 0,
): AsyncGenerator<LogMessage> {
  const { link, streams, name } = place
  const mark = from === 'mark' ? await newestMark(place, markSubject) : null
  const first = mark === null ? 1 : await placeBefore(place, mark, before)
  for await (const kept of readStream(link, streams, name, { from: first, headersOnly: false })) yield toMessage(kept)
}
