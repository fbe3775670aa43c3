import { assign, emit, enqueueActions, setup } from 'xstate';
import { ACK, complete, refused } from './domain/announcements.js';
import { memberIdentity } from './domain/dataId.js';
import { invariant } from './domain/invariant.js';
import { jobAddress, tell, watch, } from './domain/messages.js';
// A gather runs before the queue's other work of the same standing: a whole group waits for it.
const GATHER_PRIORITY = 9;
// A rule that is not set never fires; setTimeout's own limit is 24.8 days, a group is long forgotten by then.
const NEVER_MS = 20 * 24 * 3_600_000;
const whole = ({ event }) => event;
const state = (name) => ({ type: 'announceState', params: { name } });
const take = [
    { type: 'takeMember', params: whole },
    { type: 'watchMember', params: whole },
];
const settleMember = { type: 'settleMember', params: whole };
const close = [
    { type: 'closeBy', params: { by: 'command' } },
    { type: 'takeClosing', params: whole },
    { type: 'acknowledge', params: whole },
];
const refuseClose = { type: 'refuseClose', params: whole };
export const gather = setup({
    types: { context: {}, events: {}, input: {}, emitted: {} },
    delays: {
        deadline: ({ context }) => context.deadlineMs ?? NEVER_MS,
        patience: ({ context }) => context.patienceMs,
        linger: ({ context }) => context.configuration.groups.lingerMs,
    },
    guards: {
        isLastExpected: ({ context }, member) => context.expected !== null && exposures(context, member.dataId.obsid).size >= context.expected,
        isSettled: ({ context }) => context.unsettled === 0,
        isGatherable: ({ context }) => context.pipeline !== null && refusalToGather(context) === null,
        isPresentable: ({ context }) => context.pipeline === null && refusalToGather(context) === null,
        isGatherJob: ({ context }, { address }) => context.gatherJob !== null && address === jobAddress(context.gatherJob),
        isReopenable: ({ context }) => context.late > 0 && context.configuration.groups.late === 'regather' && context.result?.outcome !== 'aborted',
        isGrown: ({ context }) => context.late > 0,
    },
    actions: {
        takeMember: assign(({ context }, member) => withMember(context, member)),
        watchMember: emit((_, { jobId }) => watch(jobAddress(jobId))),
        settleMember: assign(({ context }, { address, end }) => withEnd(context, address, end)),
        countLate: assign(({ context }) => ({ late: context.late + 1 })),
        closeBy: assign((_, { by }) => ({ closedBy: by })),
        takeClosing: assign(({ context }, closing) => ({
            answerTo: closing.answerTo,
            configuration: closing.configuration,
            pipeline: closing.pipeline ?? context.pipeline,
            policy: closing.policy ?? context.policy,
            patienceMs: closing.patienceMs ?? context.patienceMs,
            options: closing.options ?? context.options,
        })),
        acknowledge: enqueueActions(({ context, enqueue }, { caller, answerTo }) => {
            if (answerTo === null)
                enqueue.emit(complete(caller, [], closingNote(context)));
        }),
        refuseClose: emit(({ context }, { caller, answerTo }) => {
            const refusal = refused(caller, {
                code: 'GROUP_CLOSED',
                reason: `group ${context.group} is closed already (revision ${context.revision}) and nothing was added since`,
            });
            return answerTo === null ? refusal : tell(answerTo, { type: 'reply.finish', body: refusal.body });
        }),
        conclude: assign(({ context }) => ({
            revision: context.revision + 1,
            late: 0,
            gatherJob: null,
            missing: identities(context, member => member.output === null),
        })),
        openGatherJob: enqueueActions(({ context, enqueue }) => {
            const input = gatherJobInput(context);
            enqueue.assign({ gatherJob: input.jobId });
            enqueue.emit({ type: 'open', address: jobAddress(input.jobId), input });
            enqueue.emit(tell('queue', { type: 'job.opened', jobId: input.jobId }));
            enqueue.emit(watch(jobAddress(input.jobId)));
        }),
        resultOfJob: assign(({ context }, { end }) => ({ result: resultWith(context, end) })),
        resultOfMembers: assign(({ context }) => ({
            result: resultOf(context, completeness(context), 'the members are the result: no pipeline combines them', null),
        })),
        resultOfPolicy: assign(({ context }) => ({ result: refusedResult(context) })),
        resultOfAbandon: assign(({ context }, { reason }) => ({
            result: resultOf(context, 'aborted', `the group was given up: ${reason}`, null),
        })),
        announceState: emit(({ context }, { name }) => ({
            type: 'event',
            topic: 'groupState',
            key: context.group,
            body: progress(context, name),
        })),
        announceResult: emit(({ context }) => {
            invariant(context.result, `group ${context.group} ended without a result`);
            return { type: 'event', topic: 'groupResult', key: context.group, body: context.result };
        }),
        answer: enqueueActions(({ context, enqueue }) => {
            if (context.answerTo === null || context.result === null)
                return;
            enqueue.emit(tell(context.answerTo, { type: 'reply.finish', body: answerOf(context.result) }));
            enqueue.assign({ answerTo: null });
        }),
    },
}).createMachine({
    id: 'gather',
    context: ({ input: { instance, group, stem, rules, configuration } }) => ({
        ...{ instance, group, stem, configuration },
        ...rulesOf(rules, configuration),
        options: NO_OPTIONS,
        ...{
            members: {},
            unsettled: 0,
            late: 0,
            revision: 0,
            closedBy: 'command',
            answerTo: null,
            gatherJob: null,
            missing: [],
            result: null,
        },
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
                'group.abandon': { target: 'abandoned', actions: { type: 'resultOfAbandon', params: whole } },
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
                'group.abandon': { target: 'abandoned', actions: { type: 'resultOfAbandon', params: whole } },
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
                'group.close': [{ guard: 'isGrown', target: 'closing', actions: close }, { actions: refuseClose }],
            },
        },
        abandoned: {
            entry: ['announceResult', state('abandoned'), 'answer'],
            always: { guard: 'isReopenable', target: 'closing' },
            after: { linger: 'forgotten' },
            on: {
                'member.accepted': { actions: [...take, 'countLate'] },
                'actor.ended': { actions: settleMember },
                'group.close': [{ guard: 'isGrown', target: 'closing', actions: close }, { actions: refuseClose }],
            },
        },
        forgotten: { type: 'final' },
    },
});
const NO_OPTIONS = { overrides: {}, configFile: null, version: '', timeLimitMs: null };
function rulesOf(rules, { groups }) {
    return {
        expected: rules?.expected ?? null,
        deadlineMs: rules?.deadlineMs ?? null,
        policy: rules?.policy ?? groups.policy,
        patienceMs: rules?.patienceMs ?? groups.patienceMs,
        pipeline: rules?.pipeline ?? groups.pipeline,
    };
}
function keyOf(dataId, pipeline) {
    return `${memberIdentity(dataId)} ${pipeline}`;
}
function withMember(context, { jobId, dataId, pipeline, rules }) {
    const key = keyOf(dataId, pipeline);
    const before = context.members[key];
    const member = { identity: memberIdentity(dataId), jobId, dataId, pipeline, output: null };
    return {
        members: { ...context.members, [key]: member },
        // The newest job of an identity stands for it; the older one is not awaited any more.
        unsettled: context.unsettled + (before && before.output === null ? 0 : 1),
        ...(rules && {
            expected: rules.expected ?? context.expected,
            policy: rules.policy ?? context.policy,
            patienceMs: rules.patienceMs ?? context.patienceMs,
            pipeline: rules.pipeline ?? context.pipeline,
        }),
    };
}
function withEnd(context, address, end) {
    const found = Object.entries(context.members).find(([, member]) => jobAddress(member.jobId) === address);
    if (!found || found[1].output !== null)
        return {};
    const [key, member] = found;
    const { outcome, metrics, datasets } = outputOf(end);
    return {
        members: { ...context.members, [key]: { ...member, output: { outcome, metrics, datasets } } },
        unsettled: context.unsettled - 1,
    };
}
function outputOf(end) {
    if (end.how === 'done')
        return end.output;
    const outcome = {
        kind: 'failed',
        code: 'INTERNAL',
        message: 'the job broke inside OCPS; see errorCode',
        exitCode: null,
        signal: null,
        usage: null,
    };
    return { outcome, metrics: [], datasets: [], verdict: null };
}
function exposures({ members }, another) {
    return new Set([...Object.values(members).map(({ dataId }) => dataId.obsid), another]);
}
function identities({ members }, which) {
    return [
        ...new Set(Object.values(members)
            .filter(which)
            .map(({ identity }) => identity)),
    ];
}
const isFailed = ({ output }) => output !== null && output.outcome.kind !== 'succeeded';
const isSucceeded = ({ output }) => output?.outcome.kind === 'succeeded';
/** Why nothing is combined, or null: by policy, or because there is nothing to combine. */
function refusalToGather(context) {
    const short = [...identities(context, isFailed), ...context.missing];
    const succeeded = Object.values(context.members).filter(isSucceeded).length;
    if (succeeded === 0)
        return 'no member succeeded';
    if (context.policy !== 'partial' && short.length > 0)
        return `${short.length} of its members did not succeed (${listed(short)}) and the policy is ${context.policy}`;
    return null;
}
function completeness(context) {
    return context.missing.length === 0 && identities(context, isFailed).length === 0 ? 'complete' : 'partial';
}
function gatherJobInput(context) {
    const { configuration, group, pipeline: name, options, stem, revision } = context;
    const pipeline = name === null ? undefined : configuration.pipelines[name];
    invariant(pipeline, `group ${group} gathers with an unknown pipeline ${name}`);
    return {
        kind: 'job',
        instance: context.instance,
        jobId: `${stem}-g${revision}`,
        commandId: '',
        dataId: { instrument: configuration.instrument, obsid: null, group, detector: null },
        pipeline,
        overrides: options.overrides,
        configFile: options.configFile,
        version: options.version,
        priority: GATHER_PRIORITY,
        after: [],
        readiness: { policy: 'runNow' },
        timeLimitMs: options.timeLimitMs ?? pipeline.timeLimitMs,
        members: Object.values(context.members).filter(isSucceeded).map(groupMember),
    };
}
function groupMember({ dataId, pipeline, jobId, output }) {
    return {
        dataId,
        pipeline,
        jobId,
        outcome: output?.outcome.kind ?? '',
        datasets: output?.datasets ?? [],
        metrics: output?.metrics ?? [],
    };
}
function resultWith(context, end) {
    const { outcome, metrics, datasets, verdict } = outputOf(end);
    const done = outcome.kind === 'succeeded';
    const kind = done ? completeness(context) : outcome.kind === 'aborted' ? 'aborted' : 'failed';
    return {
        ...resultOf(context, kind, done
            ? `${context.pipeline} combined ${Object.values(context.members).filter(isSucceeded).length} members`
            : outcome.message, outcome),
        metrics,
        datasets,
        verdict,
    };
}
function refusedResult(context) {
    const reason = refusalToGather(context);
    invariant(reason, `group ${context.group} was given up without a reason`);
    return resultOf(context, context.policy === 'skip' ? 'skipped' : 'failed', `nothing was combined: ${reason}`, null);
}
function resultOf(context, outcome, message, gatherOutcome) {
    const { group, revision, policy, closedBy, missing, gatherJob, pipeline } = context;
    const members = Object.values(context.members).map(({ identity, pipeline: of, jobId, output }) => ({
        identity,
        pipeline: of,
        jobId,
        outcome: output?.outcome.kind ?? null,
    }));
    return {
        ...{
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
        },
        ...{ jobId: gatherJob, gather: gatherOutcome, metrics: [], datasets: [], verdict: null },
    };
}
function progress(context, name) {
    const all = Object.values(context.members);
    return {
        group: context.group,
        state: name,
        revision: context.revision,
        accepted: all.length,
        settled: all.length - context.unsettled,
        succeeded: all.filter(isSucceeded).length,
        failed: identities(context, isFailed),
    };
}
function closingNote({ group, members, unsettled }) {
    return `Done: group ${group} is closed with ${Object.keys(members).length} members, ${unsettled} of them not settled yet`;
}
// A sentence names the first few; the event lists them all.
const LISTED_MAX = 5;
function listed(names) {
    return names.slice(0, LISTED_MAX).join(', ') + (names.length > LISTED_MAX ? ', …' : '');
}
function answerOf(result) {
    const jobIds = result.jobId === null ? [] : [result.jobId];
    const good = result.outcome === 'complete' || result.outcome === 'partial' || result.outcome === 'skipped';
    if (good)
        return { ack: ACK.COMPLETE, error: 0, result: `Done: ${result.message}`, code: null, jobIds, timeout: 0 };
    return {
        ack: result.outcome === 'aborted' ? ACK.ABORTED : ACK.FAILED,
        error: 1,
        result: `Failed: ${result.message}`,
        code: 'GROUP_FAILED',
        jobIds,
        timeout: 0,
    };
}
