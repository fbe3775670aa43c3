import { decodeToken } from '../../machines/domain/dataId.ts'
import type { Bus, Incoming, Subscription } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'
import { createStream, type Stream } from './stream.ts'

/**
 * An event as it was said: `key` is the job or group for topics that have one, `at` milliseconds since 1970 UTC where
 * it is known.
 */
export interface OcpsEvent {
  readonly topic: string
  readonly key: string | null
  readonly at: number | null
  readonly body: Readonly<Record<string, unknown>>
}

// Of a loop that takes too slowly the oldest are dropped: the retained stream has the present anyway.
const EVENTS_WAITING_MAX = 10_000

/**
 * Live events from now on, all or of one topic, or of one key of it; until the loop is left or the client is closed.
 */
export function listenToEvents(
  bus: Bus,
  instance: string,
  topic: string | null,
  key: string | null,
  onStop: () => void,
): Stream<OcpsEvent> & { stop(): void } {
  const to = subjects(instance)
  const root = to.events.slice(0, -1)
  const patterns =
    topic === null ? [to.events] : key === null ? [to.event(topic), `${to.event(topic)}.*`] : [to.event(topic, key)]
  let subscriptions: Subscription[] = []
  const stream = createStream<OcpsEvent>({ waitingMax: EVENTS_WAITING_MAX, onLeave: stop })
  const hear = ({ subject, body }: Incoming) => {
    const [name = '', token] = subject.slice(root.length).split('.')
    try {
      const { at = null, ...rest } = JSON.parse(new TextDecoder().decode(body)) as { at?: number | null }
      stream.push({ topic: name, key: token === undefined ? null : decodeToken(token), at, body: rest })
    } catch {
      // Not JSON: nobody of ours said that.
    }
  }
  subscriptions = patterns.map(pattern => bus.subscribe(pattern, hear))
  return Object.assign(stream, { stop })

  function stop(): void {
    for (const subscription of subscriptions.splice(0)) subscription.stop().catch(() => {})
    stream.end()
    onStop()
  }
}
