import { ACK, refused, type AckBody, type JobResult } from '../../machines/domain/announcements.ts'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Refusal } from '../../machines/domain/refusals.ts'
import type { Numbered } from '../../machines/ports.ts'
import { quoted, type Decoding } from '../contract/decode.ts'
import type { Query, QueryDecoding } from '../contract/decodeQuery.ts'
import type { HistoryAnswer, HistoryRequest } from '../contract/history.ts'
import type { QueryError } from '../contract/queryErrors.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'
import type { Engine } from './engine.ts'
import { groupOf, jobOf, jobsOf, openOver, settledAnswer, shelfOf, stateOf } from './queries.ts'

/**
 * The front desk: where every door hands in what it has decoded. A command goes to the inbox or is refused with a code;
 * a query is answered from the actors, or fails with a code. It knows no wire: how a message came and how its answer
 * leaves is the door's.
 */
export interface Desk {
  /**
   * A command, or why it is none. Its acknowledgements leave by the sinks, to `caller.reply`; a door that answers
   * within this process gives `hear` instead, which is called with each of them, the last one being final. `name`: as
   * it was sent, for the log.
   */
  command(name: string, decoding: Decoding, caller: Caller, hear?: (ack: AckBody) => void): void
  /** The answer, or a QueryError. Never rejects. */
  ask(name: string, decoding: QueryDecoding, caller: Pick<Caller, 'identity'>): Promise<object>
}

export interface DeskOptions {
  readonly instance: string
  readonly engine: Pick<Engine, 'world' | 'command'>
  readonly say: (said: Numbered) => void
  readonly listeners: Listeners
  readonly now: () => number
  readonly observe?: Observe | undefined
  readonly log: Log
  /** Facts about the process for the query `state`. */
  readonly facts: () => Readonly<Record<string, unknown>>
  /** Jobs that have ended. */
  readonly history: (asked: HistoryRequest) => HistoryAnswer
  /** The body of the event of this topic and key that was said last; null: none is kept. */
  readonly lastEvent: (topic: 'jobResult' | 'groupResult', key: string) => Promise<string | null>
}

// In a log line; a longer name is a mistake or an attack.
const NAME_SHOWN_MAX = 64

export function createDesk(options: DeskOptions): Desk {
  const { engine, listeners, log } = options
  return {
    command(name, decoding, caller, hear) {
      if (hear) listeners.add(caller.id, hear)
      if (decoding.ok) return engine.command(decoding.command, caller)
      refuse(options, name, caller, decoding.refusal)
    },
    async ask(name, decoding, { identity }) {
      if (!decoding.ok) return decoding.error
      try {
        return await answer(options, decoding.query)
      } catch (error) {
        log.error(
          { query: name.slice(0, NAME_SHOWN_MAX), identity },
          `a query failed: ${error instanceof Error ? error.message : String(error)}`,
        )
        return { code: 'INTERNAL', error: 'the query failed inside OCPS; its log says why' } satisfies QueryError
      }
    },
  }
}

function refuse({ log, say, now, observe }: DeskOptions, name: string, caller: Caller, refusal: Refusal): void {
  const { identity } = caller
  log.warn({ command: name.slice(0, NAME_SHOWN_MAX), identity, code: refusal.code }, `refused: ${refusal.reason}`)
  observe?.('commandsRefused', 1, refusal.code)
  say({ id: '', at: now(), announcement: refused(caller, refusal) })
}

async function answer({ instance, engine, facts, lastEvent, history }: DeskOptions, query: Query): Promise<object> {
  const { world } = engine
  switch (query.name) {
    case 'state':
      return { instance, ...facts(), ...stateOf(world) }
    case 'history': {
      const { name: _, ...asked } = query
      return history(asked)
    }
    case 'exposure': {
      const { obsid } = query
      return { obsid, open: openOver(world, obsid), ...history({ obsid, limit: OVER_ONE_MAX }) }
    }
    case 'shelf':
      return shelfOf(world)
    case 'jobs':
      return jobsOf(world)
    case 'job': {
      const { jobId } = query
      const open = jobOf(world, jobId)
      if (open) return open
      const kept = await lastEvent('jobResult', jobId)
      return kept === null ? unknown('UNKNOWN_JOB', 'job', jobId) : settledAnswer(JSON.parse(kept) as JobResult)
    }
    case 'group': {
      const { group } = query
      const open = groupOf(world, group)
      if (open) return open
      const kept = await lastEvent('groupResult', group)
      if (kept === null) return unknown('UNKNOWN_GROUP', 'group', group)
      const result = JSON.parse(kept) as object
      return { ...result, state: 'finished', result }
    }
  }
}

/** Jobs over one exposure in one answer: its detectors, some times. */
const OVER_ONE_MAX = 500

// Printable ASCII without spaces is shown as it is.
const PLAIN = /^[\x21-\x7E]{1,128}$/

function unknown(code: QueryError['code'], what: string, id: string): QueryError {
  return { code, error: `no ${what} ${PLAIN.test(id) ? id : quoted(id)} is known here` }
}

/** Who waits within this process for the acknowledgements of a command, by its message id. */
export class Listeners {
  readonly #waiting = new Map<string, Set<(ack: AckBody) => void>>()

  add(id: string, hear: (ack: AckBody) => void): void {
    const others = this.#waiting.get(id)
    if (others) others.add(hear)
    else this.#waiting.set(id, new Set([hear]))
  }

  /** Given everything that is said. */
  pass({ announcement }: Numbered): void {
    if (announcement.type !== 'ack') return
    const { caller, body } = announcement
    const waiting = this.#waiting.get(caller.id)
    if (waiting === undefined) return
    if (body.ack !== ACK.INPROGRESS) this.#waiting.delete(caller.id)
    for (const hear of waiting) hear(body)
  }
}
