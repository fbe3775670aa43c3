/** The NATS client's errors as BusErrors, in sentences that name the server and what to do. */
import { AuthorizationError, InvalidArgumentError, RequestError } from '@nats-io/transport-node'
import { closedError, type NatsLink } from './nats-link.ts'
import { BusError } from './port.ts'

export function unreachable(error: unknown, url: string): BusError {
  const because = error instanceof Error ? error.message : String(error)
  if (error instanceof AuthorizationError) {
    return new BusError(
      'UNREACHABLE',
      `The NATS server at ${url} refused the credentials (${because}); check user, token or key file.`,
    )
  }
  return new BusError(
    'UNREACHABLE',
    `No NATS server answers at ${url} (${because}). Start one there, correct NATS_URL, or leave it unset and OCPS starts its own.`,
  )
}

export function sendError(link: NatsLink, error: unknown, subject: string): Error {
  if (error instanceof InvalidArgumentError) {
    return new BusError(
      'TOO_LARGE',
      `The message for ${subject} is larger than the ${link.server.maxPayload} bytes ${link.url} takes.`,
    )
  }
  if (link.isEnding()) return closedError(link.url)
  return error instanceof Error ? error : new Error(String(error))
}

export function requestError(link: NatsLink, error: unknown, subject: string, timeoutMs: number): Error {
  if (error instanceof BusError) return error
  if (error instanceof RequestError && error.isNoResponders()) return noResponders(link, subject)
  if (error instanceof Error && error.name === 'TimeoutError') return timeout(link, subject, timeoutMs)
  return sendError(link, error, subject)
}

export function noResponders({ url }: NatsLink, subject: string): BusError {
  return new BusError('NO_RESPONDERS', `Nobody answers on ${subject} at ${url}; is the service running?`)
}

export function timeout(link: NatsLink, subject: string, timeoutMs: number): BusError {
  const why = link.connected() ? '' : ` The connection to ${link.url} is down.`
  return new BusError('TIMEOUT', `No answer on ${subject} within ${timeoutMs} ms.${why}`)
}
