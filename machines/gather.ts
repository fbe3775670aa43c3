import { assign, emit, enqueueActions, setup } from 'xstate'
import { ACK, complete, refused, type GroupResult, type GroupState, type MemberResult } from './domain/announcements.ts'
import type { Caller, GatherPolicy, GroupRules } from './domain/commands.ts'
import { capacityOf, type Configuration } from './domain/configuration.ts'
import { memberIdentity, type DataId } from './domain/dataId.ts'
import { invariant } from './domain/invariant.ts'
import {
  jobAddress,
  tell,
  watch,
  type Address,
  type Emission,
  type End,
  type EngineMessage,
  type GatherMessage,
  type GatherOptions,
  type Heard,
} from './domain/messages.ts'
import type { Outcome } from './domain/outcome.ts'
import { knowsVersion } from './domain/versions.ts'
import type { JobInput, JobOutput } from './job.ts'
import type { GroupMember } from './ports.ts'

/*
 * One group of observations that belong together: who its members are, when it is closed, and what becomes of them. A gather starts only
 * when every awaited member has settled, or patience ended and it is known who is missing; once per closure.
 *
 *     open      --member.accepted--> open, or closing if it is the last expected one     open --actor.ended--> open
 *     open      --group.close, after deadline--> closing
 *     closing   --member.accepted, actor.ended--> closing
 *     closing   --(all settled), after patience--> concluding
 *     concluding --(policy and members allow a gather job)--> gathering      --(no pipeline)--> gathered     --(else)--> abandoned
 *     gathering --actor.ended of the gather job--> gathered                  gathering --member.accepted, actor.ended--> gathering (late)
 *     gathered, abandoned --(late members, and they are welcome)--> closing (revision + 1)
 *     gathered, abandoned --group.close with new members, or after the gather job failed--> closing     --group.close otherwise--> refused
 *     gathered, abandoned --after linger--> forgotten
 *     open, closing, gathering --group.abandon--> abandoned (aborted)
 *
 * Members are identities (obsid, detector, pipeline), never counts; the newest job of an identity stands for it.
 */

export interface GatherInput {
  readonly kind: 'gather'
  readonly instance: string
  readonly group: string
  /** The stamp of the command that opened it; the ids of its gather jobs begin with it. */
  readonly stem: string
  readonly rules: GroupRules | null
  readonly configuration: Configuration
}

export interface GatherContext {
  readonly instance: string
  readonly group: string
  readonly stem: string
  readonly configuration: Configuration
  readonly expected: number | null
  readonly deadlineMs: number | null
  readonly policy: GatherPolicy
  readonly patienceMs: number
  readonly pipeline: string | null
  readonly options: GatherOptions
  /** One for each identity and pipeline, in the order they were accepted. */
  readonly members: readonly Member[]
  readonly unsettled: number
  /** Members accepted since the last closure began to gather. */
  readonly late: number
  /** 1 for the first closure. */
  readonly revision: number
  readonly closedBy: GroupResult['closedBy']
  /** Synchronous mode: who answers the closing command. */
  readonly answerTo: Address | null
  readonly gatherJob: string | null
  /** Who was not there when the gather began; identities. */
  readonly missing: readonly string[]
  readonly result: GroupResult | null
}

interface Member {
  readonly identity: string
  readonly jobId: string
  readonly dataId: DataId
  readonly pipeline: string
  /** null until it has settled. */
  readonly output: Pick<JobOutput, 'outcome' | 'metrics' | 'datasets'> | null
}

type Close = Extract<GatherMessage, { type: 'group.close' }>
type Abandon = Extract<GatherMessage, { type: 'group.abandon' }>
type Accepted = Extract<GatherMessage, { type: 'member.accepted' }>
type ActorEnded = Extract<EngineMessage, { type: 'actor.ended' }>

export type GatherEvent = Heard<GatherMessage | ActorEnded>

// A gather runs before the queue's other work of the same standing: a whole group waits for it.
const GATHER_PRIORITY = 9
// A rule that is not set never fires; setTimeout's own limit is 24.8 days, a group is long forgotten by then.
const NEVER_MS = 20 * 24 * 3_600_000

const whole = <E extends object>({ event }: { event: E }): E => event
const state = (name: GroupState['state']) => ({ type: 'announceState' as const, params: { name } })
const take = [
  { type: 'takeMember' as const, params: whole<Accepted> },
  { type: 'watchMember' as const, params: whole<Accepted> },
]
const settleMember = { type: 'settleMember' as const, params: whole<ActorEnded> }
const close = [
  { type: 'closeBy' as const, params: { by: 'command' as const } },
  { type: 'takeClosing' as const, params: whole<Close> },
  { type: 'acknowledge' as const, params: whole<Close> },
]
// Giving up is a closure, too: it has its own revision, and names who had not settled.
const giveUp = ['conclude' as const, { type: 'resultOfAbandon' as const, params: whole<Abandon> }]
const refuseClose = { type: 'refuseClose' as const, params: whole<Close> }

export const gather = setup({
  types: { context: {} as GatherContext, events: {} as GatherEvent, input: {} as GatherInput, emitted: {} as Emission },
  delays: {
    deadline: ({ context }) => context.deadlineMs ?? NEVER_MS,
    patience: ({ context }) => context.patienceMs,
    linger: ({ context }) => context.configuration.groups.lingerMs,
  },
  guards: {
    isLastExpected: ({ context }, member: Accepted) => {
      const expected = member.rules?.expected ?? context.expected
      return expected !== null && exposures(context, member.dataId.obsid).size >= expected
    },
    isSettled: ({ context }) => context.unsettled === 0,
    isGatherable: ({ context }) => context.pipeline !== null && refusalToGather(context) === null,
    isPresentable: ({ context }) => context.pipeline === null && refusalToGather(context) === null,
    isGatherJob: ({ context }, { address }: ActorEnded) =>
      context.gatherJob !== null && address === jobAddress(context.gatherJob),
    isReopenable: ({ context }) =>
      context.late > 0 && context.configuration.groups.late === 'regather' && context.result?.outcome !== 'aborted',
    isReclosable: ({ context: { late, result } }) =>
      late > 0 || (result !== null && result.gather !== null && result.gather.kind !== 'succeeded'),
  },
  actions: {
    takeMember: assign(({ context }, member: Accepted) => withMember(context, member)),
    watchMember: emit((_, { jobId }: Accepted) => watch(jobAddress(jobId))),
    settleMember: assign(({ context }, { address, end }: ActorEnded) => withEnd(context, address, end)),
    countLate: assign(({ context }) => ({ late: context.late + 1 })),
    closeBy: assign((_, { by }: { by: GroupResult['closedBy'] }) => ({ closedBy: by })),
    takeClosing: assign(({ context }, closing: Close) => ({
      answerTo: closing.answerTo,
      configuration: closing.configuration,
      pipeline: closing.pipeline ?? stillKnown(context.pipeline, closing.configuration),
      policy: closing.policy ?? context.policy,
      patienceMs: closing.patienceMs ?? context.patienceMs,
      options: closing.options ?? context.options,
    })),
    acknowledge: enqueueActions(
      ({ context, enqueue }, { caller, answerTo }: { caller: Caller; answerTo: Address | null }) => {
        if (answerTo === null) enqueue.emit(complete(caller, [], closingNote(context)))
      },
    ),
    refuseClose: emit(({ context }, { caller, answerTo }: Close): Emission => {
      const refusal = refused(caller, {
        code: 'GROUP_CLOSED',
        reason: `group ${context.group} is closed already (revision ${context.revision}) and nothing was added since`,
      })
      return answerTo === null ? refusal : tell(answerTo, { type: 'reply.finish', body: refusal.body })
    }),
    conclude: assign(({ context }) => ({
      revision: context.revision + 1,
      late: 0,
      gatherJob: null,
      missing: identities(context, member => member.output === null),
    })),
    openGatherJob: enqueueActions(({ context, enqueue }) => {
      const input = gatherJobInput(context)
      enqueue.assign({ gatherJob: input.jobId })
      enqueue.emit({ type: 'open', address: jobAddress(input.jobId), input })
      enqueue.emit(tell('queue', { type: 'job.opened', jobId: input.jobId }))
      enqueue.emit(watch(jobAddress(input.jobId)))
    }),
    resultOfJob: assign(({ context }, { end }: ActorEnded) => ({ result: resultWith(context, end) })),
    resultOfMembers: assign(({ context }) => ({
      result: resultOf(context, completeness(context), 'the members are the result: no pipeline combines them', null),
    })),
    resultOfPolicy: assign(({ context }) => ({ result: refusedResult(context) })),
    resultOfAbandon: assign(({ context }, { reason }: { reason: string }) => ({
      result: resultOf(context, 'aborted', `the group was given up: ${reason}`, null),
    })),
    announceState: emit(
      ({ context }, { name }: { name: GroupState['state'] }): Emission => ({
        type: 'event',
        topic: 'groupState',
        key: context.group,
        body: progressOf(context, name),
      }),
    ),
    announceResult: emit(({ context }): Emission => {
      invariant(context.result, `group ${context.group} ended without a result`)
      return { type: 'event', topic: 'groupResult', key: context.group, body: context.result }
    }),
    answer: enqueueActions(({ context, enqueue }) => {
      if (context.answerTo === null || context.result === null) return
      enqueue.emit(tell(context.answerTo, { type: 'reply.finish', body: answerOf(context.result) }))
      enqueue.assign({ answerTo: null })
    }),
  },
}).createMachine({
  id: 'gather',
  context: ({ input: { instance, group, stem, rules, configuration } }) => ({
    instance,
    group,
    stem,
    configuration,
    ...rulesOf(rules, configuration),
    options: NO_OPTIONS,
    members: [],
    unsettled: 0,
    late: 0,
    revision: 0,
    closedBy: 'command' as const,
    answerTo: null,
    gatherJob: null,
    missing: [],
    result: null,
  }),
  initial: 'open',
  states: {
    open: {
      after: { deadline: { target: 'closing', actions: { type: 'closeBy', params: { by: 'deadline' } } } },
      on: {
        'member.accepted': [
          {
            guard: { type: 'isLastExpected', params: whole },
            target: 'closing',
            actions: [...take, { type: 'closeBy', params: { by: 'expected' } }],
          },
          { actions: [...take, state('open')] },
        ],
        'actor.ended': { actions: [settleMember, state('open')] },
        'group.close': { target: 'closing', actions: close },
        'group.abandon': { target: 'abandoned', actions: giveUp },
      },
    },
    closing: {
      entry: state('closing'),
      always: { guard: 'isSettled', target: 'concluding' },
      after: { patience: 'concluding' },
      on: {
        'member.accepted': { actions: [...take, state('closing')] },
        'actor.ended': { actions: [settleMember, state('closing')] },
        'group.close': { actions: refuseClose },
        'group.abandon': { target: 'abandoned', actions: giveUp },
      },
    },
    concluding: {
      entry: 'conclude',
      always: [
        { guard: 'isGatherable', target: 'gathering' },
        { guard: 'isPresentable', target: 'gathered', actions: 'resultOfMembers' },
        { target: 'abandoned', actions: 'resultOfPolicy' },
      ],
    },
    gathering: {
      entry: ['openGatherJob', state('gathering')],
      on: {
        'member.accepted': { actions: [...take, 'countLate', state('gathering')] },
        'actor.ended': [
          {
            guard: { type: 'isGatherJob', params: whole },
            target: 'gathered',
            actions: { type: 'resultOfJob', params: whole },
          },
          { actions: settleMember },
        ],
        'group.close': { actions: refuseClose },
        'group.abandon': { target: 'abandoned', actions: { type: 'resultOfAbandon', params: whole } },
      },
    },
    gathered: {
      entry: ['announceResult', state('gathered'), 'answer'],
      always: { guard: 'isReopenable', target: 'closing' },
      after: { linger: 'forgotten' },
      on: {
        'member.accepted': { actions: [...take, 'countLate'] },
        'actor.ended': { actions: settleMember },
        'group.close': [{ guard: 'isReclosable', target: 'closing', actions: close }, { actions: refuseClose }],
      },
    },
    abandoned: {
      entry: ['announceResult', state('abandoned'), 'answer'],
      always: { guard: 'isReopenable', target: 'closing' },
      after: { linger: 'forgotten' },
      on: {
        'member.accepted': { actions: [...take, 'countLate'] },
        'actor.ended': { actions: settleMember },
        'group.close': [{ guard: 'isReclosable', target: 'closing', actions: close }, { actions: refuseClose }],
      },
    },
    forgotten: { type: 'final' },
  },
})

const NO_OPTIONS: GatherOptions = { overrides: {}, configFile: null, version: '', timeLimitMs: null }

function rulesOf(
  rules: GroupRules | null,
  { groups }: Configuration,
): Pick<GatherContext, 'expected' | 'deadlineMs' | 'policy' | 'patienceMs' | 'pipeline'> {
  return {
    expected: rules?.expected ?? null,
    deadlineMs: rules?.deadlineMs ?? null,
    policy: rules?.policy ?? groups.policy,
    patienceMs: rules?.patienceMs ?? groups.patienceMs,
    pipeline: rules?.pipeline ?? groups.pipeline,
  }
}

/** The pipeline a group was to be combined with, unless the configuration has changed since and has it no more. */
function stillKnown(pipeline: string | null, { pipelines, groups }: Configuration): string | null {
  return pipeline === null || Object.hasOwn(pipelines, pipeline) ? pipeline : groups.pipeline
}

function withMember(
  context: GatherContext,
  { jobId, dataId, pipeline, rules, configuration }: Accepted,
): Partial<GatherContext> {
  const identity = memberIdentity(dataId)
  const at = context.members.findIndex(one => one.identity === identity && one.pipeline === pipeline)
  const before = context.members[at]
  const member: Member = { identity, jobId, dataId, pipeline, output: null }
  return {
    members: before ? context.members.with(at, member) : [...context.members, member],
    // The newest job of an identity stands for it; the older one is not awaited any more.
    unsettled: context.unsettled + (before && before.output === null ? 0 : 1),
    // Rules were admitted under the configuration of their own command; only it surely has the pipeline they name.
    configuration,
    pipeline: rules?.pipeline ?? stillKnown(context.pipeline, configuration),
    ...(rules && {
      expected: rules.expected ?? context.expected,
      policy: rules.policy ?? context.policy,
      patienceMs: rules.patienceMs ?? context.patienceMs,
    }),
  }
}

function withEnd(context: GatherContext, address: Address, end: End): Partial<GatherContext> {
  const jobId = address.slice('job.'.length)
  const at = context.members.findIndex(one => one.jobId === jobId)
  const member = context.members[at]
  if (!member || member.output !== null) return {}
  const { outcome, metrics, datasets } = outputOf(end)
  return {
    members: context.members.with(at, { ...member, output: { outcome, metrics, datasets } }),
    unsettled: context.unsettled - 1,
  }
}

function outputOf(end: End): Pick<JobOutput, 'outcome' | 'metrics' | 'datasets' | 'verdict'> {
  if (end.how === 'done') return end.output as JobOutput
  const outcome: Outcome = {
    kind: 'failed',
    code: 'INTERNAL',
    message: 'the job broke inside OCPS; see errorCode',
    exitCode: null,
    signal: null,
    usage: null,
  }
  return { outcome, metrics: [], datasets: [], verdict: null }
}

function exposures({ members }: GatherContext, another: string | null): Set<string | null> {
  return new Set([...members.map(({ dataId }) => dataId.obsid), another])
}

function identities({ members }: GatherContext, which: (member: Member) => boolean): string[] {
  return [...new Set(members.filter(which).map(({ identity }) => identity))]
}

const isFailed = ({ output }: Member) => output !== null && output.outcome.kind !== 'succeeded'
const isSucceeded = ({ output }: Member) => output?.outcome.kind === 'succeeded'

/** Why nothing is combined, or null: by policy, or because there is nothing to combine. */
function refusalToGather(context: GatherContext): string | null {
  const short = [...identities(context, isFailed), ...context.missing]
  const succeeded = context.members.filter(isSucceeded).length
  if (succeeded === 0) return 'no member succeeded'
  if (context.policy !== 'partial' && short.length > 0)
    return `${short.length} of its members did not succeed (${listed(short)}) and the policy is ${context.policy}`
  return null
}

function completeness(context: GatherContext): 'complete' | 'partial' {
  return context.missing.length === 0 && identities(context, isFailed).length === 0 ? 'complete' : 'partial'
}

function gatherJobInput(context: GatherContext): JobInput {
  const { configuration, group, pipeline: name, options, stem, revision } = context
  const pipeline = name === null ? undefined : configuration.pipelines[name]
  invariant(pipeline, `group ${group} gathers with an unknown pipeline ${name}`)
  return {
    kind: 'job',
    instance: context.instance,
    jobId: `${stem}-g${revision}`,
    commandId: '',
    dataId: { instrument: configuration.instrument, obsid: null, group, detector: null },
    dataPath: configuration.dataPath,
    pipeline,
    overrides: options.overrides,
    configFile: options.configFile,
    version: knowsVersion(pipeline, options.version) ? options.version : '',
    priority: GATHER_PRIORITY,
    fallbacks: pipeline.fallback.flatMap(one => configuration.pipelines[one] ?? []),
    retryOf: null,
    after: [],
    readiness: { policy: 'runNow' },
    timeLimitMs: options.timeLimitMs ?? pipeline.timeLimitMs,
    members: context.members.filter(isSucceeded).map(groupMember),
    ...capacityOf(configuration),
  }
}

function groupMember({ dataId, pipeline, jobId, output }: Member): GroupMember {
  return {
    dataId,
    pipeline,
    jobId,
    outcome: output?.outcome.kind ?? '',
    datasets: output?.datasets ?? [],
    metrics: output?.metrics ?? [],
  }
}

function resultWith(context: GatherContext, end: End): GroupResult {
  const { outcome, metrics, datasets, verdict } = outputOf(end)
  const done = outcome.kind === 'succeeded'
  const kind = done ? completeness(context) : outcome.kind === 'aborted' ? 'aborted' : 'failed'
  return {
    ...resultOf(
      context,
      kind,
      done ? `${context.pipeline} combined ${context.members.filter(isSucceeded).length} members` : outcome.message,
      outcome,
    ),
    metrics,
    datasets,
    verdict,
  }
}

function refusedResult(context: GatherContext): GroupResult {
  const reason = refusalToGather(context)
  invariant(reason, `group ${context.group} was given up without a reason`)
  return resultOf(context, context.policy === 'skip' ? 'skipped' : 'failed', `nothing was combined: ${reason}`, null)
}

function resultOf(
  context: GatherContext,
  outcome: GroupResult['outcome'],
  message: string,
  gatherOutcome: Outcome | null,
): GroupResult {
  const { group, revision, policy, closedBy, missing, gatherJob, pipeline } = context
  const members = context.members.map(
    ({ identity, pipeline: of, jobId, output }): MemberResult => ({
      identity,
      pipeline: of,
      jobId,
      outcome: output?.outcome.kind ?? null,
    }),
  )
  return {
    group,
    revision,
    outcome,
    policy,
    closedBy,
    message,
    members,
    failed: identities(context, isFailed),
    missing,
    pipeline,
    jobId: gatherJob,
    gather: gatherOutcome,
    metrics: [],
    datasets: [],
    verdict: null,
  }
}

/** The result of a group whose machine broke: its members have results of their own, combined they are not. */
export function brokenGroupResult(context: GatherContext): GroupResult {
  return resultOf(context, 'failed', 'OCPS broke while it handled this group; see errorCode', null)
}

/** How far a group is; `state` as its chart names it. */
export function progressOf<N extends string>(
  context: GatherContext,
  name: N,
): Omit<GroupState, 'state'> & { readonly state: N } {
  const all = context.members
  return {
    group: context.group,
    state: name,
    revision: context.revision,
    accepted: all.length,
    settled: all.length - context.unsettled,
    succeeded: all.filter(isSucceeded).length,
    failed: identities(context, isFailed),
  }
}

function closingNote({ group, members, unsettled }: GatherContext): string {
  return `Done: group ${group} is closed with ${members.length} members, ${unsettled} of them not settled yet`
}

// A sentence names the first few; the event lists them all.
const LISTED_MAX = 5

function listed(names: readonly string[]): string {
  return names.slice(0, LISTED_MAX).join(', ') + (names.length > LISTED_MAX ? ', …' : '')
}

function answerOf(result: GroupResult) {
  const jobIds = result.jobId === null ? [] : [result.jobId]
  const good = result.outcome === 'complete' || result.outcome === 'partial' || result.outcome === 'skipped'
  if (good)
    return { ack: ACK.COMPLETE, error: 0, result: `Done: ${result.message}`, code: null, jobIds, timeout: 0 } as const
  return {
    ack: result.outcome === 'aborted' ? ACK.ABORTED : ACK.FAILED,
    error: 1,
    result: `Failed: ${result.message}`,
    code: 'GROUP_FAILED',
    jobIds,
    timeout: 0,
  } as const
}
