import { assign, emit, enqueueActions, setup } from 'xstate'
import { complete, refused, type GroupResult, type GroupState } from './domain/announcements.ts'
import type { Caller } from './domain/commands.ts'
import type { GatherInput } from './domain/inputs.ts'
import { invariant } from './domain/invariant.ts'
import {
  jobAddress,
  tell,
  watch,
  type Address,
  type Emission,
  type EngineMessage,
  type GatherMessage,
  type Heard,
} from './domain/messages.ts'
import type { GatherOptions } from './domain/work.ts'
import { gatherJobInput } from './gatherJob.ts'
import { hasMembersFor, isNews, reasonToRefuse } from './groupClosing.ts'
import {
  exposures,
  isAwaited,
  membersOf,
  rulesOf,
  stillKnown,
  unknownOf,
  withEnd,
  withLateEnd,
  withMember,
  type GatherContext,
} from './groupMembers.ts'
import {
  answerOf,
  closingNote,
  concluded,
  progressOf,
  refusalToGather,
  resultOfAbandon,
  resultOfGather,
  resultOfMembers,
  resultOfPolicy,
} from './groupResult.ts'

/*
 * One group of observations that belong together: who its members are, when it is closed, and what becomes of them. A
 * gather starts only when every awaited member has settled, or patience ended and it is known who is missing; once per
 * closure.
 *
 *     open      --member.accepted--> open, or closing if it is the last expected one     open --actor.ended--> open
 *     open      --group.close, after deadline--> closing
 *     open      --group.close over a detector it knows nothing of--> open (refused)
 *     closing   --member.accepted, actor.ended--> closing
 *     closing   --(all settled), after patience--> concluding
 *     concluding --(policy and members allow a gather job)--> gathering
 *     concluding --(no pipeline)--> gathered     --(else)--> abandoned
 *     gathering --actor.ended of the gather job--> gathered
 *     gathering --member.accepted, actor.ended--> gathering (late)
 *     gathered, abandoned --(late members, and they are welcome)--> closing (revision + 1)
 *     gathered, abandoned --group.close that asks for something else, or after the gather job failed--> closing
 *     gathered, abandoned --group.close otherwise--> refused
 *     gathered, abandoned --after linger--> forgotten
 *     open, closing, gathering --group.abandon--> abandoned (aborted)
 *
 * The rules, in full:
 *
 * - Members are identities (obsid, detector) with a pipeline, never counts. The newest job of an identity and pipeline
 *   stands for it. A retry (`retryOf`) stands for the job it retries as well, whatever its pipeline. An exposure that a
 *   closing command names in `members` and the group does not know is a member without a job: never awaited, always
 *   combined; a job of it accepted later takes its place.
 * - `expected` counts different exposures. Those that were neither accepted nor named when a closure concludes are
 *   *absent*: nobody knows who they are. `missing` names those who were accepted and had not settled. `missingCount` is
 *   both together, and is said only where some are absent.
 * - Failed, missing and absent members are treated alike. Policy partial: what there is is combined, outcome partial.
 *   skip: nothing is, skipped. fail: nothing is, failed. Nothing to combine at all: failed (skip: skipped). This holds
 *   whatever closed the group. Complete is said only when none of the three is there, and the pipeline does not say
 *   (metric stack.framesUsed) that it used fewer than it was given: then the group is partial under every policy, and
 *   the message says "used 1 of 3 members".
 * - failed, missing and absent are fixed when the closure concludes; what comes while it gathers is late and belongs to
 *   the next revision.
 * - Late is a member accepted after that, and one that was missing and has succeeded since (not: failed since).
 *   groups.late regather: the group closes again, by itself, waits for whoever is awaited (patience), and says revision
 *   n + 1; ignore: it waits for a closing command. A group that was given up (aborted) comes back by a closing command
 *   only.
 * - A closing command to a gathered or abandoned group is taken if there are late members, its gather job failed, or it
 *   asks for something else than the last result has: another pipeline, another policy (of a group that is not
 *   complete), another detector, exposures the group does not know. Else GROUP_CLOSED.
 * - A closure over one detector awaits, counts, combines and reports that detector's members alone, and only those are
 *   late for it. It is refused (UNKNOWN_GROUP) where the group has no member of that detector and none is named.
 */

type Close = Extract<GatherMessage, { type: 'group.close' }>
type Abandon = Extract<GatherMessage, { type: 'group.abandon' }>
type Accepted = Extract<GatherMessage, { type: 'member.accepted' }>
type ActorEnded = Extract<EngineMessage, { type: 'actor.ended' }>

export type GatherEvent = Heard<GatherMessage | ActorEnded>

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
const settleLate = { type: 'settleLate' as const, params: whole<ActorEnded> }
const takeLate = [...take, { type: 'countLate' as const, params: whole<Accepted> }]

const NO_OPTIONS: GatherOptions = { overrides: {}, configFile: null, version: '', timeLimitMs: null }

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
      return expected !== null && exposures(context.members, member.dataId.obsid).size >= expected
    },
    isSettled: ({ context }) => !membersOf(context).some(isAwaited),
    isGatherable: ({ context }) => context.pipeline !== null && refusalToGather(context) === null,
    isPresentable: ({ context }) => context.pipeline === null && refusalToGather(context) === null,
    isGatherJob: ({ context }, { address }: ActorEnded) =>
      context.gatherJob !== null && address === jobAddress(context.gatherJob),
    isReopenable: ({ context }) =>
      context.late > 0 && context.configuration.groups.late === 'regather' && context.result?.outcome !== 'aborted',
    isKnown: ({ context }, closing: Close) => hasMembersFor(context, closing),
    isReclosable: ({ context }, closing: Close) => hasMembersFor(context, closing) && isNews(context, closing),
  },
  actions: {
    takeMember: assign(({ context }, member: Accepted) => withMember(context, member)),
    watchMember: emit((_, { jobId }: Accepted) => watch(jobAddress(jobId))),
    settleMember: assign(({ context }, { address, end }: ActorEnded) => withEnd(context, address, end)),
    settleLate: assign(({ context }, { address, end }: ActorEnded) => withLateEnd(context, address, end)),
    countLate: assign(({ context }, { dataId }: Accepted) => ({
      late: context.late + ((context.detector ?? dataId.detector) === dataId.detector ? 1 : 0),
    })),
    closeBy: assign((_, { by }: { by: GroupResult['closedBy'] }) => ({ closedBy: by })),
    takeClosing: assign(({ context }, closing: Close) => ({
      answerTo: closing.answerTo,
      configuration: closing.configuration,
      pipeline: closing.pipeline ?? stillKnown(context.pipeline, closing.configuration),
      policy: closing.policy ?? context.policy,
      patienceMs: closing.patienceMs ?? context.patienceMs,
      options: closing.options ?? context.options,
      expected: closing.expected ?? context.expected,
      members: [...context.members, ...unknownOf(context, closing)],
      ...((closing.detector ?? null) !== (context.detector ?? null) && { detector: closing.detector ?? null }),
    })),
    acknowledge: enqueueActions(
      ({ context, enqueue }, { caller, answerTo }: { caller: Caller; answerTo: Address | null }) => {
        if (answerTo === null) enqueue.emit(complete(caller, [], closingNote(context)))
      },
    ),
    refuseClose: emit(({ context }, closing: Close): Emission => {
      const refusal = refused(closing.caller, reasonToRefuse(context, closing))
      return closing.answerTo === null ? refusal : tell(closing.answerTo, { type: 'reply.finish', body: refusal.body })
    }),
    conclude: assign(({ context }) => ({
      revision: context.revision + 1,
      late: 0,
      gatherJob: null,
      ...concluded(context),
    })),
    openGatherJob: enqueueActions(({ context, enqueue }) => {
      const input = gatherJobInput(context)
      enqueue.assign({ gatherJob: input.jobId })
      enqueue.emit({ type: 'open', address: jobAddress(input.jobId), input })
      enqueue.emit(tell('queue', { type: 'job.opened', jobId: input.jobId }))
      enqueue.emit(watch(jobAddress(input.jobId)))
    }),
    resultOfJob: assign(({ context }, { end }: ActorEnded) => ({ result: resultOfGather(context, end) })),
    resultOfMembers: assign(({ context }) => ({ result: resultOfMembers(context) })),
    resultOfPolicy: assign(({ context }) => ({ result: resultOfPolicy(context) })),
    resultOfAbandon: assign(({ context }, { reason }: { reason: string }) => ({
      result: resultOfAbandon(context, reason),
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
        'group.close': [
          { guard: { type: 'isKnown', params: whole }, target: 'closing', actions: close },
          { actions: refuseClose },
        ],
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
        'member.accepted': { actions: [...takeLate, state('gathering')] },
        'actor.ended': [
          {
            guard: { type: 'isGatherJob', params: whole },
            target: 'gathered',
            actions: { type: 'resultOfJob', params: whole },
          },
          { actions: settleLate },
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
        'member.accepted': { actions: takeLate },
        'actor.ended': { actions: settleLate },
        'group.close': [
          { guard: { type: 'isReclosable', params: whole }, target: 'closing', actions: close },
          { actions: refuseClose },
        ],
      },
    },
    abandoned: {
      entry: ['announceResult', state('abandoned'), 'answer'],
      always: { guard: 'isReopenable', target: 'closing' },
      after: { linger: 'forgotten' },
      on: {
        'member.accepted': { actions: takeLate },
        'actor.ended': { actions: settleLate },
        'group.close': [
          { guard: { type: 'isReclosable', params: whole }, target: 'closing', actions: close },
          { actions: refuseClose },
        ],
      },
    },
    forgotten: { type: 'final' },
  },
})
