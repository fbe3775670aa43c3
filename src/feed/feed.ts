import type { Bus, Retained } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'
import type { Numbered } from '../engine/engine.ts'

/**
 * From announcements to the wire: acknowledgements to who asked, events into the retained stream (live, and for late joiners), telemetry live only. An
 * event's id is its number in the journal, so the same one is never seen under another id.
 */
export interface FeedOptions {
  readonly bus: Bus
  /** Its own connection: who reads telemetry too slowly must not hold up events. */
  readonly telemetry: Bus
  readonly retained: Retained
  readonly instance: string
}

export function createFeed({ bus, telemetry, retained, instance }: FeedOptions): (said: Numbered) => void {
  const to = subjects(instance)
  return ({ id, at, announcement }) => {
    switch (announcement.type) {
      case 'ack': {
        const { caller, body } = announcement
        if (caller.reply !== null) bus.publish(caller.reply, JSON.stringify(body), { 'Ocps-Identity': instance })
        return
      }
      case 'event':
        return retained.publish({
          subject: to.event(announcement.topic, announcement.key),
          body: JSON.stringify({ at, ...announcement.body }),
          id: `${instance}:${id}`,
        })
      case 'telemetry': {
        const { topic, jobId, dataId, pipeline, body } = announcement
        return telemetry.publish(to.telemetry(topic, jobId), JSON.stringify({ at, jobId, dataId, pipeline, ...body }))
      }
    }
  }
}

/** The journal number in the id of a retained event; null where there is none. */
export function numberOf(retainedId: string | null): string | null {
  return retainedId === null ? null : retainedId.slice(retainedId.lastIndexOf(':') + 1)
}
