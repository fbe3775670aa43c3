import { assign, emit, enqueueActions, setup } from 'xstate'
import { complete, type JobState } from './domain/announcements.ts'
import type { Caller } from './domain/commands.ts'
import type { JobInput } from './domain/inputs.ts'
import type { Located } from './domain/located.ts'
import {
  jobAddress,
  tell,
  watch,
  type Emission,
  type EngineMessage,
  type Heard,
  type JobMessage,
} from './domain/messages.ts'
import type { OutcomeCode } from './domain/outcome.ts'
import type { ExecutorReport } from './domain/reports.ts'
import { afresh, NOTHING_HEARD, startOrder, withFallback } from './jobAttempt.ts'
import type { JobContext, JobOutput } from './jobContext.ts'
import {
  byItself,
  ending,
  kept,
  result,
  settledOutcome,
  shelfItem,
  stateEvent,
  telemetry,
  type Exited,
  type Telling,
} from './jobResult.ts'
import { dataName, fallsShort, howEnded, without } from './jobWaiting.ts'

/*
 * One pipeline over one dataId: waits for what it needs, runs, and settles exactly once with a true outcome.
 *
 *     arriving   --(nothing to wait for)--> queued     --(prerequisites)--> awaitingJobs     --(else)--> awaitingData
 *     awaitingJobs --actor.ended, the last one--> queued or awaitingData
 *     awaitingJobs --actor.ended short of what is required--> settled (skipped)
 *     awaitingData --data.present, data.located--> queued            --data.absent, after patience--> settled (skipped)
 *     queued     --slot.granted--> starting            starting --executor.started--> running
 *     starting, running --executor.exited, executor.startFailed, executor.lost--> judged
 *     starting, running --job.abort, after timeLimit--> stopping (time counts from the start in a slot)
 *     stopping   --executor.exited, executor.startFailed, executor.lost--> judged
 *     judged     --(retriable and attempts left)--> backingOff --after backoff--> queued
 *     judged     --(failed for good, and there is a fallback)--> fallingBack --> queued
 *     judged --(else)--> settled
 *     awaitingJobs, awaitingData, queued, backingOff --job.abort--> settled (aborted)
 *     starting, running, stopping --executor.metric, dataset, progress, verdict, badReport--> (says so)
 *
 * The first reason wins: whoever decides to stop a job writes its outcome, everyone after only adds what the process
 * used. A report of an earlier attempt is not heard.
 */

type ActorEnded = Extract<EngineMessage, { type: 'actor.ended' }>

export type JobEvent = Heard<JobMessage | ExecutorReport | ActorEnded>

// The locator answers from memory and one look at a file; five seconds mean it is not there to answer.
const LOOK_MS = 5_000

// Everything the engine delivers carries the time of its entry; the moment of creation has it in the input.
const atTime = ({ event }: { event: object }) => ({ at: timeOf(event) })
const ifCurrent = { type: 'isThisAttempt' as const, params: ({ event }: { event: { attempt: number } }) => event }
const whole = <E extends object>({ event }: { event: E }): E => event
const abort = [
  { type: 'settleAbort' as const, params: ({ event }: { event: { reason: string } }) => event },
  { type: 'acknowledge' as const, params: ({ event }: { event: { caller: Caller | null } }) => event },
]
const report = {
  guard: ifCurrent,
  actions: [
    { type: 'keepReport' as const, params: ({ event }: { event: Telling }) => event },
    { type: 'announceReport' as const, params: ({ event }: { event: Telling }) => event },
  ],
}
const reports = {
  'executor.metric': report,
  'executor.dataset': report,
  'executor.progress': report,
  'executor.verdict': report,
  'executor.badReport': report,
}
const state = (name: JobState['state'], note = '') => ({ type: 'announceState' as const, params: { name, note } })

export const job = setup({
  types: {
    context: {} as JobContext,
    events: {} as JobEvent,
    input: {} as JobInput & { readonly at: number },
    output: {} as JobOutput,
    emitted: {} as Emission,
  },
  delays: {
    timeLimit: ({ context }) => context.asked.timeLimitMs,
    // Doubled with every try of a pipeline: 1, 2, 4… times the pipeline's backoff.
    backoff: ({ context }) => context.pipeline.retries.backoffMs * 2 ** (context.tries - 1),
    patience: ({ context: { asked } }) => (asked.readiness.policy === 'waitFor' ? asked.readiness.waitMs : LOOK_MS),
  },
  guards: {
    isThisAttempt: ({ context }, { attempt }: { attempt: number }) => attempt === context.attempt,
    isBegunAtOnce: ({ context: { asked, attempt } }, heard: { attempt: number }) =>
      asked.capacity === undefined && heard.attempt === attempt,
    isOnItsTime: ({ context: { asked, attempt, begun } }) => asked.capacity === undefined || begun === attempt,
    isReady: ({ context }) => context.awaited.length === 0 && context.asked.readiness.policy === 'runNow',
    isAwaitingJobs: ({ context }) => context.awaited.length > 0,
    isShort: ({ context }, { address, end }: ActorEnded) => fallsShort(context, address, end),
    isLast: ({ context }, { address }: ActorEnded) => without(context, address).length === 0,
    isLastAndRunNow: ({ context }, { address }: ActorEnded) =>
      without(context, address).length === 0 && context.asked.readiness.policy === 'runNow',
    isUnwilling: ({ context }) => context.asked.readiness.policy === 'skip',
    isRetriable: ({ context: { retryClass, tries, pipeline } }) =>
      retryClass !== null && tries < pipeline.retries.attemptsMax && pipeline.retries.on.includes(retryClass),
    hasFallback: ({ context: { retryClass, asked } }) => retryClass !== null && asked.fallbacks.length > 0,
  },
  actions: {
    watchPrerequisites: enqueueActions(({ context, enqueue }) => {
      for (const { jobId } of context.awaited) enqueue.emit(watch(jobAddress(jobId)))
    }),
    takePrerequisite: assign(({ context }, { address }: ActorEnded) => ({
      awaited: without(context, address),
    })),
    lookForData: emit(({ context: { jobId, dataId } }) => ({ type: 'data.look', jobId, dataId })),
    forgetData: emit(({ context: { jobId } }) => ({ type: 'data.forget', jobId })),
    keepInputs: assign((_, { inputs }: { inputs?: Located }) => (inputs === undefined ? {} : { inputs })),
    markQueued: assign(({ context }, { at }: { at: number }) => ({
      times: { ...context.times, queued: context.times.queued ?? at },
    })),
    askForSlot: emit(({ context: { jobId, asked, pipeline } }) =>
      tell('queue', {
        type: 'job.ready',
        jobId,
        priority: asked.priority,
        slots: pipeline.slots,
        ...(pipeline.pool && { pool: pipeline.pool.name }),
      }),
    ),
    yieldSlot: emit(({ context }) => tell('queue', { type: 'job.yielded', jobId: context.jobId })),
    orderStart: emit(({ context }) => startOrder(context)),
    orderStop: emit(({ context: { jobId, attempt, pipeline } }) => ({
      type: 'executor.stop',
      jobId,
      attempt,
      graceMs: pipeline.graceMs,
    })),
    markStarted: assign(({ context }, { at }: { at: number }) => ({
      times: { ...context.times, started: context.times.started ?? at },
    })),
    beginTime: assign(({ context }) => ({ begun: context.attempt })),
    keepReport: assign(({ context }, report: Telling) => kept(context, report)),
    announceReport: emit(({ context }, report: Telling) => telemetry(context, report)),
    announceState: emit(({ context }, { name, note }: { name: JobState['state']; note: string }) =>
      stateEvent(context, name, note),
    ),
    announceResult: emit(
      ({ context }): Emission => ({ type: 'event', topic: 'jobResult', key: context.jobId, body: result(context) }),
    ),
    skipForJob: assign((_, { address, end }: ActorEnded) => ({
      outcome: ending({
        kind: 'skipped',
        code: 'PREREQUISITE_FAILED',
        message: `it was to run after the success of ${address.replace('.', ' ')}, which ${howEnded(end)}`,
      }),
    })),
    skipForData: assign(({ context }) => ({
      outcome: ending({
        kind: 'skipped',
        code: 'DATA_NOT_READY',
        message: `${dataName(context.dataId)} ${context.asked.readiness.policy === 'waitFor' ? `was not ingested within ${context.asked.readiness.waitMs / 1000} s` : 'is not ingested'}`,
      }),
    })),
    settleAbort: assign((_, { reason }: { reason: string }) => ({
      outcome: ending({ kind: 'aborted', code: 'ABORTED', message: `the job was stopped: ${reason}` }),
    })),
    acknowledge: enqueueActions(({ enqueue }, { caller }: { caller: Caller | null }) => {
      if (caller) enqueue.emit(complete(caller))
    }),
    settleTimeLimit: assign(({ context: { pipeline, asked } }) => ({
      outcome: ending({
        kind: 'timedOut',
        code: 'TIME_LIMIT',
        message: `${pipeline.name} ran longer than its time limit of ${asked.timeLimitMs / 1000} s and was stopped`,
      }),
      retryClass: 'timedOut' as const,
    })),
    takeExit: assign(({ context }, exited: Exited) =>
      context.outcome ? { outcome: ending(context.outcome, exited) } : byItself(context, exited),
    ),
    takeStartFailure: assign(({ context }, { code, reason }: { code: OutcomeCode; reason: string }) =>
      context.outcome
        ? {}
        : { outcome: ending({ kind: 'failed', code, message: reason }), retryClass: 'startFailed' as const },
    ),
    takeLoss: assign(({ context }, { reason }: { reason: string }) =>
      context.outcome
        ? {}
        : { outcome: ending({ kind: 'lost', code: 'LOST', message: reason }), retryClass: 'lost' as const },
    ),
    giveUpRetries: assign({ retryClass: null }),
    beginAttempt: assign(({ context }) => ({ ...afresh(context), tries: context.tries + 1 })),
    fallBack: assign(({ context }) => ({ ...afresh(context), ...withFallback(context) })),
    goOnShelf: enqueueActions(({ context, enqueue }) => {
      const item = shelfItem(context)
      if (item) enqueue.emit(tell('shelf', { type: 'shelf.keep', item }))
    }),
    markSettled: assign(({ context }, { at }: { at: number }) => ({ times: { ...context.times, settled: at } })),
  },
}).createMachine({
  id: 'job',
  context: ({ input }) => ({
    jobId: input.jobId,
    dataId: input.dataId,
    pipeline: input.pipeline,
    asked: input,
    awaited: input.after,
    attempt: 1,
    tries: 1,
    fellBackFrom: [],
    ...NOTHING_HEARD,
    times: { accepted: input.at, queued: null, started: null, settled: 0 },
  }),
  initial: 'arriving',
  states: {
    arriving: {
      always: [
        { guard: 'isReady', target: 'queued' },
        { guard: 'isAwaitingJobs', target: 'held.awaitingJobs' },
        { target: 'held.awaitingData' },
      ],
    },
    held: {
      initial: 'awaitingJobs',
      on: { 'job.abort': { target: 'settled', actions: abort } },
      states: {
        awaitingJobs: {
          entry: ['watchPrerequisites', state('held', 'waiting for other jobs')],
          on: {
            'actor.ended': [
              {
                guard: { type: 'isShort', params: whole },
                target: '#job.settled',
                actions: { type: 'skipForJob', params: whole },
              },
              {
                guard: { type: 'isLastAndRunNow', params: whole },
                target: '#job.queued',
                actions: { type: 'takePrerequisite', params: whole },
              },
              {
                guard: { type: 'isLast', params: whole },
                target: 'awaitingData',
                actions: { type: 'takePrerequisite', params: whole },
              },
              { actions: { type: 'takePrerequisite', params: whole } },
            ],
          },
        },
        awaitingData: {
          entry: ['lookForData', state('held', 'waiting for the data to be ingested')],
          exit: 'forgetData',
          after: { patience: { target: '#job.settled', actions: 'skipForData' } },
          on: {
            'data.present': { target: '#job.queued', actions: { type: 'keepInputs', params: whole } },
            'data.located': { target: '#job.queued', actions: { type: 'keepInputs', params: whole } },
            'data.absent': { guard: 'isUnwilling', target: '#job.settled', actions: 'skipForData' },
          },
        },
      },
    },
    queued: {
      entry: [{ type: 'markQueued', params: atTime }, 'askForSlot', state('queued')],
      on: { 'slot.granted': 'active', 'job.abort': { target: 'settled', actions: abort } },
    },
    active: {
      initial: 'starting',
      after: { timeLimit: { guard: 'isOnItsTime', target: 'stopping', actions: 'settleTimeLimit' } },
      on: {
        ...reports,
        // Entered again, so that its time begins now: behind others at the executor it did not use up its own.
        'executor.started': {
          guard: ifCurrent,
          target: '.running',
          reenter: true,
          actions: [{ type: 'markStarted', params: atTime }, 'beginTime'],
        },
        'job.abort': { target: 'stopping', actions: abort },
        'executor.exited': { guard: ifCurrent, target: 'judged', actions: { type: 'takeExit', params: whole } },
        'executor.lost': { guard: ifCurrent, target: 'judged', actions: { type: 'takeLoss', params: whole } },
        'executor.startFailed': {
          guard: ifCurrent,
          target: 'judged',
          actions: { type: 'takeStartFailure', params: whole },
        },
      },
      states: {
        starting: {
          entry: 'orderStart',
          on: {
            'executor.started': {
              guard: { type: 'isBegunAtOnce', params: whole },
              target: 'running',
              actions: { type: 'markStarted', params: atTime },
            },
          },
        },
        // A job hears once that it has started.
        running: { entry: state('running'), on: { 'executor.started': {} } },
      },
    },
    stopping: {
      entry: ['orderStop', state('stopping')],
      on: {
        ...reports,
        // Its outcome is decided already; what the abort adds is that there is no other attempt.
        'job.abort': { actions: ['giveUpRetries', { type: 'acknowledge', params: whole }] },
        'executor.started': { guard: ifCurrent, actions: { type: 'markStarted', params: atTime } },
        'executor.exited': { guard: ifCurrent, target: 'judged', actions: { type: 'takeExit', params: whole } },
        'executor.lost': { guard: ifCurrent, target: 'judged', actions: { type: 'takeLoss', params: whole } },
        'executor.startFailed': {
          guard: ifCurrent,
          target: 'judged',
          actions: { type: 'takeStartFailure', params: whole },
        },
      },
    },
    judged: {
      always: [
        { guard: 'isRetriable', target: 'backingOff' },
        { guard: 'hasFallback', target: 'fallingBack' },
        { target: 'settled' },
      ],
    },
    fallingBack: { entry: ['yieldSlot', 'fallBack'], always: 'queued' },
    backingOff: {
      entry: ['yieldSlot', state('backingOff')],
      after: { backoff: { target: 'queued', actions: 'beginAttempt' } },
      // The outcome of the failed attempt gives way: what ends the job is the abort.
      on: { 'job.abort': { target: 'settled', actions: abort } },
    },
    settled: {
      type: 'final',
      entry: [{ type: 'markSettled', params: atTime }, 'announceResult', state('settled'), 'goOnShelf'],
    },
  },
  output: ({ context }) => ({
    jobId: context.jobId,
    outcome: settledOutcome(context),
    metrics: context.metrics,
    datasets: context.datasets,
    verdict: context.verdict,
  }),
})

function timeOf(event: object): number {
  if ('at' in event && typeof event.at === 'number') return event.at
  if ('input' in event) return (event.input as JobInput & { at: number }).at
  throw new Error('invariant: an event without the time of its entry')
}
