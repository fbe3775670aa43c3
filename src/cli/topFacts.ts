/**
 * The night at a glance as plain data: what `ocps top` draws, and what it prints with --json. Read from the fold the
 * inspector's page uses; the present is given, so that the same night at the same moment is the same facts.
 */
import type { CscContext } from '../../machines/csc.ts'
import { memberIdentity } from '../../machines/domain/dataId.ts'
import { inOrder } from '../../machines/domain/waitingList.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { inAll, standings } from '../../machines/standing.ts'
import type { PoolAnswer } from '../contract/answers.ts'
import { explainJob, exposuresOf } from '../night/explain.ts'
import { type GroupRecord, type JobRecord, leafOf, type Night, poolsOf } from '../night/night.ts'
import { onShelf } from '../night/shelf.ts'
import { type Reserved, reservedIn } from '../night/slots.ts'
import type { Status } from '../night/tail.ts'
import { dataText } from './format.ts'

/** Times are milliseconds since 1970 UTC, durations milliseconds. */
export interface TopFacts {
  readonly instance: string
  readonly at: number
  readonly summaryState: string
  /** null: none. */
  readonly error: string | null
  /** null: it is there; else why what is shown may be old. */
  readonly away: string | null
  /** Who is active: the process that wrote last. */
  readonly process: { readonly host: string; readonly pid: number; readonly ocps: string } | null
  readonly configuration: string | null
  readonly queue: {
    readonly state: string
    readonly mode: string | null
    readonly order: string | null
    readonly slots: number
    readonly slotsTaken: number
    /** Only where there is more than one. */
    readonly pools?: readonly PoolAnswer[]
    /** The first of a pool that waits although slots are free, which are kept for it; null: nothing is kept. */
    readonly reserved: Reserved | null
    readonly running: number
    /** Handed to the launcher before a slot is free. */
    readonly ahead: number
    readonly waiting: number
    /** State → how many: those that wait for something else than a slot. */
    readonly held: Readonly<Record<string, number>>
    /** Why the first of each kind waits. */
    readonly why: readonly string[]
  }
  readonly over: { readonly succeeded: number; readonly others: number; readonly shelf: number }
  /** Jobs that ended. */
  readonly rate: { readonly lastMinute: number; readonly lastTenMinutes: number }
  /** Of how many, the newest; null: none yet. */
  readonly latency: {
    readonly jobs: number
    readonly waited: Percentiles | null
    readonly ran: Percentiles | null
    readonly whole: Percentiles | null
  }
  readonly running: readonly RunningFacts[]
  readonly groups: readonly GroupFacts[]
  readonly failures: readonly FailureFacts[]
}

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface RunningFacts {
  readonly jobId: string
  readonly state: string
  readonly data: string
  readonly pipeline: string
  readonly forMs: number
  /** Until it is stopped; null: nothing stops it. */
  readonly leftMs: number | null
  readonly note: string
}

export interface GroupFacts {
  readonly group: string
  /** Its state, or how it ended. */
  readonly state: string
  readonly isOver: boolean
  readonly settled: number
  readonly accepted: number
  /** Accepted, and expected ones that were not accepted yet. */
  readonly total: number
  readonly unsuccessful: number
}

export interface FailureFacts {
  readonly at: number
  readonly what: string
  readonly kind: string
  readonly text: string
}

// A screen holds fewer; a document need not be longer.
const LISTED_MAX = 50
// Percentiles of the present, not of the evening: some minutes of a large camera.
const LATENCY_JOBS_MAX = 1_000
// Three periods of the heartbeat, as everywhere.
const HEARTBEAT_LOST_MS = 3_000
const MINUTE_MS = 60_000

const HELD: readonly string[] = ['awaitingData', 'awaitingJobs', 'backingOff']
const RUNNING: readonly string[] = ['running', 'stopping', 'starting']

export function topFacts(night: Night, status: Status, now: number): TopFacts {
  const csc = night.world.actor('csc')
  const queue = night.world.actor('queue')
  const { errorCode = 0, errorReport = '', applied = null } = (csc?.snapshot.context ?? {}) as Partial<CscContext>
  const jobs = [...night.jobs.values()]
  const open = jobs.filter(({ isOpen }) => isOpen)
  const over = jobs.filter(({ isOpen }) => !isOpen)
  const succeeded = over.filter(({ context }) => context.outcome?.kind === 'succeeded').length
  const endedSince = (ms: number) => over.filter(({ context }) => context.times.settled > now - ms).length
  return {
    instance: night.instance,
    at: now,
    summaryState: night.n === 0 || !csc ? 'UNKNOWN' : leafOf(csc.snapshot).toUpperCase(),
    error: errorCode === 0 ? null : `${errorCode}: ${errorReport}`,
    away: awayOf(status, now),
    process: night.process && {
      host: night.process.host,
      pid: night.process.pid,
      ocps: night.process.versions.ocps,
    },
    configuration: applied?.configurations ?? null,
    queue: queueOf(night, queue?.snapshot.context as QueueContext | undefined, open),
    over: { succeeded, others: over.length - succeeded, shelf: onShelf(night).length },
    rate: { lastMinute: endedSince(MINUTE_MS), lastTenMinutes: endedSince(10 * MINUTE_MS) },
    latency: latencyOf(over),
    running: open
      .filter(({ state }) => RUNNING.includes(state))
      .toSorted((a, b) => RUNNING.indexOf(a.state) - RUNNING.indexOf(b.state) || a.since - b.since)
      .slice(0, LISTED_MAX)
      .map(job => runningOf(night, job, now)),
    groups: groupsOf([...night.groups.values()]),
    failures: failuresOf(over, [...night.groups.values()]),
  }
}

function awayOf({ link, problem, heartbeatAt }: Status, now: number): string | null {
  if (link === 'away') return problem
  if (heartbeatAt === null) return 'no heartbeat: the process is not running'
  return now - heartbeatAt <= HEARTBEAT_LOST_MS ? null : `no heartbeat for ${Math.round((now - heartbeatAt) / 1_000)} s`
}

function queueOf(night: Night, context: QueueContext | undefined, open: readonly JobRecord[]): TopFacts['queue'] {
  const { configuration = null } = context ?? {}
  const pools = poolsOf(night)
  const all = inAll(pools)
  const queue = night.world.actor('queue')
  const order = configuration?.order ?? null
  const next = context
    ? standings(context).flatMap(([, { waiting }]) => inOrder(waiting, order ?? 'fifo').slice(0, 1))
    : []
  const first = next.flatMap(({ jobId }) => night.jobs.get(jobId) ?? [])
  const held = HELD.map(state => open.filter(job => job.state === state)).filter(all => all.length > 0)
  return {
    state: queue ? leafOf(queue.snapshot) : 'unknown',
    mode: configuration?.mode ?? null,
    order,
    slots: all.slots,
    slotsTaken: all.slotsTaken,
    ...(pools.length > 1 && { pools: pools.map(({ jobs, ...one }) => ({ ...one, running: jobs.length })) }),
    reserved: reservedIn(night)[0] ?? null,
    running: all.jobs.length,
    ahead: all.ahead,
    waiting: all.waiting,
    held: Object.fromEntries(held.map(all => [all[0]?.state ?? '', all.length])),
    why: [...first, ...held.map(([one]) => one)].flatMap(job => (job ? [explainJob(night, job)] : [])),
  }
}

function latencyOf(over: readonly JobRecord[]): TopFacts['latency'] {
  const newest = over.toSorted((a, b) => b.context.times.settled - a.context.times.settled).slice(0, LATENCY_JOBS_MAX)
  const all = newest.map(({ context }) => context)
  return {
    jobs: all.length,
    waited: percentiles(
      all.flatMap(({ times: { queued, started } }) => (queued === null || started === null ? [] : [started - queued])),
    ),
    ran: percentiles(all.flatMap(({ outcome }) => outcome?.usage?.wallMs ?? [])),
    whole: percentiles(all.map(({ times: { accepted, settled } }) => settled - accepted)),
  }
}

/** Nearest rank: each is a value that was measured. */
function percentiles(values: readonly number[]): Percentiles | null {
  const sorted = values.toSorted((a, b) => a - b)
  const max = sorted.at(-1)
  if (max === undefined) return null
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? max
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max }
}

function runningOf(night: Night, { jobId, state, context, since, progress }: JobRecord, now: number): RunningFacts {
  // One that waits for a slot at the launcher has its time from its start.
  const isWaiting = state === 'starting' && context.asked.capacity !== undefined
  const due = isWaiting ? [] : [...(night.world.actor(`job.${jobId}`)?.timers.values() ?? [])]
  return {
    jobId,
    state,
    data: dataText(context.dataId),
    pipeline: context.pipeline.name,
    forMs: Math.max(0, now - since),
    leftMs: due.length === 0 ? null : Math.max(0, night.world.onTheWall(Math.min(...due)) - now),
    note: progress,
  }
}

/** Those that are not over first, the newest of each first. */
function groupsOf(groups: readonly GroupRecord[]): GroupFacts[] {
  return groups
    .map(({ group, state, context }) => {
      const { members, expected, result } = context
      return {
        group,
        state: result?.outcome ?? state,
        isOver: result !== null && !['open', 'closing', 'concluding', 'gathering'].includes(state),
        settled: members.filter(({ output }) => output !== null).length,
        accepted: members.length,
        total: members.length + Math.max(0, (expected ?? 0) - exposuresOf(context)),
        unsuccessful: members.filter(({ output }) => output !== null && output.outcome.kind !== 'succeeded').length,
      }
    })
    .toReversed()
    .toSorted((a, b) => Number(a.isOver) - Number(b.isOver))
    .slice(0, LISTED_MAX)
}

function failuresOf(over: readonly JobRecord[], groups: readonly GroupRecord[]): FailureFacts[] {
  const jobs = over.flatMap(({ context: { dataId, pipeline, outcome, times } }) =>
    outcome === null || outcome.kind === 'succeeded'
      ? []
      : [
          {
            at: times.settled,
            what: dataId.obsid === null ? dataText(dataId) : `${memberIdentity(dataId)} ${pipeline.name}`,
            kind: outcome.kind,
            text: outcome.message,
          },
        ],
  )
  const gathers = groups.flatMap(({ group, since, context: { result } }) =>
    result === null || result.outcome === 'complete' || result.outcome === 'skipped'
      ? []
      : [{ at: since, what: `group ${group}`, kind: result.outcome, text: result.message }],
  )
  return [...jobs, ...gathers].sort((a, b) => b.at - a.at).slice(0, LISTED_MAX)
}
