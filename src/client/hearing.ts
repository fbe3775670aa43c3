import type { GroupResult, GroupState, JobResult } from '../../machines/domain/announcements.ts'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { Metric } from '../../machines/domain/reports.ts'
import type { Bus, Incoming } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'

/**
 * Hears what an instance says of jobs and groups and passes it to whoever follows them. A job's first words can come
 * before its command is acknowledged: what is heard while a command is on its way is held, so that nothing is missed
 * between the two.
 */
export type Reported =
  | { readonly of: 'metric'; readonly key: string; readonly body: MetricReport }
  | { readonly of: 'progress'; readonly key: string; readonly body: ProgressReport }
  | { readonly of: 'jobResult'; readonly key: string; readonly body: JobResult }
  | { readonly of: 'groupState'; readonly key: string; readonly body: GroupState }
  | { readonly of: 'groupResult'; readonly key: string; readonly body: GroupResult }

/** One number of one job. */
export interface MetricReport extends Metric {
  readonly jobId: string
  readonly dataId: DataId
}

/** How far a job is. `fraction` 0…1, null where the pipeline does not know; `at` milliseconds since 1970 UTC. */
export interface ProgressReport {
  readonly jobId: string
  readonly dataId: DataId
  readonly fraction: number | null
  readonly note: string
  readonly at: number
}

export interface Hearing {
  /**
   * Before a command is sent. `follow` hands over what is being said of these jobs or of this group, from the
   * beginning.
   */
  begin(): { follow(keys: readonly string[], hear: (heard: Reported) => void): () => void; cancel(): void }
}

// Ten seconds of a camera's 189 detectors with ten metrics each, while one acknowledgement is on its way. What falls
// out is found by asking.
const HELD_MAX = 20_000

export function createHearing(bus: Bus, instance: string): Hearing {
  const followers = new Map<string, Set<(heard: Reported) => void>>()
  let held: Reported[] = []
  let commands = 0
  let subscribed = false

  return {
    begin() {
      if (!subscribed) subscribe()
      subscribed = true
      commands += 1
      let open = true
      const finish = () => {
        if (open) commands -= 1
        open = false
        if (commands === 0) held = []
      }
      return {
        cancel: finish,
        follow(keys, hear) {
          const wanted = new Set(keys)
          for (const key of wanted) add(key, hear)
          for (const heard of held) if (wanted.has(heard.key)) hear(heard)
          finish()
          return () => {
            for (const key of wanted) remove(key, hear)
          }
        },
      }
    },
  }

  function subscribe(): void {
    const to = subjects(instance)
    const listen = (subject: string, read: (message: Incoming) => Reported | null) =>
      bus.subscribe(subject, message => {
        const heard = read(message)
        if (heard !== null) pass(heard)
      })
    listen(to.allTelemetry, telemetry)
    listen(`${to.event('jobResult')}.*`, message => {
      const body = parsed<JobResult>(message)
      return body && { of: 'jobResult', key: jobKey(body.jobId), body }
    })
    listen(`${to.event('groupState')}.*`, message => {
      const body = parsed<GroupState>(message)
      return body && { of: 'groupState', key: groupKey(body.group), body }
    })
    listen(`${to.event('groupResult')}.*`, message => {
      const body = parsed<GroupResult>(message)
      return body && { of: 'groupResult', key: groupKey(body.group), body }
    })
  }

  function pass(heard: Reported): void {
    if (commands > 0) {
      held.push(heard)
      if (held.length > 2 * HELD_MAX) held = held.slice(-HELD_MAX)
    }
    for (const hear of followers.get(heard.key) ?? []) hear(heard)
  }

  function add(key: string, hear: (heard: Reported) => void): void {
    const present = followers.get(key)
    if (present) present.add(hear)
    else followers.set(key, new Set([hear]))
  }

  function remove(key: string, hear: (heard: Reported) => void): void {
    const present = followers.get(key)
    present?.delete(hear)
    if (present?.size === 0) followers.delete(key)
  }
}

export const jobKey = (jobId: string) => `job ${jobId}`
export const groupKey = (group: string) => `group ${group}`

function telemetry(message: Incoming): Reported | null {
  const topic = message.subject.split('.').at(-2)
  if (topic !== 'metric' && topic !== 'progress') return null
  if (topic === 'progress') {
    const body = parsed<ProgressReport>(message)
    if (!body) return null
    const { jobId, dataId, fraction, note, at } = body
    return { of: 'progress', key: jobKey(jobId), body: { jobId, dataId, fraction, note, at } }
  }
  const body = parsed<MetricReport>(message)
  if (!body) return null
  const { jobId, dataId, metric, value, unit } = body
  return { of: 'metric', key: jobKey(jobId), body: { jobId, dataId, metric, value, unit } }
}

/** Checked where it was made; what is not JSON at all comes from somebody else and is passed over. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the edge where the wire's JSON gets its type
function parsed<T>({ body }: Incoming): T | null {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as T
  } catch {
    return null
  }
}
