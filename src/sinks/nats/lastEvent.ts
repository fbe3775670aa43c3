import type { Retained } from '../../bus/port.ts'
import { subjects } from '../../contract/subjects.ts'

// NATS ends a connection over a control line of 4 096 bytes.
const SUBJECT_MAX = 1_024

/** What was said last of something that is over, from the retained stream; null: nothing. */
export function lastEvent(retained: Pick<Retained, 'last'>, instance: string) {
  const to = subjects(instance)
  return async (topic: 'jobResult' | 'groupResult', key: string): Promise<string | null> => {
    const subject = to.event(topic, key)
    // Too long for a subject, or the empty id: nothing was ever said of it.
    return subject.length > SUBJECT_MAX || subject.endsWith('.') ? null : await retained.last(subject)
  }
}
