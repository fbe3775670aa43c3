import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ACK, type AckBody } from '../../machines/domain/announcements.ts'
import { type Bus, BusError, type Incoming } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'
import { OcpsError } from './errors.ts'

/**
 * One command and its acknowledgements. While nothing is heard the command is sent again under the same message id,
 * which the instance executes once and answers alike; so a lost server, a lost answer or a restarted instance costs a
 * moment, never a second job.
 */
export interface SendOptions {
  /**
   * The message id; a new one unless given. The same command under the same id is executed once, also by another
   * process.
   */
  readonly id?: string
  /**
   * How long to wait in all, milliseconds; an INPROGRESS acknowledgement extends it by what it promises. 30 s unless
   * given.
   */
  readonly timeoutMs?: number
}

export type Send = (name: string, body: unknown, options?: SendOptions) => AsyncGenerator<AckBody, void>

export const COMMAND_TIMEOUT_MS = 30_000
// An instance answers in milliseconds; after a second something was lost, and asking again is free.
const SILENCE_MS = 1_000
// While it is being processed: the same question finds out whether the instance is still there.
const SILENCE_IN_PROGRESS_MS = 5_000
// Where nobody listens a name is misspelt or the instance is just starting; this long is enough for the latter.
const NOBODY_MS = 2_000
const NOBODY_PAUSE_MS = 100
// After a server was away, its clients come back one by one within a quarter of a second each, an instance a little
// later.
const UNSETTLED_MS = 10_000

export function createSend({ bus, instance, identity }: { bus: Bus; instance: string; identity: string }): Send {
  const to = subjects(instance)
  let lastBack = Number.NEGATIVE_INFINITY
  let away = false
  bus.onStatus(status => {
    if (status === 'connected' && away) lastBack = performance.now()
    away = status === 'disconnected'
  })
  return acknowledgements

  async function* acknowledgements(
    name: string,
    body: unknown,
    { id = randomUUID(), timeoutMs = COMMAND_TIMEOUT_MS }: SendOptions = {},
  ): AsyncGenerator<AckBody, void> {
    const subject = to.command(name)
    const text = JSON.stringify(body)
    const headers = { 'Nats-Msg-Id': id, 'Ocps-Identity': identity }
    let deadline = performance.now() + timeoutMs
    let heard: AckBody | null = null
    let nobodySince: number | null = null
    for (;;) {
      const left = deadline - performance.now()
      if (left <= 0) throw late(name, instance, timeoutMs, heard)
      const silence = Math.min(left, heard ? SILENCE_IN_PROGRESS_MS : SILENCE_MS)
      try {
        for await (const answer of bus.requestMany(subject, text, { timeoutMs: silence, headers, last: isFinal })) {
          nobodySince = null
          heard = read(answer)
          if (heard.ack === ACK.INPROGRESS)
            deadline = Math.max(deadline, performance.now() + heard.timeout * 1_000 + SILENCE_IN_PROGRESS_MS)
          yield heard
          if (heard.ack !== ACK.INPROGRESS) return
        }
      } catch (error) {
        if (!(error instanceof BusError)) throw error
        if (error.code === 'TIMEOUT') continue
        if (error.code !== 'NO_RESPONDERS') throw fromBus(error)
        nobodySince ??= performance.now()
        const settled = performance.now() - lastBack > UNSETTLED_MS
        if (
          (settled && performance.now() - nobodySince >= NOBODY_MS) ||
          performance.now() + NOBODY_PAUSE_MS >= deadline
        )
          throw nobody(instance, bus.server.url)
        await delay(NOBODY_PAUSE_MS)
      }
    }
  }
}

/** A bus's error in the client's words. */
export function fromBus(error: unknown): unknown {
  if (!(error instanceof BusError)) return error
  switch (error.code) {
    case 'UNREACHABLE':
      return new OcpsError('UNREACHABLE', error.message)
    case 'CLOSED':
      return new OcpsError('CLOSED', error.message)
    case 'TIMEOUT':
      return new OcpsError('TIMEOUT', error.message)
    case 'NO_RESPONDERS':
      return new OcpsError('NOACK', error.message)
    case 'TOO_LARGE':
    case 'BAD_SUBJECT':
    case 'BAD_HEADER':
      return new OcpsError('BAD_REQUEST', error.message)
    case 'FENCED':
    case 'FULL':
    case 'BROKEN':
    case 'UNSUPPORTED':
      return error
  }
}

export function nobody(instance: string, url: string): OcpsError {
  return new OcpsError(
    'NOACK',
    `no instance named ${instance} answers at ${url}; start it with "ocps serve --instance ${instance}", or name the one that runs`,
  )
}

function late(name: string, instance: string, timeoutMs: number, heard: AckBody | null): OcpsError {
  return heard === null
    ? new OcpsError(
        'NOACK',
        `${instance} did not acknowledge ${name} within ${timeoutMs} ms; it may have been executed, send it again with the same id to find out`,
      )
    : new OcpsError('TIMEOUT', `${instance} did not finish ${name} in the time it promised; ask it for its jobs`)
}

function isFinal(answer: Incoming): boolean {
  return read(answer).ack !== ACK.INPROGRESS
}

function read({ body, subject }: Incoming): AckBody {
  try {
    const value = JSON.parse(new TextDecoder().decode(body)) as AckBody
    if (typeof value.ack === 'number' && Array.isArray(value.jobIds)) return value
  } catch {
    // Said below.
  }
  throw new OcpsError('BAD_ANSWER', `the answer on ${subject} is no acknowledgement; does something else listen there?`)
}
