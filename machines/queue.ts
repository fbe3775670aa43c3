import { assign, emit, enqueueActions, setup } from 'xstate'
import { judge, judgeRetry, optionsAgain, type Retry, type Submission } from './admission.ts'
import { complete, refused } from './domain/announcements.ts'
import type { AskedAs, Caller, PipelineFiles, ProcessDataCommand, RetryCommand } from './domain/commands.ts'
import { capacityOf, type Configuration } from './domain/configuration.ts'
import { invariant } from './domain/invariant.ts'
import {
  gatherAddress,
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
  type ShelfItem,
} from './domain/messages.ts'
import type { Pipeline } from './domain/pipeline.ts'
import { DEFAULT_POOL } from './domain/pools.ts'
import { EMPTY } from './domain/waitingList.ts'
import type { GatherContext } from './groupMembers.ts'
import { brokenGroupResult } from './groupResult.ts'
import type { JobContext, JobInput } from './jobContext.ts'
import { brokenResult } from './jobResult.ts'
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
 * Who waits and who runs: admission, slots, priority, order, depth, pause, and whether commands are answered at once (async) or at the
 * end of their processing (sync: one command at a time; `execute` in both modes). It knows jobs by id only; what a job does is the job's business.
 *
 *     closed  --queue.open--> open (as it was: flowing or paused)      open    --queue.close--> closed
 *     flowing --queue.pause--> paused                                  paused  --queue.resume--> flowing
 *     flowing --(while the next job of a pool fits its free slots, and prefetch)--> slot.granted to it
 *     any     --queue.submit--> jobs opened, or the group told to close, or refused      --queue.closeGroup--> the same for a group
 *     any     --queue.resubmit--> jobs from the shelf opened again, or refused
 *     any     --job.opened--> a gather's own job counts too      --job.ready--> it waits      --job.yielded--> its slots are free
 *     any     --actor.ended--> the job is gone, or the result of a broken group is said, or the command in hand is answered
 *     any     --queue.files--> (knows which pipelines have files)
 *     any     --queue.clear--> nothing waits; every job and group is told to stop      --queue.configure--> new rules
 *
 * A job too large for the slots that are free in its pool holds back those behind it there: order is kept, so that no large job starves. Pools do not hold up each other. With `prefetch` slots are granted in advance: the executor
 * begins such a job when they are free. It cannot be overtaken any more, nor held.
 */

export interface QueueInput {
  readonly kind: 'queue'
  readonly instance: string
}

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
      // Its machine can say and order nothing any more: its result is said for it, and no process of it may stay behind.
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

function isSync({ configuration }: QueueContext): boolean {
  return configuration?.mode === 'sync'
}

/** The jobs of the shelf again, linked to the first of their kind. */
function retryAdmission(context: QueueContext, { command, items }: Retry): { emissions: Emission[]; jobs: number } {
  const { configuration } = context
  invariant(configuration, 'admitted a retry before a configuration was applied')
  const jobs = items.map((item, index) => retryInput(context.instance, configuration, command, item, index))
  const taken = tell('shelf', { type: 'shelf.taken', jobIds: items.map(({ jobId }) => jobId) })
  return {
    emissions: [taken, ...opening(context, configuration, command.caller, jobs, command.jobId, null)],
    jobs: jobs.length,
  }
}

function retryInput(
  instance: string,
  configuration: Configuration,
  command: RetryCommand,
  item: ShelfItem,
  index: number,
): JobInput {
  const { pipelines, dataPath } = configuration
  const name = command.pipeline ?? item.pipeline
  const pipeline = pipelines[name]
  invariant(pipeline, 'a retry with an unknown pipeline')
  return {
    kind: 'job',
    instance,
    jobId: `${command.jobId}-r${index + 1}`,
    commandId: command.caller.id,
    dataId: item.dataId,
    dataPath,
    pipeline,
    ...optionsAgain(command, item, pipeline),
    priority: item.priority,
    fallbacks: fallbacksOf(pipelines, pipeline),
    retryOf: item.retryOf ?? item.jobId,
    after: [],
    readiness: item.readiness ?? { policy: 'runNow' },
    timeLimitMs: Math.min(item.timeLimitMs, pipeline.timeLimitMs),
    members: null,
    ...capacityOf(configuration),
    askedBy: command.caller.identity,
  }
}

function fallbacksOf(pipelines: Configuration['pipelines'], { fallback }: Pipeline): Pipeline[] {
  return fallback.flatMap(name => pipelines[name] ?? [])
}

/** What an admitted command leads to: jobs, or a word to its group; and in synchronous mode an actor that answers at the end. */
function admission(context: QueueContext, { command }: Submission): { emissions: Emission[]; jobs: number } {
  const { configuration } = context
  invariant(configuration, 'admitted a command before a configuration was applied')
  const answerTo = isSync(context) ? replyAddress(command.caller) : null
  if (command.type === 'command.closeGroup' || command.dataId.obsid === null)
    return { emissions: closing(context.instance, configuration, command, answerTo), jobs: 0 }

  const jobs = jobInputs(context.instance, configuration, command)
  return {
    emissions: opening(
      context,
      configuration,
      command.caller,
      jobs,
      command.jobId,
      command.groupRules,
      command.askedAs,
    ),
    jobs: jobs.length,
  }
}

/** The jobs of one command opened, each a member of its group if it has one; and the command answered, now or at the end. */
function opening(
  context: QueueContext,
  configuration: Configuration,
  caller: Caller,
  jobs: readonly JobInput[],
  stem: string,
  rules: ProcessDataCommand['groupRules'],
  askedAs?: AskedAs,
): Emission[] {
  const jobIds = jobs.map(({ jobId }) => jobId)
  const answerTo = isSync(context) || askedAs ? replyAddress(caller) : null
  const emissions: Emission[] = answerTo
    ? reply(configuration, caller, answerTo, jobIds, askedAs)
    : [complete(caller, jobIds)]
  for (const [group, first] of firstOfGroups(jobs, stem))
    emissions.push(
      {
        type: 'open',
        address: gatherAddress(group),
        input: { kind: 'gather', instance: context.instance, group, stem: first, rules, configuration },
      },
      watch(gatherAddress(group)),
    )
  for (const job of jobs) {
    const { jobId, dataId, pipeline, retryOf } = job
    emissions.push({ type: 'open', address: jobAddress(jobId), input: job }, watch(jobAddress(jobId)))
    if (dataId.group !== null) {
      const member = {
        jobId,
        dataId,
        pipeline: pipeline.name,
        rules,
        configuration,
        ...(retryOf !== null && { retryOf }),
      }
      emissions.push(tell(gatherAddress(dataId.group), { type: 'member.accepted', ...member }))
    }
  }
  if (answerTo)
    for (const jobId of jobIds) emissions.push(tell(answerTo, { type: 'reply.await', address: jobAddress(jobId) }))
  return emissions
}

/** Group → the stem of its gather jobs' ids: the command's, or where one retry opens several groups, the first job's of each. */
function firstOfGroups(jobs: readonly JobInput[], stem: string): Map<string, string> {
  const first = new Map<string, string>()
  for (const { dataId, jobId } of jobs)
    if (dataId.group !== null && !first.has(dataId.group)) first.set(dataId.group, jobId)
  for (const group of first.size === 1 ? first.keys() : []) first.set(group, stem)
  return first
}

function reply(
  { ackTimeoutMs }: Configuration,
  caller: Caller,
  address: Address,
  jobIds: readonly string[],
  askedAs?: AskedAs,
): Emission[] {
  const input = { kind: 'reply', caller, jobIds, ackTimeoutMs, ...(askedAs && { askedAs }) } as const
  return [{ type: 'open', address, input }, watch(address)]
}

function closing(
  instance: string,
  configuration: Configuration,
  command: Submission['command'],
  answerTo: Address | null,
): Emission[] {
  const byData = command.type === 'command.processData'
  const group = byData ? (command.dataId.group ?? '') : command.group
  const address = gatherAddress(group)
  const rules = byData ? command.groupRules : command
  const named = (byData && command.members) || []
  const detector = byData ? (command.detectors[0] ?? null) : null
  return [
    // Exposures that were never processed by themselves may be of a group nobody knows yet.
    ...(byData && named.length > 0
      ? [
          {
            type: 'open' as const,
            address,
            input: { kind: 'gather' as const, instance, group, stem: command.jobId, rules: null, configuration },
          },
          watch(address),
        ]
      : []),
    // The group says at last how it ended; awaited only for the case that its machine breaks and it cannot.
    ...(answerTo
      ? [...reply(configuration, command.caller, answerTo, []), tell(answerTo, { type: 'reply.await', address })]
      : []),
    tell(address, {
      type: 'group.close',
      caller: command.caller,
      answerTo,
      pipeline: command.pipeline,
      policy: rules?.policy ?? null,
      patienceMs: rules?.patienceMs ?? null,
      options: byData
        ? {
            overrides: command.overrides,
            configFile: command.configFile,
            version: command.version,
            timeLimitMs: command.timeLimitMs,
          }
        : null,
      configuration,
      ...(byData && command.groupRules?.expected && { expected: command.groupRules.expected }),
      ...(byData && named.length > 0 && { members: named.map(obsid => ({ ...command.dataId, obsid, detector })) }),
      ...(detector !== null && { detector }),
    }),
  ]
}

function jobInputs(instance: string, configuration: Configuration, command: ProcessDataCommand): JobInput[] {
  const { pipelines, dataPath } = configuration
  const pipeline: Pipeline | undefined = pipelines[command.pipeline]
  invariant(pipeline, 'a job of an unknown pipeline')
  const detectors = command.detectors.length === 0 ? [null] : command.detectors
  return detectors.map(detector => ({
    kind: 'job',
    instance,
    jobId: detector === null ? command.jobId : `${command.jobId}-${detector}`,
    commandId: command.caller.id,
    dataId: { ...command.dataId, detector },
    dataPath,
    pipeline,
    overrides: command.overrides,
    configFile: command.configFile,
    version: command.version,
    priority: command.priority,
    fallbacks: fallbacksOf(pipelines, pipeline),
    retryOf: null,
    after: command.after,
    readiness: command.readiness,
    timeLimitMs: command.timeLimitMs ?? pipeline.timeLimitMs,
    members: null,
    ...capacityOf(configuration),
    ...(command.askedAs && { askedAs: command.askedAs }),
    askedBy: command.caller.identity,
  }))
}
