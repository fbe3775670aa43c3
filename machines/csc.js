import { assign, emit, enqueueActions, setup } from 'xstate';
import { complete, refused } from './domain/announcements.js';
import { jobAddress, tell } from './domain/messages.js';
import { SUMMARY_STATE } from './domain/summaryState.js';
// Python's number for INFO, as salobj uses it.
const INFO = 20;
const toCaller = ({ event }) => ({ caller: event.caller });
const present = (state) => ({
    type: 'announcePresence',
    params: ({ event }) => ({ started: event, state }),
});
const arrive = (state) => ({ type: 'announceState', params: { state } });
const refuseIn = (state) => ({
    guard: {
        type: 'isBoundToState',
        params: ({ event }) => ({ command: event.type }),
    },
    actions: {
        type: 'refuseInState',
        params: ({ event }) => ({ caller: event.caller, command: event.type, state }),
    },
});
export const csc = setup({
    types: { context: {}, events: {}, input: {}, emitted: {} },
    guards: {
        isConfigurationValid: (_, params) => params.loaded.ok,
        isNewLogLevel: ({ context }, params) => params.level !== context.logLevel,
        isBoundToState: (_, params) => params.command !== 'command.setLogLevel',
        isJobOpen: (_, params) => params.known[jobAddress(params.jobId)] === 'open',
    },
    actions: {
        announcePresence: enqueueActions(({ context, enqueue }, { started, state }) => {
            for (const event of presence(context, started, state))
                enqueue.emit(say(event));
        }),
        announceState: emit((_, params) => say(stateEvent(params.state))),
        announceAvailable: emit((_, params) => say({ topic: 'configurationsAvailable', key: null, body: params.available })),
        announceError: emit(({ context }, params) => say(errorEvent(context, params.traceback))),
        recordError: assign((_, { errorCode, errorReport }) => ({
            errorCode,
            errorReport,
        })),
        acknowledge: emit((_, params) => complete(params.caller)),
        applyConfiguration: enqueueActions(({ enqueue }, { loaded }) => {
            if (!loaded.ok)
                return;
            enqueue.assign({ applied: loaded.applied });
            enqueue.emit(say({ topic: 'configurationsAvailable', key: null, body: loaded.available }));
            enqueue.emit(say({ topic: 'configurationApplied', key: null, body: loaded.applied }));
            enqueue.emit(tell('queue', { type: 'queue.configure', configuration: loaded.configuration }));
        }),
        refuseConfiguration: emit((_, { caller, loaded }) => refused(caller, { code: 'CONFIGURATION_INVALID', reason: loaded.ok ? '' : loaded.problem })),
        refuseInState: emit(({ context }, params) => refused(params.caller, { code: 'WRONG_STATE', reason: notAllowed(params.command, params.state, context) })),
        refuseAbort: emit((_, params) => refused(params.caller, notOpen(params.jobId, params.known))),
        setLogLevel: assign((_, { level }) => ({ logLevel: level })),
        announceLogLevel: emit(({ context }) => say({ topic: 'logLevel', key: null, body: { level: context.logLevel, subsystem: '' } })),
        openQueue: emit(tell('queue', { type: 'queue.open' })),
        closeQueue: emit(tell('queue', { type: 'queue.close' })),
        abortEverything: emit(tell('queue', { type: 'queue.clear', reason: 'the CSC went to STANDBY' })),
        passToQueue: emit((_, params) => tell('queue', forQueue(params))),
        passToJob: emit((_, { jobId, caller }) => tell(jobAddress(jobId), { type: 'job.abort', reason: `aborted by ${caller.identity}`, caller })),
    },
}).createMachine({
    id: 'csc',
    context: ({ input }) => ({ instance: input.instance, logLevel: INFO, errorCode: 0, errorReport: '', applied: null }),
    initial: 'standby',
    on: {
        'command.setLogLevel': [
            {
                guard: { type: 'isNewLogLevel', params: ({ event }) => ({ level: event.level }) },
                actions: [
                    { type: 'setLogLevel', params: ({ event }) => ({ level: event.level }) },
                    'announceLogLevel',
                    { type: 'acknowledge', params: toCaller },
                ],
            },
            { actions: { type: 'acknowledge', params: toCaller } },
        ],
        'engine.configurationsAvailable': { actions: { type: 'announceAvailable', params: ({ event }) => event } },
        'engine.fault': {
            target: '.fault',
            actions: [
                { type: 'recordError', params: ({ event }) => event },
                { type: 'announceError', params: ({ event }) => event },
                arrive('FAULT'),
            ],
        },
    },
    states: {
        standby: {
            on: {
                'engine.started': { actions: present('STANDBY') },
                'command.start': [
                    {
                        guard: { type: 'isConfigurationValid', params: ({ event }) => event },
                        target: 'disabled',
                        actions: [
                            { type: 'applyConfiguration', params: ({ event }) => event },
                            arrive('DISABLED'),
                            { type: 'acknowledge', params: toCaller },
                        ],
                    },
                    { actions: { type: 'refuseConfiguration', params: ({ event }) => event } },
                ],
                'command.exitControl': {
                    target: 'offline',
                    actions: [arrive('OFFLINE'), { type: 'acknowledge', params: toCaller }],
                },
                'command.*': refuseIn('STANDBY'),
            },
        },
        disabled: {
            on: {
                'engine.started': { actions: present('DISABLED') },
                'command.enable': {
                    target: 'enabled',
                    actions: [arrive('ENABLED'), { type: 'acknowledge', params: toCaller }, 'openQueue'],
                },
                'command.standby': {
                    target: 'standby',
                    actions: [arrive('STANDBY'), { type: 'acknowledge', params: toCaller }, 'abortEverything'],
                },
                'command.*': refuseIn('DISABLED'),
            },
        },
        enabled: {
            on: {
                'engine.started': { actions: present('ENABLED') },
                'command.disable': {
                    target: 'disabled',
                    actions: ['closeQueue', arrive('DISABLED'), { type: 'acknowledge', params: toCaller }],
                },
                'command.processData': { actions: { type: 'passToQueue', params: ({ event }) => event } },
                'command.closeGroup': { actions: { type: 'passToQueue', params: ({ event }) => event } },
                'command.pause': { actions: { type: 'passToQueue', params: ({ event }) => event } },
                'command.resume': { actions: { type: 'passToQueue', params: ({ event }) => event } },
                'command.abortJob': [
                    {
                        guard: { type: 'isJobOpen', params: ({ event }) => event },
                        actions: { type: 'passToJob', params: ({ event }) => event },
                    },
                    { actions: { type: 'refuseAbort', params: ({ event }) => event } },
                ],
                'command.*': refuseIn('ENABLED'),
            },
        },
        fault: {
            entry: 'closeQueue',
            on: {
                'engine.started': { actions: present('FAULT') },
                'engine.fault': {},
                'command.standby': {
                    target: 'standby',
                    actions: [
                        { type: 'recordError', params: { errorCode: 0, errorReport: '' } },
                        arrive('STANDBY'),
                        { type: 'announceError', params: { traceback: '' } },
                        { type: 'acknowledge', params: toCaller },
                        'abortEverything',
                    ],
                },
                'command.*': refuseIn('FAULT'),
            },
        },
        offline: {
            on: {
                // That process has ended; the next one begins where every CSC begins.
                'engine.started': { target: 'standby', actions: present('STANDBY') },
                'engine.fault': {},
                'command.*': refuseIn('OFFLINE'),
            },
        },
    },
});
function say(event) {
    return { type: 'event', ...event };
}
/** What a CSC says of itself when its process begins, in salobj's order (base_csc.py start_phase2). */
function presence(context, started, state) {
    const { ocps, xstate, node, machines } = started.versions;
    return [
        { topic: 'logLevel', key: null, body: { level: context.logLevel, subsystem: '' } },
        { topic: 'simulationMode', key: null, body: { mode: started.simulationMode } },
        {
            topic: 'softwareVersions',
            key: null,
            body: {
                salVersion: '',
                xmlVersion: '',
                cscVersion: ocps,
                subsystemVersions: `machines=${machines},xstate=${xstate},node=${node}`,
            },
        },
        stateEvent(state),
        errorEvent(context, ''),
        { topic: 'configurationsAvailable', key: null, body: started.available },
    ];
}
function stateEvent(state) {
    return { topic: 'summaryState', key: null, body: { summaryState: SUMMARY_STATE[state] } };
}
function errorEvent({ errorCode, errorReport }, traceback) {
    return { topic: 'errorCode', key: null, body: { errorCode, errorReport, traceback } };
}
function forQueue(event) {
    switch (event.type) {
        case 'command.processData':
            return { type: 'queue.submit', command: event, known: event.known };
        case 'command.closeGroup':
            return { type: 'queue.closeGroup', command: event, known: event.known };
        case 'command.pause':
            return { type: 'queue.pause', caller: event.caller };
        case 'command.resume':
            return { type: 'queue.resume', caller: event.caller };
    }
}
const ALLOWED = {
    STANDBY: 'send start to go to DISABLED, or exitControl to end',
    DISABLED: 'send enable to go to ENABLED, or standby to go back to STANDBY',
    ENABLED: 'send disable first to leave ENABLED',
    FAULT: 'find the cause, then send standby to recover',
    OFFLINE: 'the process is ending; start it again',
};
function notAllowed(command, state, { errorCode, errorReport }) {
    const fault = state === 'FAULT' ? ` (error ${errorCode}: ${errorReport})` : '';
    return `${command.slice('command.'.length)} is not allowed in state ${state}${fault}; ${ALLOWED[state]}`;
}
function notOpen(jobId, known) {
    return known[jobAddress(jobId)] === 'ended'
        ? { code: 'ALREADY_SETTLED', reason: `job ${jobId} has ended already; \`ocps job ${jobId}\` shows how` }
        : { code: 'UNKNOWN_JOB', reason: `no job ${jobId} is known here; \`ocps jobs\` lists those that are open` };
}
