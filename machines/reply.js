import { assign, emit, setup } from 'xstate';
import { ACK, inProgress } from './domain/announcements.js';
import { watch, } from './domain/messages.js';
export const reply = setup({
    types: { context: {}, events: {}, input: {}, emitted: {} },
    delays: {
        // Half the promise, so that one late or lost renewal does not break it.
        renewal: ({ context }) => context.ackTimeoutMs / 2,
    },
    guards: {
        isLast: ({ context }) => context.awaited === 1,
    },
    actions: {
        promise: emit(({ context }) => inProgress(context.caller, context.jobIds, context.ackTimeoutMs)),
        awaitJob: assign(({ context }) => ({ awaited: context.awaited + 1 })),
        watchJob: emit((_, { address }) => watch(address)),
        takeEnd: assign(({ context }, { end }) => ({
            awaited: context.awaited - 1,
            body: worse(context.body, bodyOf(end, context.jobIds)),
        })),
        takeBody: assign((_, { body }) => ({ body })),
        answer: emit(({ context }) => ({ type: 'ack', caller: context.caller, body: context.body })),
    },
}).createMachine({
    id: 'reply',
    context: ({ input: { caller, jobIds, ackTimeoutMs } }) => ({
        caller,
        jobIds,
        ackTimeoutMs,
        awaited: 0,
        body: done(jobIds),
    }),
    initial: 'waiting',
    states: {
        waiting: {
            entry: 'promise',
            after: { renewal: { target: 'waiting', reenter: true } },
            on: {
                'reply.await': { actions: ['awaitJob', { type: 'watchJob', params: ({ event }) => event }] },
                'actor.ended': [
                    { guard: 'isLast', target: 'answered', actions: { type: 'takeEnd', params: ({ event }) => event } },
                    { actions: { type: 'takeEnd', params: ({ event }) => event } },
                ],
                'reply.finish': { target: 'answered', actions: { type: 'takeBody', params: ({ event }) => event } },
            },
        },
        answered: { type: 'final', entry: 'answer' },
    },
});
function done(jobIds) {
    return { ack: ACK.COMPLETE, error: 0, result: 'Done', code: null, jobIds, timeout: 0 };
}
function bodyOf(end, jobIds) {
    const output = end.how === 'done' ? end.output : null;
    if (output?.outcome.kind === 'succeeded')
        return done(jobIds);
    const ack = output?.outcome.kind === 'aborted' ? ACK.ABORTED : output?.outcome.kind === 'timedOut' ? ACK.TIMEOUT : ACK.FAILED;
    const result = output
        ? `Failed: job ${output.jobId}: ${output.outcome.message}`
        : 'Failed: the job broke inside OCPS; see errorCode';
    return { ack, error: 1, result, code: output?.outcome.code ?? 'INTERNAL', jobIds, timeout: 0 };
}
/** The first failure stays; a failure outweighs a success. */
function worse(one, other) {
    return one.error === 1 ? one : other;
}
