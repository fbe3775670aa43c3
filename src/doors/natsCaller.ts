import { randomUUID } from 'node:crypto'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import type { Incoming } from '../bus/port.ts'

/**
 * Who sent a message and where its answers go, as the doors on NATS read it. Nothing a message holds is trusted before
 * it has been checked here.
 */

// A name in a log line and an id in a header; longer ones are a mistake or an attack.
const IDENTITY = /^[\x21-\x7E]{1,128}$/

/** With a refusal where a header is none; what it holds is repeated to nobody then. */
export function callerOf(message: Incoming): { readonly caller: Caller; readonly refusal: Refusal | null } {
  const { headers } = message
  const id = headers['nats-msg-id'] ?? randomUUID()
  const caller: Caller = { identity: headers['ocps-identity'] ?? 'anonymous', id, reply: replyOf(message) }
  const bad = [
    ['Nats-Msg-Id', id],
    ['Ocps-Identity', caller.identity],
  ].find(([, value]) => !IDENTITY.test(value ?? ''))
  if (bad === undefined) return { caller, refusal: null }
  return {
    caller: { ...caller, id: '', identity: '' },
    refusal: {
      code: 'MALFORMED',
      reason: `the header ${bad[0]} must be 1 to 128 printable ASCII characters without spaces`,
    },
  }
}

// `_INBOX…` is what clients make, with a prefix of their own behind it or not; `_R_` is what a server makes of it for a
// request from another account. Then tokens of printable ASCII, without * and >.
const INBOX = /^(_INBOX[\x21-\x29\x2B-\x2D\x2F-\x3D\x3F-\x7E]*|_R_)(\.[\x21-\x29\x2B-\x2D\x2F-\x3D\x3F-\x7E]+)+$/
// NATS ends a connection over a control line of 4 096 bytes.
const REPLY_MAX = 1_024

/**
 * An answer goes to an inbox and nowhere else: on any other subject we would speak with rights of ours that the sender
 * may not have. One with a wildcard, an empty token or no end is one the server passes on (it does not check) and
 * nobody can be answered on.
 */
export function replyOf({ reply }: Incoming): string | null {
  return reply !== null && reply.length <= REPLY_MAX && INBOX.test(reply) ? reply : null
}
