import { assign, emit, enqueueActions, setup } from 'xstate'
import { judge, judgeRetry, type Retry, type Submission } from './admission.ts'
import { complete, refused } from './domain/announcements.ts'
import type { Caller, PipelineFiles } from './domain/commands.ts'
import type { Configuration } from './domain/configuration.ts'
import type { QueueInput } from './domain/inputs.ts'
import { invariant } from './domain/invariant.ts'
import {
  jobAddress,
  replyAddress,
  tell,
  watch,
  type Address,
  type Emission,
  type End,
  type EngineMessage,
  type Heard,
  type QueueMessage,
} from './domain/messages.ts'
import { DEFAULT_POOL } from './domain/pools.ts'
import { EMPTY } from './domain/waitingList.ts'
import type { GatherContext } from './groupMembers.ts'
import { brokenGroupResult } from './groupResult.ts'
import type { JobContext } from './jobContext.ts'
import { brokenResult } from './jobResult.ts'
import { admission, isSync, retryAdmission } from './opening.ts'
import {
  isGranted,
  nextFitting,
  withGranted,
  withoutJob,
  withoutRunning,
  withoutWaiting,
  withWaiting,
  type Standings,
} from './standing.ts'

/*
 * Who waits and who runs: admission, slots, priority, order, depth, pause, and whether commands are answered at once
 * (async) or at the end of their processing (sync: one command at a time; `execute` in both modes). It knows jobs by id
 * only; what a job does is the job's business.
 *
 *     closed  --queue.open--> open (as it was: flowing or paused)      open    --queue.close--> closed
 *     flowing --queue.pause--> paused                                  paused  --queue.resume--> flowing
 *     flowing --(while the next job of a pool fits its free slots, and prefetch)--> slot.granted to it
 *     any     --queue.submit--> jobs opened, or the group told to close, or refused
 *     any     --queue.closeGroup--> the same for a group
 *     any     --queue.resubmit--> jobs from the shelf opened again, or refused
 *     any     --job.opened--> a gather's own job counts too
 *     any     --job.ready--> it waits     --job.yielded--> its slots are free
 *     any     --actor.ended--> the job is gone, or the result of a broken group is said, or a command is answered
 *     any     --queue.files--> (knows which pipelines have files)
 *     any     --queue.clear--> nothing waits; every job and group is told to stop      --queue.configure--> new rules
 *
 * A job too large for the slots that are free in its pool holds back those behind it there: order is kept, so that no
 * large job starves. Pools do not hold up each other. With `prefetch` slots are granted in advance: the executor begins
 * such a job when they are free. It cannot be overtaken any more, nor held.
 */

/** Who waits and who runs stands in it by pool. */
export interface QueueContext extends Standings {
  readonly instance: string
  readonly configuration: Configuration | null
  /** Accepted and not ended, running ones included. */
  readonly open: number
  /** Synchronous mode: the command in progress, by the address of its reply; null when there is none. */
  readonly inHand: Address | null
  /** Pipelines that have a file, applied or not; absent in journals that are older than this. */
  readonly pipelineFiles?: PipelineFiles
}

type Ready = Extract<QueueMessage, { type: 'job.ready' }>

export type QueueEvent = Heard<QueueMessage | Extract<EngineMessage, { type: 'actor.ended' }>>

export const queue = setup({
  types: { context: {} as QueueContext, events: {} as QueueEvent, input: {} as QueueInput, emitted: {} as Emission },
  guards: {
    isNextFitting: ({ context }) => nextFitting(context, context.configuration) !== null,
    isRetryAdmissible: ({ context }, retry: Retry) => judgeRetry(context, retry) === null,
    isAdmissible: ({ context }, submission: Submission) => judge(context, submission) === null,
    isJob: (_, params: { address: Address }) => params.address.startsWith('job.'),
    isBrokenGroup: (_, { address, end }: { address: Address; end: End }) =>
      address.startsWith('gather.') && end.how === 'broken' && isUnanswered(end.context as GatherContext),
  },
  actions: {
    configure: assign((_, { configuration }: { configuration: Configuration }) => ({ configuration })),
    noteFiles: assign((_, { pipelineFiles }: { pipelineFiles: PipelineFiles }) => ({ pipelineFiles })),
    admit: enqueueActions(({ context, enqueue }, submission: Submission) => {
      const { emissions, jobs } = admission(context, submission)
      for (const emission of emissions) enqueue.emit(emission)
      enqueue.assign({
        open: context.open + jobs,
        inHand: isSync(context) ? replyAddress(submission.command.caller) : null,
      })
    }),
    refuse: emit(({ context }, submission: Submission) => {
      const refusal = judge(context, submission)
      invariant(refusal, 'refused a command that is admissible')
      return refused(submission.command.caller, refusal)
    }),
    admitRetry: enqueueActions(({ context, enqueue }, retry: Retry) => {
      const { emissions, jobs } = retryAdmission(context, retry)
      for (const emission of emissions) enqueue.emit(emission)
      enqueue.assign({
        open: context.open + jobs,
        inHand: isSync(context) ? replyAddress(retry.command.caller) : null,
      })
    }),
    refuseRetry: emit(({ context }, retry: Retry) => {
      const refusal = judgeRetry(context, retry)
      invariant(refusal, 'refused a retry that is admissible')
      return refused(retry.command.caller, refusal)
    }),
    countJob: assign(({ context }) => ({ open: context.open + 1 })),
    watchJob: emit((_, { jobId }: { jobId: string }) => watch(jobAddress(jobId))),
    addWaiting: assign(({ context }, { jobId, priority, slots, pool = DEFAULT_POOL }: Ready) =>
      withWaiting(context, pool, priority, { jobId, slots }),
    ),
    grantSlot: enqueueActions(({ context, enqueue }) => {
      const { configuration } = context
      const granted = nextFitting(context, configuration)
      invariant(configuration && granted, 'granted a slot to nobody')
      enqueue.assign(withGranted(context, granted.pool, configuration))
      enqueue.emit(tell(jobAddress(granted.first.jobId), { type: 'slot.granted' }))
    }),
    freeSlots: assign(({ context }, { jobId }: { jobId: string }) => withoutRunning(context, jobId)),
    forgetJob: assign(({ context }, { address }: { address: Address; end: End }) => {
      const jobId = address.slice('job.'.length)
      invariant(context.open > 0, `job ${jobId} ended although none was open`)
      return { ...withoutJob(context, jobId), open: context.open - 1 }
    }),
    settleBroken: enqueueActions(({ context, enqueue }, { address, end }: { address: Address; end: End }) => {
      if (end.how !== 'broken') return
      // Its machine can say and order nothing any more: its result is said for it, and no process of it may stay
      // behind.
      const body = brokenResult(end.context as JobContext)
      if (isGranted(context, body.jobId))
        enqueue.emit({ type: 'executor.stop', jobId: body.jobId, attempt: body.attempt, graceMs: 0 })
      enqueue.emit({ type: 'event', topic: 'jobResult', key: address.slice('job.'.length), body })
    }),
    announceBrokenGroup: emit((_, { end }: { end: End }): Emission => {
      invariant(end.how === 'broken', 'a group that is not broken speaks for itself')
      const body = brokenGroupResult(end.context as GatherContext)
      return { type: 'event', topic: 'groupResult', key: body.group, body }
    }),
    endReply: assign(({ context }, { address }: { address: Address }) => ({
      inHand: context.inHand === address ? null : context.inHand,
    })),
    clearWaiting: assign(({ context }) => withoutWaiting(context)),
    stopJobs: emit((_, { reason }: { reason: string }) => tell('job.*', { type: 'job.abort', reason, caller: null })),
    abandonGroups: emit((_, { reason }: { reason: string }) => tell('gather.*', { type: 'group.abandon', reason })),
    acknowledge: emit((_, params: { caller: Caller }) => complete(params.caller)),
  },
}).createMachine({
  id: 'queue',
  context: ({ input }) => ({
    instance: input.instance,
    configuration: null,
    waiting: EMPTY,
    running: {},
    slotsTaken: 0,
    open: 0,
    inHand: null,
  }),
  initial: 'closed',
  on: {
    'queue.configure': { actions: { type: 'configure', params: ({ event }) => event } },
    'queue.files': { actions: { type: 'noteFiles', params: ({ event }) => event } },
    'queue.submit': [
      {
        guard: { type: 'isAdmissible', params: ({ event }) => event },
        actions: { type: 'admit', params: ({ event }) => event },
      },
      { actions: { type: 'refuse', params: ({ event }) => event } },
    ],
    'queue.closeGroup': [
      {
        guard: { type: 'isAdmissible', params: ({ event }) => event },
        actions: { type: 'admit', params: ({ event }) => event },
      },
      { actions: { type: 'refuse', params: ({ event }) => event } },
    ],
    'queue.resubmit': [
      {
        guard: { type: 'isRetryAdmissible', params: ({ event }) => event },
        actions: { type: 'admitRetry', params: ({ event }) => event },
      },
      { actions: { type: 'refuseRetry', params: ({ event }) => event } },
    ],
    'job.opened': { actions: ['countJob', { type: 'watchJob', params: ({ event }) => event }] },
    'queue.clear': {
      actions: [
        'clearWaiting',
        { type: 'abandonGroups', params: ({ event }) => event },
        { type: 'stopJobs', params: ({ event }) => event },
      ],
    },
    'job.ready': { actions: { type: 'addWaiting', params: ({ event }) => event } },
    'job.yielded': { actions: { type: 'freeSlots', params: ({ event }) => event } },
    'actor.ended': [
      {
        guard: { type: 'isJob', params: ({ event }) => event },
        actions: [
          { type: 'settleBroken', params: ({ event }) => event },
          { type: 'forgetJob', params: ({ event }) => event },
        ],
      },
      {
        guard: { type: 'isBrokenGroup', params: ({ event }) => event },
        actions: { type: 'announceBrokenGroup', params: ({ event }) => event },
      },
      { actions: { type: 'endReply', params: ({ event }) => event } },
    ],
  },
  states: {
    closed: {
      on: { 'queue.open': 'open' },
    },
    open: {
      on: { 'queue.close': 'closed' },
      initial: 'asBefore',
      states: {
        asBefore: { type: 'history', target: 'flowing' },
        flowing: {
          always: { guard: 'isNextFitting', actions: 'grantSlot' },
          on: {
            'queue.pause': { target: 'paused', actions: { type: 'acknowledge', params: ({ event }) => event } },
            'queue.resume': { actions: { type: 'acknowledge', params: ({ event }) => event } },
          },
        },
        paused: {
          on: {
            'queue.resume': { target: 'flowing', actions: { type: 'acknowledge', params: ({ event }) => event } },
            'queue.pause': { actions: { type: 'acknowledge', params: ({ event }) => event } },
          },
        },
      },
    },
  },
})

/** A late member may break a group that has said its result. */
function isUnanswered({ result, revision }: GatherContext): boolean {
  return result === null || result.revision < revision
}
