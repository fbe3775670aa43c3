import type { JobResult, JobState } from '../../machines/domain/announcements.ts'
import { gatherAddress, jobAddress } from '../../machines/domain/messages.ts'
import { inOrder } from '../../machines/domain/waitingList.ts'
import type { CscContext } from '../../machines/csc.ts'
import type { GatherContext } from '../../machines/groupMembers.ts'
import { progressOf } from '../../machines/groupResult.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import { directoryOf } from '../../machines/jobResult.ts'
import type { ShelfContext } from '../../machines/shelf.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { grantedIn, inAll, poolsInUse, standings } from '../../machines/standing.ts'
import type { GroupAnswer, JobAnswer, JobsAnswer, Present, ShelfAnswer } from '../contract/answers.ts'
import type { ExposureAnswer } from '../contract/history.ts'
import type { Actor, World } from './world.ts'

/** What can be asked about the present: read from the actors, changing nothing. */

export function stateOf(world: World): Present {
  const csc = need(world.actor('csc'))
  const queue = need(world.actor('queue'))
  const { errorCode, errorReport, logLevel, applied, available } = csc.snapshot.context as CscContext
  const context = queue.snapshot.context as QueueContext
  const { configuration, open } = context
  const isStarting = (jobId: string) =>
    world.actor(jobAddress(jobId))?.snapshot.matches({ active: 'starting' }) === true
  const pools = poolsInUse(context, configuration, isStarting)
  const used = inAll(pools)
  return {
    summaryState: String(csc.snapshot.value).toUpperCase(),
    errorCode,
    errorReport,
    logLevel,
    configuration: applied?.configurations ?? null,
    configurationVersion: applied?.version ?? null,
    isReloadDue: applied !== null && available !== null && available.version !== applied.version,
    queue: {
      state: queue.snapshot.matches('closed')
        ? 'closed'
        : queue.snapshot.matches({ open: 'paused' })
          ? 'paused'
          : 'flowing',
      mode: configuration?.mode ?? null,
      waiting: used.waiting,
      running: used.jobs.length,
      ahead: used.ahead,
      held: open - used.waiting - used.jobs.length - used.ahead,
      slots: used.slots,
      slotsTaken: used.slotsTaken,
      ...(pools.length > 1 && { pools: pools.map(({ jobs, ...one }) => ({ ...one, running: jobs.length })) }),
    },
    groups: [...world.actors('gather')].length,
    shelf: shelfOf(world).jobs.length,
  }
}

// One message on the wire; a list of more is cut and says so.
const JOBS_MAX = 1_000

/** Open jobs: running first, then waiting in the order they will run, then the rest. */
export function jobsOf(world: World): JobsAnswer {
  const context = need(world.actor('queue')).snapshot.context as QueueContext
  const first = [
    ...grantedIn(context),
    ...standings(context)
      .flatMap(([, { waiting }]) => inOrder(waiting, context.configuration?.order ?? 'fifo').slice(0, JOBS_MAX))
      .map(({ jobId }) => jobId),
  ].map(jobAddress)
  const all = [...world.actors('job')]
  const placed = new Set(first)
  const ordered = [
    ...first.flatMap(address => world.actor(address) ?? []),
    ...all.filter(({ address }) => !placed.has(address)),
  ]
  const jobs = ordered.slice(0, JOBS_MAX).map(actor => {
    const { jobId, state, dataId, pipeline, attempt, times } = jobAnswer(world, actor)
    return { jobId, state, dataId, pipeline, attempt, times }
  })
  return { jobs, open: all.length }
}

/** Open jobs over one exposure. */
export function openOver(world: World, obsid: string): ExposureAnswer['open'] {
  return [...world.actors('job')]
    .filter(({ snapshot }) => (snapshot.context as JobContext).dataId.obsid === obsid)
    .map(actor => {
      const { jobId, state, pipeline, attempt } = jobAnswer(world, actor)
      return { jobId, state, pipeline, attempt }
    })
}

/** An open job, or null. */
export function jobOf(world: World, jobId: string): JobAnswer | null {
  const actor = world.actor(jobAddress(jobId))
  return actor ? jobAnswer(world, actor) : null
}

/** A settled job, from its event; one that an older OCPS said does not say who asked, nor with what. */
export function settledAnswer(said: JobResult): JobResult & { state: 'settled'; result: JobResult } {
  const unsaid = { askedBy: null, overrides: {}, configFile: null, directory: directoryOf(said) }
  const result = { ...unsaid, ...said }
  return { ...result, state: 'settled', result }
}

/** A group that is open or lingers, or null. */
export function groupOf(world: World, group: string): GroupAnswer | null {
  const actor = world.actor(gatherAddress(group))
  if (!actor) return null
  const context = actor.snapshot.context as GatherContext
  const members = context.members.map(({ identity, jobId, pipeline, output }) => ({
    identity,
    jobId,
    pipeline,
    outcome: output?.outcome.kind ?? null,
  }))
  return {
    ...progressOf(context, String(actor.snapshot.value) as GroupAnswer['state']),
    members,
    result: context.result,
  }
}

/** Jobs that ended without success, oldest first. */
export function shelfOf(world: World): ShelfAnswer {
  return { jobs: (need(world.actor('shelf')).snapshot.context as ShelfContext).items }
}

function jobAnswer(world: World, { snapshot, timers }: Actor): JobAnswer {
  const { jobId, asked, dataId, pipeline, attempt, metrics, datasets, verdict, times } = snapshot.context as JobContext
  const value: unknown = snapshot.value
  const state =
    typeof value === 'string'
      ? value
      : snapshot.matches('held')
        ? 'held'
        : snapshot.matches({ active: 'starting' })
          ? 'starting'
          : 'running'
  const [due] = timers.values()
  const note = snapshot.matches({ held: 'awaitingJobs' })
    ? 'waiting for other jobs'
    : snapshot.matches({ held: 'awaitingData' })
      ? 'waiting for the data to be ingested'
      : snapshot.matches({ active: 'starting' }) && asked.capacity !== undefined
        ? 'handed over, begins as soon as it fits'
        : due === undefined
          ? ''
          : `next deadline ${new Date(world.onTheWall(due)).toISOString()}`
  return {
    jobId,
    state: state as JobState['state'],
    dataId,
    pipeline: pipeline.name,
    attempt,
    version: asked.version,
    commandId: asked.commandId,
    askedBy: asked.askedBy ?? null,
    overrides: asked.overrides,
    configFile: asked.configFile,
    directory: directoryOf({ jobId, times }),
    attemptsMax: pipeline.retries.attemptsMax,
    metrics,
    datasets,
    verdict,
    times,
    note,
    result: null,
  }
}

function need(actor: Actor | undefined): Actor {
  if (!actor) throw new Error('invariant: the csc and the queue are always there')
  return actor
}
