import { setTimeout as delay } from 'node:timers/promises'
import type { Acknowledgement } from '../../../machines/domain/announcements.ts'
import type { Bus, Retained } from '../../bus/port.ts'
import { fitting } from '../../contract/fit.ts'
import { subjects } from '../../contract/subjects.ts'
import type { Numbered } from '../../../machines/ports.ts'
import type { Observe } from '../../observer.ts'
import { idOfJobResult, jobIdOf, jobResultOf } from './execute.ts'

/**
 * From announcements to the wire: acknowledgements to who asked, events into the retained stream (live, and for late
 * joiners), telemetry live only. An event's id is its number in the journal, so the same one is never seen under
 * another id. Who has an acknowledgement finds the events that came before it on the same command in the stream (salobj
 * base_csc.py: the state is written, then the command is acknowledged); but for jobState, which a command that is
 * accepted does not wait for: it leaves right behind the acknowledgement.
 */
export interface FeedOptions {
  readonly bus: Bus
  /** Its own connection: who reads telemetry too slowly must not hold up events. */
  readonly telemetry: Bus
  readonly retained: Retained
  readonly instance: string
  readonly observe?: Observe | undefined
}

// A stream that stores nothing for so long is in trouble of its own; who asked must not wait for it as well.
const STORED_MS = 2_000

export interface Feed {
  readonly say: (said: Numbered) => void
  /** Events that are not known to be in the stream yet, oldest first. */
  readonly unstored: () => readonly Numbered[]
}

export function createFeed({ bus, telemetry, retained, instance, observe }: FeedOptions): Feed {
  const to = subjects(instance)
  let entryOfLastEvent = ''
  let unstored: Numbered[] = []
  let isAsking = false
  const answer = ({ caller, body }: Acknowledgement) => {
    if (caller.reply === null) return
    try {
      bus.publish(caller.reply, JSON.stringify(body), { 'Ocps-Identity': instance })
    } catch {
      // A reply subject nobody can be reached on, or a bus that is closed: the answer is lost to its asker, and nobody
      // else may suffer for it.
    }
  }
  const answerStored = async (announcement: Acknowledgement) => {
    await storedOrLate(retained)
    answer(announcement)
  }
  const keep = (subject: string, body: object, id: string) =>
    retained.publish({ subject, body: fitting(body, bus.server.maxPayload), id: `${instance}:${id}` })
  const say = (said: Numbered) => {
    const { id, at, announcement } = said
    switch (announcement.type) {
      case 'ack': {
        const named = jobIdOf(said, announcement)
        if (named) {
          entryOfLastEvent = entryOf(id)
          keep(to.event('job_id', named.job_id), { at, ...named }, id)
        }
        if (id === '' || entryOf(id) !== entryOfLastEvent) return answer(announcement)
        // The bus may be closed by then: who asked has lost its answer with the process, as with any other crash.
        return void answerStored(announcement)
      }
      case 'event': {
        if (announcement.topic !== 'jobState') entryOfLastEvent = entryOf(id)
        const result = announcement.topic === 'jobResult' ? jobResultOf(announcement.body) : null
        if (result) keep(to.event('job_result', result.job_id), { at, ...result }, idOfJobResult(id))
        keep(to.event(announcement.topic, announcement.key), { at, ...announcement.body }, id)
        unstored.push(said)
        observe?.('eventsUnstored', unstored.length)
        if (!isAsking) void ask()
        return
      }
      case 'telemetry': {
        const { topic, jobId, dataId, pipeline, body } = announcement
        try {
          telemetry.publish(to.telemetry(topic, jobId), JSON.stringify({ at, jobId, dataId, pipeline, ...body }))
        } catch {
          // Live only: what cannot be sent now, or is too large for the server, is lost to who listens, and to nobody
          // else.
        }
        return
      }
    }
  }
  return { say, unstored: () => unstored }

  async function ask(): Promise<void> {
    isAsking = true
    try {
      while (unstored.length > 0) {
        const asked = unstored.length
        await retained.flushed()
        unstored = unstored.slice(asked)
        observe?.('eventsUnstored', unstored.length)
      }
    } catch {
      // The bus is closed: what is not known to be stored stays so, and the next process says it again.
    }
    isAsking = false
  }
}

async function storedOrLate(retained: Retained): Promise<void> {
  const bounded = new AbortController()
  await Promise.race([
    retained.flushed().catch(() => {}),
    delay(STORED_MS, undefined, { signal: bounded.signal }).catch(() => {}),
  ])
  bounded.abort()
}

function entryOf(id: string): string {
  return id.slice(0, id.indexOf('.'))
}

/**
 * `12.3` of the id of an event this instance published, which says where in its journal it was made; null for any other
 * id.
 */
export function numberOf(instance: string, retainedId: string): string | null {
  const own = `${instance}:`
  const number = retainedId.startsWith(own) ? retainedId.slice(own.length) : ''
  return NUMBER.test(number) ? number : null
}

// Entry and place, and where it was said in the words of the Python OCPS, that.
const NUMBER = /^\d{1,15}\.-?\d{1,6}(\.job_result)?$/

/** A number further ahead of the journal than this was not made by us: that many entries are a year of full nights. */
export const AHEAD_MAX = 100_000_000

/**
 * Where the retained events say that we were: the newest one the journal knows of, and, where the journal is an older
 * copy, up to which entry numbers were given out. Anybody may publish on the events' subjects, so an id is believed
 * only where that can do no harm.
 */
export async function readLastSaid(
  retained: Retained,
  instance: string,
  lastN: number,
): Promise<{ lastSaid: string | null; numbersAfter: number }> {
  const newest = await retained.lastId(id => entryNumber(instance, id) < lastN + AHEAD_MAX)
  const numbersAfter = newest === null ? 0 : entryNumber(instance, newest)
  const known = numbersAfter <= lastN ? newest : await retained.lastId(id => entryNumber(instance, id) <= lastN)
  return { lastSaid: known === null ? null : numberOf(instance, known), numbersAfter }
}

function entryNumber(instance: string, retainedId: string): number {
  const number = numberOf(instance, retainedId)
  return number === null ? Number.POSITIVE_INFINITY : Number.parseInt(number, 10)
}
