import type { AckBody, Announcement, Event } from '../../machines/domain/announcements.ts'
import type { Observe } from '../observer.ts'
import type { StepObserver } from './world.ts'

/** What the engine observes, in functions that exist only where somebody listens. */

export function countingSteps(observe: Observe, other: StepObserver | undefined): StepObserver {
  return {
    stepped(actor, event, before, emissions) {
      observe('steps', 1)
      other?.stepped(actor, event, before, emissions)
    },
  }
}

export function countingSaid<Said extends { readonly announcement: Announcement }>(
  observe: Observe,
  say: (said: Said) => void,
): (said: Said) => void {
  return said => {
    observe('announcementsSaid', 1, said.announcement.type)
    say(said)
  }
}

/** The first answer to a command says whether it was accepted. */
export function countAnswer(observe: Observe, { ack, code }: AckBody): void {
  if (ack > 0) observe('commandsAccepted', 1)
  else observe('commandsRefused', 1, code ?? 'INTERNAL')
}

export function countEvent(observe: Observe, { topic, body }: Event): void {
  if (topic === 'jobResult') observe('jobsSettled', 1, body.outcome.kind)
  else if (topic === 'jobState' && body.state === 'running') observe('jobsStarted', 1)
}
