/**
 * Plain messages: publishing, subscribing, and their form on the wire. A handler that throws is logged and disturbs no
 * other; a message that turns out too large once it leaves is logged and lost alone.
 */
import { headers as newHeaders, type Msg, type MsgHdrs } from '@nats-io/transport-node'
import { checkHeaders, checkPattern, checkSize, checkSubject, wireBytes } from './checks.ts'
import { sendError } from './nats-errors.ts'
import type { NatsLink } from './nats-link.ts'
import type { Headers, Incoming, Subscription } from './port.ts'

export function publish(link: NatsLink, subject: string, body: string, headers?: Headers): void {
  checkSubject(subject)
  link.checkOpen()
  const options = withHeaders(headers)
  checkSize(subject, wireBytes(body, headers), link.server.maxPayload)
  link.soon(() => {
    // Closed meanwhile: what is published so late is lost like anything on its way.
    if (!link.isEnding()) deliver(link, subject, body, options)
  })
}

/**
 * A server that came back may take less than the one before did. What else waits to be sent must not be lost with one
 * message.
 */
function deliver(link: NatsLink, subject: string, body: string, options: { headers?: MsgHdrs }): void {
  try {
    link.connection.publish(subject, body, options)
    link.published(subject)
  } catch (error) {
    const problem = sendError(link, error, subject).message
    link.log.error({ subject, problem }, `A message was not published: ${problem}`)
  }
}

export function subscribe(link: NatsLink, subject: string, handler: (message: Incoming) => void): Subscription {
  checkPattern(subject)
  link.checkOpen()
  link.sendAll()
  let stopped = false
  const subscription = link.connection.subscribe(subject, {
    callback: (error, message) => {
      if (stopped) return
      if (error !== null) link.log.error({ subject, error: error.message }, `The subscription to ${subject} failed.`)
      else guarded(link, subject, () => handler(toIncoming(message)))
    },
  })
  return {
    stop: async () => {
      link.sendAll()
      if (!stopped && link.connected() && !subscription.isClosed()) await link.drained(subscription)
      stopped = true
      subscription.unsubscribe()
    },
  }
}

function guarded({ log }: NatsLink, subject: string, handle: () => void): void {
  try {
    handle()
  } catch (error) {
    log.error(
      { subject, error: error instanceof Error ? error.stack : String(error) },
      `A handler of ${subject} threw.`,
    )
  }
}

const noHeaders: Headers = Object.freeze({})

export function toIncoming(message: Msg): Incoming {
  return {
    subject: message.subject,
    body: message.data,
    headers: message.headers === undefined ? noHeaders : fromHeaders(message.headers),
    reply: message.reply === undefined || message.reply === '' ? null : message.reply,
  }
}

function fromHeaders(lines: MsgHdrs): Headers {
  const headers: Record<string, string> = {}
  for (const [name, values] of lines) headers[name.toLowerCase()] ??= values[0] ?? ''
  return headers
}

export function withHeaders(headers: Headers | undefined): { headers?: MsgHdrs } {
  if (headers === undefined) return {}
  checkHeaders(headers)
  const lines = newHeaders()
  for (const [name, value] of Object.entries(headers)) lines.set(name, value)
  return { headers: lines }
}
