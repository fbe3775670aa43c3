import { randomUUID } from 'node:crypto'
import { type JobResult, refused } from '../../machines/domain/announcements.ts'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import type { Bus, Incoming, Retained, Subscription } from '../bus/port.ts'
import { decodeCommand, quoted } from '../contract/decode.ts'
import { decodeQuery } from '../contract/decodeQuery.ts'
import { fitting } from '../contract/fit.ts'
import type { QueryError } from '../contract/queryErrors.ts'
import { subjects } from '../contract/subjects.ts'
import type { Log } from '../log.ts'
import type { Engine, Numbered } from '../engine/engine.ts'
import { groupOf, jobOf, jobsOf, settledAnswer, shelfOf, stateOf } from '../engine/queries.ts'

/**
 * The door for commands and questions: messages on `ocps.<instance>.cmd.*` are decoded and handed to the inbox or refused, questions on `qry.*` are
 * answered from the actors. Nothing a message holds is trusted before it has been checked here.
 */
export interface DoorOptions {
  readonly bus: Bus
  readonly retained: Retained
  readonly instance: string
  readonly engine: Engine
  readonly say: (said: Numbered) => void
  readonly now: () => number
  readonly log: Log
  /** Facts about the process for the query `state`. */
  readonly facts: () => Readonly<Record<string, unknown>>
}

// A name in a log line and an id in a header; longer ones are a mistake or an attack.
const IDENTITY = /^[\x21-\x7E]{1,128}$/

export function openDoor({ bus, retained, instance, engine, say, now, log, facts }: DoorOptions): {
  close(): Promise<void>
} {
  const to = subjects(instance)
  const subscriptions: Subscription[] = [bus.subscribe(to.commands, hearCommand), bus.subscribe(to.queries, hearQuery)]
  return {
    async close() {
      for (const subscription of subscriptions) await subscription.stop()
    },
  }

  function hearCommand(message: Incoming): void {
    const { headers, subject, body } = message
    const id = headers['nats-msg-id'] ?? randomUUID()
    const caller: Caller = { identity: headers['ocps-identity'] ?? 'anonymous', id, reply: replyOf(message) }
    const name = subject.slice(to.commands.length - 1)
    const bad = [
      ['Nats-Msg-Id', id],
      ['Ocps-Identity', caller.identity],
    ].find(([, value]) => !IDENTITY.test(value ?? ''))
    if (bad)
      return refuse({ ...caller, id: '', identity: '' }, name, {
        code: 'MALFORMED',
        reason: `the header ${bad[0]} must be 1 to 128 printable ASCII characters without spaces`,
      })
    const decoding = decodeCommand(name, body, instance)
    if (!decoding.ok) return refuse(caller, name, decoding.refusal)
    engine.command(decoding.command, caller)
  }

  function refuse(caller: Caller, name: string, refusal: Refusal): void {
    log.warn(
      { command: name.slice(0, 64), identity: caller.identity, code: refusal.code },
      `refused: ${refusal.reason}`,
    )
    say({ id: '', at: now(), announcement: refused(caller, refusal) })
  }

  /**
   * An answer goes to an inbox and nowhere else: on any other subject we would speak with rights of ours that the sender may not have. One with a
   * wildcard, an empty token or no end is one the server passes on (it does not check) and nobody can be answered on.
   */
  function replyOf({ reply }: Incoming): string | null {
    return reply !== null && reply.length <= SUBJECT_MAX && INBOX.test(reply) ? reply : null
  }

  function hearQuery(message: Incoming): void {
    const reply = replyOf(message)
    if (reply === null) return
    void answer(message)
      .catch((error: unknown) => {
        log.error(
          { query: message.subject.slice(0, 128) },
          `a query failed: ${error instanceof Error ? error.message : String(error)}`,
        )
        return { code: 'INTERNAL', error: 'the query failed inside OCPS; its log says why' } satisfies QueryError
      })
      .then(body => bus.publish(reply, fitting(body, bus.server.maxPayload)))
      // The bus is closed: nobody can be answered any more.
      .catch(() => {})
  }

  async function answer({ subject, body }: Incoming): Promise<object> {
    const { world } = engine
    const decoding = decodeQuery(subject.slice(to.queries.length - 1), body)
    if (!decoding.ok) return decoding.error
    const { query } = decoding
    switch (query.name) {
      case 'state':
        return { instance, ...facts(), ...stateOf(world) }
      case 'shelf':
        return shelfOf(world)
      case 'jobs':
        return jobsOf(world)
      case 'job': {
        const { jobId } = query
        const settled = () => last(to.event('jobResult', jobId), 'jobResult')
        return jobOf(world, jobId) ?? (await settled()) ?? unknown('UNKNOWN_JOB', 'job', jobId)
      }
      case 'group': {
        const { group } = query
        const finished = () => last(to.event('groupResult', group), 'groupResult')
        return groupOf(world, group) ?? (await finished()) ?? unknown('UNKNOWN_GROUP', 'group', group)
      }
    }
  }

  /** What was said last of something that is over. */
  async function last(subject: string, topic: 'jobResult' | 'groupResult'): Promise<object | null> {
    // Too long for a subject, or the empty id: nothing was ever said of it.
    if (subject.length > SUBJECT_MAX || subject.endsWith('.')) return null
    const kept = await retained.last(subject)
    if (kept === null) return null
    if (topic === 'jobResult') return settledAnswer(JSON.parse(kept) as JobResult)
    const result = JSON.parse(kept) as object
    return { ...result, state: 'finished', result }
  }
}

// `_INBOX…` is what clients make, with a prefix of their own behind it or not; `_R_` is what a server makes of it for a request from another account. Then
// tokens of printable ASCII, without * and >.
const INBOX = /^(_INBOX[\x21-\x29\x2B-\x2D\x2F-\x3D\x3F-\x7E]*|_R_)(\.[\x21-\x29\x2B-\x2D\x2F-\x3D\x3F-\x7E]+)+$/
// NATS ends a connection over a control line of 4 096 bytes.
const SUBJECT_MAX = 1_024

function unknown(code: QueryError['code'], what: string, id: string): QueryError {
  return { code, error: `no ${what} ${IDENTITY.test(id) ? id : quoted(id)} is known here` }
}
