import { assign, emit, enqueueActions, setup } from 'xstate';
import { complete } from './domain/announcements.js';
import { invariant } from './domain/invariant.js';
import { jobAddress, tell, watch, } from './domain/messages.js';
// A result is one message on the wire; with these it stays under NATS's 1 MiB even when names are long. What is over is in telemetry.
const RESULT_METRICS_MAX = 1_000;
const RESULT_DATASETS_MAX = 1_000;
// The data's side answers from memory and one look at a file; five seconds mean it is not there to answer.
const LOOK_MS = 5_000;
// Everything the engine delivers carries the time of its entry; the moment of creation has it in the input.
const atTime = ({ event }) => ({ at: timeOf(event) });
const ifCurrent = { type: 'isThisAttempt', params: ({ event }) => event };
const whole = ({ event }) => event;
const abort = [
    { type: 'settleAbort', params: ({ event }) => event },
    { type: 'acknowledge', params: ({ event }) => event },
];
const report = {
    guard: ifCurrent,
    actions: [
        { type: 'keepReport', params: ({ event }) => event },
        { type: 'announceReport', params: ({ event }) => event },
    ],
};
const reports = {
    'executor.metric': report,
    'executor.dataset': report,
    'executor.progress': report,
    'executor.verdict': report,
    'executor.badReport': report,
};
const state = (name, note = '') => ({ type: 'announceState', params: { name, note } });
export const job = setup({
    types: {
        context: {},
        events: {},
        input: {},
        output: {},
        emitted: {},
    },
    delays: {
        timeLimit: ({ context }) => context.timeLimitMs,
        // Doubled with every attempt: 1, 2, 4… times the pipeline's backoff.
        backoff: ({ context }) => context.pipeline.retries.backoffMs * 2 ** (context.attempt - 1),
        patience: ({ context }) => (context.readiness.policy === 'waitFor' ? context.readiness.waitMs : LOOK_MS),
    },
    guards: {
        isThisAttempt: ({ context }, { attempt }) => attempt === context.attempt,
        isReady: ({ context }) => context.awaited.length === 0 && context.readiness.policy === 'runNow',
        isAwaitingJobs: ({ context }) => context.awaited.length > 0,
        isShort: ({ context }, { address, end }) => fallsShort(context, address, end),
        isLast: ({ context }) => context.awaited.length === 1,
        isLastAndRunNow: ({ context }) => context.awaited.length === 1 && context.readiness.policy === 'runNow',
        isUnwilling: ({ context }) => context.readiness.policy === 'skip',
        isRetriable: ({ context: { retryClass, attempt, pipeline } }) => retryClass !== null && attempt < pipeline.retries.attemptsMax && pipeline.retries.on.includes(retryClass),
    },
    actions: {
        watchPrerequisites: enqueueActions(({ context, enqueue }) => {
            for (const { jobId } of context.awaited)
                enqueue.emit(watch(jobAddress(jobId)));
        }),
        takePrerequisite: assign(({ context }, { address }) => ({
            awaited: context.awaited.filter(({ jobId }) => jobAddress(jobId) !== address),
        })),
        lookForData: emit(({ context: { jobId, dataId } }) => ({ type: 'data.look', jobId, dataId })),
        forgetData: emit(({ context: { jobId } }) => ({ type: 'data.forget', jobId })),
        markQueued: assign(({ context }, { at }) => ({
            times: { ...context.times, queued: context.times.queued ?? at },
        })),
        askForSlot: emit(({ context: { jobId, priority, pipeline } }) => tell('queue', { type: 'job.ready', jobId, priority, slots: pipeline.slots })),
        yieldSlot: emit(({ context }) => tell('queue', { type: 'job.yielded', jobId: context.jobId })),
        orderStart: emit(({ context }) => startOrder(context)),
        orderStop: emit(({ context: { jobId, attempt, pipeline } }) => ({
            type: 'executor.stop',
            jobId,
            attempt,
            graceMs: pipeline.graceMs,
        })),
        markStarted: assign(({ context }, { at }) => ({
            times: { ...context.times, started: context.times.started ?? at },
        })),
        keepReport: assign(({ context }, report) => kept(context, report)),
        announceReport: emit(({ context }, report) => telemetry(context, report)),
        announceState: emit(({ context }, { name, note }) => stateEvent(context, name, note)),
        announceResult: emit(({ context }) => ({ type: 'event', topic: 'jobResult', key: context.jobId, body: result(context) })),
        skipForJob: assign((_, { address, end }) => ({
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
                message: `${dataName(context.dataId)} ${context.readiness.policy === 'waitFor' ? `was not ingested within ${context.readiness.waitMs / 1000} s` : 'is not ingested'}`,
            }),
        })),
        settleAbort: assign((_, { reason }) => ({
            outcome: ending({ kind: 'aborted', code: 'ABORTED', message: `the job was stopped: ${reason}` }),
        })),
        acknowledge: enqueueActions(({ enqueue }, { caller }) => {
            if (caller)
                enqueue.emit(complete(caller));
        }),
        settleTimeLimit: assign(({ context: { pipeline, timeLimitMs } }) => ({
            outcome: ending({
                kind: 'timedOut',
                code: 'TIME_LIMIT',
                message: `${pipeline.name} ran longer than its time limit of ${timeLimitMs / 1000} s and was stopped`,
            }),
            retryClass: 'timedOut',
        })),
        takeExit: assign(({ context }, exited) => context.outcome ? { outcome: ending(context.outcome, exited) } : byItself(context, exited)),
        takeStartFailure: assign(({ context }, { code, reason }) => context.outcome
            ? {}
            : { outcome: ending({ kind: 'failed', code, message: reason }), retryClass: 'startFailed' }),
        takeLoss: assign(({ context }, { reason }) => context.outcome
            ? {}
            : { outcome: ending({ kind: 'lost', code: 'LOST', message: reason }), retryClass: 'lost' }),
        beginAttempt: assign(({ context }) => ({
            ...{
                attempt: context.attempt + 1,
                reportsHeard: 0,
                metrics: [],
                datasets: [],
                verdict: null,
                outcome: null,
                retryClass: null,
            },
        })),
        markSettled: assign(({ context }, { at }) => ({ times: { ...context.times, settled: at } })),
    },
}).createMachine({
    id: 'job',
    context: ({ input: { kind: _kind, after, at, ...rest } }) => ({
        ...rest,
        ...{
            awaited: after,
            attempt: 1,
            reportsHeard: 0,
            metrics: [],
            datasets: [],
            verdict: null,
            outcome: null,
            retryClass: null,
        },
        times: { accepted: at, queued: null, started: null, settled: 0 },
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
                            { guard: 'isLastAndRunNow', target: '#job.queued', actions: { type: 'takePrerequisite', params: whole } },
                            { guard: 'isLast', target: 'awaitingData', actions: { type: 'takePrerequisite', params: whole } },
                            { actions: { type: 'takePrerequisite', params: whole } },
                        ],
                    },
                },
                awaitingData: {
                    entry: ['lookForData', state('held', 'waiting for the data to be ingested')],
                    exit: 'forgetData',
                    after: { patience: { target: '#job.settled', actions: 'skipForData' } },
                    on: {
                        'data.present': '#job.queued',
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
            entry: 'orderStart',
            after: { timeLimit: { target: 'stopping', actions: 'settleTimeLimit' } },
            on: {
                ...reports,
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
                    on: {
                        'executor.started': {
                            guard: ifCurrent,
                            target: 'running',
                            actions: { type: 'markStarted', params: atTime },
                        },
                    },
                },
                running: { entry: state('running') },
            },
        },
        stopping: {
            entry: ['orderStop', state('stopping')],
            on: {
                ...reports,
                'job.abort': { actions: { type: 'acknowledge', params: whole } },
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
        judged: { always: [{ guard: 'isRetriable', target: 'backingOff' }, { target: 'settled' }] },
        backingOff: {
            entry: ['yieldSlot', state('backingOff')],
            after: { backoff: { target: 'queued', actions: 'beginAttempt' } },
            // The outcome of the failed attempt gives way: what ends the job is the abort.
            on: { 'job.abort': { target: 'settled', actions: abort } },
        },
        settled: {
            type: 'final',
            entry: [{ type: 'markSettled', params: atTime }, 'announceResult', state('settled')],
        },
    },
    output: ({ context }) => ({
        jobId: context.jobId,
        outcome: settledOutcome(context),
        metrics: context.metrics,
        datasets: context.datasets,
        verdict: context.verdict,
    }),
});
function timeOf(event) {
    if ('at' in event && typeof event.at === 'number')
        return event.at;
    if ('input' in event)
        return event.input.at;
    throw new Error('invariant: an event without the time of its entry');
}
function settledOutcome({ jobId, outcome }) {
    invariant(outcome, `job ${jobId} settled without an outcome`);
    return outcome;
}
function ending(reason, exit) {
    return { ...reason, exitCode: exit?.exitCode ?? null, signal: exit?.signal ?? null, usage: exit?.usage ?? null };
}
/** The process ended and nobody had told it to. */
function byItself({ pipeline }, exited) {
    const { exitCode, signal, usage, stderrTail } = exited;
    const last = lastLine(stderrTail);
    const exit = { exitCode, signal, usage };
    if (exitCode === 0)
        return {
            outcome: ending({ kind: 'succeeded', code: 'OK', message: `${pipeline.name} succeeded` }, exit),
            retryClass: null,
        };
    const how = exitCode === null ? `was ended by ${signal}` : `failed with exit code ${exitCode}`;
    return {
        outcome: ending({
            kind: 'failed',
            code: exitCode === null ? 'SIGNAL' : 'EXIT_CODE',
            message: `${pipeline.name} ${how}${last && `: ${last}`}`,
        }, exit),
        retryClass: exitCode ?? 'signal',
    };
}
// Programs say what went wrong in their last line; more of it is in the job's stderr file.
const LAST_LINE_MAX = 500;
function lastLine(text) {
    return text.trimEnd().split('\n').at(-1)?.trim().slice(0, LAST_LINE_MAX) ?? '';
}
function kept(context, report) {
    const reportsHeard = context.reportsHeard + 1;
    switch (report.type) {
        case 'executor.metric': {
            const { metric, value, unit } = report;
            return {
                reportsHeard,
                metrics: latest(context.metrics, { metric, value, unit }, one => one.metric === metric, RESULT_METRICS_MAX),
            };
        }
        case 'executor.dataset': {
            const { dataset, path, mime } = report;
            return {
                reportsHeard,
                datasets: latest(context.datasets, { dataset, path, mime }, one => one.dataset === dataset, RESULT_DATASETS_MAX),
            };
        }
        case 'executor.verdict':
            return { reportsHeard, verdict: report.verdict };
        case 'executor.progress':
        case 'executor.badReport':
            return { reportsHeard };
    }
}
/** The list with one value per name, the newest in the place of the first. */
function latest(list, one, isSame, max) {
    const at = list.findIndex(isSame);
    if (at !== -1)
        return list.with(at, one);
    return list.length < max ? [...list, one] : list;
}
function telemetry({ jobId, dataId, pipeline }, report) {
    const who = { type: 'telemetry', jobId, dataId, pipeline: pipeline.name };
    switch (report.type) {
        case 'executor.metric':
            return { ...who, topic: 'metric', body: { metric: report.metric, value: report.value, unit: report.unit } };
        case 'executor.dataset':
            return { ...who, topic: 'dataset', body: { dataset: report.dataset, path: report.path, mime: report.mime } };
        case 'executor.progress':
            return { ...who, topic: 'progress', body: { fraction: report.fraction, note: report.note } };
        case 'executor.verdict':
            return { ...who, topic: 'verdict', body: { verdict: report.verdict } };
        case 'executor.badReport':
            return { ...who, topic: 'badReport', body: { reason: report.reason } };
    }
}
function stateEvent({ jobId, dataId, pipeline, attempt, outcome }, name, note) {
    const body = {
        jobId,
        state: name,
        dataId,
        pipeline: pipeline.name,
        attempt,
        outcome: name === 'settled' ? (outcome?.kind ?? null) : null,
        note,
    };
    return { type: 'event', topic: 'jobState', key: jobId, body };
}
function result(context) {
    const { jobId, dataId, pipeline, version, commandId, attempt, metrics, datasets, verdict, times } = context;
    return {
        jobId,
        dataId,
        pipeline: pipeline.name,
        version,
        commandId,
        attempt,
        outcome: settledOutcome(context),
        metrics,
        datasets,
        verdict,
        times,
    };
}
/** The result of a job whose machine broke. */
export function brokenResult(context) {
    const message = 'OCPS broke while it handled this job; see errorCode';
    return result({ ...context, outcome: ending({ kind: 'failed', code: 'INTERNAL', message }) });
}
/** What the executor needs for this attempt; also to take it up again after a restart. */
export function startOrder({ jobId, attempt, instance, pipeline, dataId, overrides, configFile, version, members, }) {
    return { type: 'executor.start', jobId, attempt, instance, pipeline, dataId, overrides, configFile, version, members };
}
function fallsShort({ awaited }, address, end) {
    const wanted = awaited.find(({ jobId }) => jobAddress(jobId) === address);
    return (wanted?.requires === 'success' && (end.how !== 'done' || end.output.outcome.kind !== 'succeeded'));
}
function howEnded(end) {
    switch (end.how) {
        case 'done':
            return end.output.outcome.kind;
        case 'broken':
            return 'broke inside OCPS';
        case 'unknown':
            return 'is not known here any more';
    }
}
function dataName({ obsid, detector }) {
    return detector === null ? String(obsid) : `${obsid} detector ${detector}`;
}
