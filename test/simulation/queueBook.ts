import type { EventObject } from 'xstate'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { Emission, QueueMessage } from '../../machines/domain/messages.ts'
import type { Actor } from '../../src/engine/world.ts'
import type { PromiseName } from './violation.ts'

/**
 * The queue as somebody would keep it with pencil and paper: who waits, who runs. It hears what the queue hears and
 * holds the queue to slots, order and priority; it shares no code with the machine.
 */
export interface QueueBook {
  stepped(actor: Actor, event: EventObject, emissions: readonly Emission[]): void
  /** What the queue itself should have counted. */
  readonly slotsTaken: () => number
  readonly slots: () => number
  /** What is in force. */
  readonly configuration: () => Configuration | null
  /** So many may be granted in advance. */
  readonly prefetch: () => number
  isGranted(jobId: string): boolean
}

export function createQueueBook(broken: (promise: PromiseName, evidence: string) => void): QueueBook {
  let configuration: Configuration | null = null
  const lanes = new Map<number, { readonly jobId: string; readonly slots: number }[]>()
  const running = new Map<string, number>()
  let taken = 0
  let isOpen = false
  let isPaused = false

  /** Who is closed while paused is paused when opened again. */
  const state = () => (!isOpen ? 'closed' : isPaused ? 'open.paused' : 'open.flowing')
  const head = () => {
    let best: number | null = null
    for (const [priority, lane] of lanes) if (lane.length > 0 && (best === null || priority > best)) best = priority
    if (best === null) return null
    const lane = lanes.get(best) ?? []
    const first = configuration?.order === 'newestFirst' ? lane.at(-1) : lane[0]
    return first === undefined ? null : { ...first, lane }
  }
  const prefetch = () => configuration?.prefetch ?? 0
  const forget = (jobId: string): void => {
    taken -= running.get(jobId) ?? 0
    running.delete(jobId)
  }

  const grant = (jobId: string): void => {
    if (state() !== 'open.flowing')
      broken('no grant when held', `${jobId} was granted a slot while the queue was ${state()}`)
    const first = head()
    if (first?.jobId !== jobId)
      return broken('order kept', `${jobId} was granted a slot although ${first?.jobId ?? 'nobody'} was next`)
    first.lane.splice(
      first.lane.findIndex(one => one.jobId === jobId),
      1,
    )
    running.set(jobId, first.slots)
    taken += first.slots
    const slots = configuration?.slots ?? 0
    if (taken > slots + prefetch())
      broken('slots not exceeded', `${taken} of ${slots} slots are taken when ${jobId} is granted ${first.slots}`)
    if (first.slots > slots)
      broken('slots not exceeded', `${jobId} is granted ${first.slots} slots although there are ${slots}`)
  }

  return {
    slotsTaken: () => taken,
    slots: () => configuration?.slots ?? 0,
    configuration: () => configuration,
    prefetch,
    isGranted: jobId => running.has(jobId),
    stepped(actor, heard, emissions) {
      const event = heard as QueueMessage | { type: 'actor.ended'; address: string }
      switch (event.type) {
        case 'queue.configure':
          configuration = event.configuration
          break
        case 'job.ready': {
          const lane = lanes.get(event.priority) ?? []
          lanes.set(event.priority, lane)
          lane.push({ jobId: event.jobId, slots: event.slots })
          break
        }
        case 'job.yielded':
          forget(event.jobId)
          break
        case 'queue.clear':
          lanes.clear()
          break
        case 'actor.ended': {
          if (!event.address.startsWith('job.')) break
          const jobId = event.address.slice('job.'.length)
          forget(jobId)
          for (const lane of lanes.values()) {
            const place = lane.findIndex(one => one.jobId === jobId)
            if (place !== -1) lane.splice(place, 1)
          }
          break
        }
        case 'queue.open':
          isOpen = true
          break
        case 'queue.close':
          isOpen = false
          break
        case 'queue.pause':
          isPaused ||= isOpen
          break
        case 'queue.resume':
          isPaused &&= !isOpen
          break
        case 'queue.files':
        case 'queue.submit':
        case 'queue.resubmit':
        case 'queue.closeGroup':
        case 'job.opened':
          break
      }
      const value: unknown = actor.snapshot.value
      const found = typeof value === 'string' ? value : `open.${String((value as { open: unknown }).open)}`
      if (found !== state()) broken('no grant when held', `the queue is ${found} where it should be ${state()}`)
      for (const emission of emissions)
        if (emission.type === 'tell' && emission.message.type === 'slot.granted')
          grant(emission.to.slice('job.'.length))
      const first = state() === 'open.flowing' ? head() : null
      const slots = configuration?.slots ?? 0
      if (first && first.slots <= slots && first.slots <= slots + prefetch() - taken)
        broken(
          'no slot idle',
          `${first.jobId} waits for ${first.slots} slots although ${taken} of ${configuration?.slots} are taken`,
        )
    },
  }
}
