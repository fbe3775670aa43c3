import { assign, emit, enqueueActions, setup } from 'xstate'
import { errorEvent, presence, stateEvent, type Started } from './cscEvents.ts'
import { notAllowed, notOpen, notPermitted, type Sent } from './cscRefusals.ts'
import { isPermitted } from './domain/access.ts'
import { complete, refused, type Event, type EventAnnouncement } from './domain/announcements.ts'
import {
  sentAs,
  type Asked,
  type Caller,
  type Command,
  type ConfigurationApplied,
  type ConfigurationsAvailable,
  type LoadedConfiguration,
  type PipelineFiles,
  type ReloadCommand,
  type RetryCommand,
  type StartCommand,
} from './domain/commands.ts'
import type { Configuration } from './domain/configuration.ts'
import type { CscInput } from './domain/inputs.ts'
import { jobAddress, tell, type Emission, type EngineMessage, type Heard, type Known } from './domain/messages.ts'
import { DEFAULT_POOL } from './domain/pools.ts'
import { fixedOf, needsStart, overrideOf, type Fixed } from './domain/reload.ts'
import type { PoolUnreachable } from './domain/reports.ts'
import type { SummaryState } from './domain/summaryState.ts'

/*
 * The commandable SAL component: one per instance, salobj's lifecycle exactly (salobj base_csc.py). It answers the
 * lifecycle commands, passes the others on when ENABLED, and refuses what the state does not allow with a sentence that
 * names command and state.
 *
 *     standby  --start if the configuration is valid--> disabled      disabled --enable-------> enabled
 *     enabled  --disable------------------------------> disabled      disabled --standby------> standby
 *     standby  --exitControl--------------------------> offline       fault    --standby------> standby
 *     standby, disabled, enabled --engine.fault-------> fault         offline  --engine.started--> standby
 *     standby, disabled, enabled --executor.unreachable of the default pool--> fault (of another: only its jobs fail)
 *     disabled, enabled --reload if it is valid and can be applied there--> (applies it)
 *     enabled  --processData, closeGroup, pause, resume--> (to the queue)     enabled --retry--> (to the shelf)
 *     enabled  --abortJob--> (to the job, if it is open)
 *     any      --setLogLevel, engine.started, engine.configurationsAvailable--> (says so)
 *     any command in any state from a caller whose roles do not allow it: refused (-300), nothing changes.
 *     any other command in any state: refused, nothing changes. A second fault in fault: the first one counts.
 *
 * disable: running jobs go on, queued jobs are held.  standby: everything still open is aborted, each with its result.
 */

export interface CscContext {
  readonly instance: string
  readonly logLevel: number
  readonly errorCode: number
  readonly errorReport: string
  readonly applied: ConfigurationApplied | null
  /** What was said last of the configurations there are; the same is not said again (salobj write_topic.py). */
  readonly available: ConfigurationsAvailable | null
  /** What only `start` changes; absent before it, and in journals that are older than reload. */
  readonly fixed?: Fixed
}

export type CscEvent = Heard<(Command & { readonly known: Known }) | EngineMessage | PoolUnreachable>

// Python's number for INFO, as salobj uses it.
const INFO = 20

const toCaller = ({ event }: { event: Asked }) => ({ caller: event.caller })
const present = (state: SummaryState) => ({
  type: 'announcePresence' as const,
  params: ({ event }: { event: Started }) => ({ started: event, state }),
})
const arrive = (state: SummaryState) => ({ type: 'announceState' as const, params: { state } })
const refuseIn = (state: SummaryState) => ({
  guard: {
    type: 'isBoundToState' as const,
    params: ({ event }: { event: { type: string } }) => ({ command: event.type }),
  },
  actions: {
    type: 'refuseInState' as const,
    params: ({ event }: { event: Asked & { type: string; askedAs?: string } }) => ({
      caller: event.caller,
      command: sentAs(event),
      state,
    }),
  },
})

/** The first candidate for every command, whatever the state: what a caller may not do is not looked at any further. */
const unpermitted = {
  guard: { type: 'isNotPermitted' as const, params: ({ event }: { event: Sent }) => event },
  actions: {
    type: 'refuseUnpermitted' as const,
    params: ({ event }: { event: Sent }) => event,
  },
}

const reload = [
  unpermitted,
  {
    guard: { type: 'isReloadable' as const, params: ({ event }: { event: ReloadCommand }) => event },
    actions: [
      { type: 'applyConfiguration' as const, params: ({ event }: { event: ReloadCommand }) => event },
      { type: 'acknowledge' as const, params: toCaller },
    ],
  },
  {
    guard: { type: 'isConfigurationValid' as const, params: ({ event }: { event: ReloadCommand }) => event },
    actions: { type: 'refuseReload' as const, params: ({ event }: { event: ReloadCommand }) => event },
  },
  { actions: { type: 'refuseConfiguration' as const, params: ({ event }: { event: ReloadCommand }) => event } },
]

export const csc = setup({
  types: { context: {} as CscContext, events: {} as CscEvent, input: {} as CscInput, emitted: {} as Emission },
  guards: {
    isNotPermitted: (_, { caller, type }: Sent) => !isPermitted(caller, type),
    isConfigurationValid: (_, params: { loaded: StartCommand['loaded'] }) => params.loaded.ok,
    isReloadable: ({ context }, params: { loaded: LoadedConfiguration }) =>
      params.loaded.ok && whyNotReloaded(context, params.loaded) === null,
    isNewLogLevel: ({ context }, params: { level: number }) => params.level !== context.logLevel,
    isBoundToState: (_, params: { command: string }) => params.command !== 'command.setLogLevel',
    isDefaultPool: (_, { pool }: PoolUnreachable) => pool === DEFAULT_POOL,
    isJobOpen: (_, params: { jobId: string; known: Known }) => params.known[jobAddress(params.jobId)] === 'open',
  },
  actions: {
    announcePresence: enqueueActions(
      ({ context, enqueue }, { started, state }: { started: Started; state: SummaryState }) => {
        for (const event of presence(context, started, state)) enqueue.emit(say(event))
        enqueue.assign({ available: started.available })
        if (started.pipelineFiles) enqueue.emit(tellFiles(started.pipelineFiles))
      },
    ),
    announceState: emit((_, params: { state: SummaryState }) => say(stateEvent(params.state))),
    announceAvailable: enqueueActions(({ context, enqueue }, { available, pipelineFiles }: Seen) => {
      if (isSame(available, context.available)) return
      if (pipelineFiles) enqueue.emit(tellFiles(pipelineFiles))
      enqueue.assign({ available })
      enqueue.emit(say({ topic: 'configurationsAvailable', key: null, body: available }))
    }),
    announceError: emit(({ context }, params: { traceback: string }) => say(errorEvent(context, params.traceback))),
    recordError: assign((_, { errorCode, errorReport }: { errorCode: number; errorReport: string }) => ({
      errorCode,
      errorReport,
    })),
    recordUnreachable: assign((_, { reason }: PoolUnreachable) => unreachable(reason)),
    acknowledge: emit((_, params: { caller: Caller }) => complete(params.caller)),
    applyConfiguration: enqueueActions(({ context, enqueue }, { loaded }: { loaded: StartCommand['loaded'] }) => {
      if (!loaded.ok) return
      const { applied, available, pipelineFiles } = loaded
      enqueue.assign({ applied, available, fixed: fixedOf(loaded.configuration) })
      if (pipelineFiles) enqueue.emit(tellFiles(pipelineFiles))
      if (!isSame(available, context.available))
        enqueue.emit(say({ topic: 'configurationsAvailable', key: null, body: available }))
      enqueue.emit(say({ topic: 'configurationApplied', key: null, body: loaded.applied }))
      enqueue.emit(tell('queue', { type: 'queue.configure', configuration: loaded.configuration }))
      for (const emission of besideTheQueue(loaded.configuration)) enqueue.emit(emission)
    }),
    refuseConfiguration: emit((_, { caller, loaded }: { caller: Caller; loaded: StartCommand['loaded'] }) =>
      refused(caller, { code: 'CONFIGURATION_INVALID', reason: loaded.ok ? '' : loaded.problem }),
    ),
    refuseReload: emit(({ context }, { caller, loaded }: { caller: Caller; loaded: LoadedConfiguration }) =>
      refused(caller, {
        code: 'NEEDS_START',
        reason: `reload does not change ${(loaded.ok && whyNotReloaded(context, loaded)) || 'that'}; disable, standby and start apply it, or undo the change`,
      }),
    ),
    refuseUnpermitted: emit((_, event: Sent) => refused(event.caller, notPermitted(event))),
    refuseInState: emit(({ context }, params: { caller: Caller; command: string; state: SummaryState }) =>
      refused(params.caller, { code: 'WRONG_STATE', reason: notAllowed(params.command, params.state, context) }),
    ),
    refuseAbort: emit((_, params: { jobId: string; caller: Caller; known: Known }) =>
      refused(params.caller, notOpen(params.jobId, params.known)),
    ),
    setLogLevel: assign((_, { level }: { level: number }) => ({ logLevel: level })),
    announceLogLevel: emit(({ context }) =>
      say({ topic: 'logLevel', key: null, body: { level: context.logLevel, subsystem: '' } }),
    ),
    openQueue: emit(tell('queue', { type: 'queue.open' })),
    closeQueue: emit(tell('queue', { type: 'queue.close' })),
    abortEverything: emit(tell('queue', { type: 'queue.clear', reason: 'the CSC went to STANDBY' })),
    passToQueue: emit((_, params: Parameters<typeof forQueue>[0]) => tell('queue', forQueue(params))),
    passToShelf: emit((_, { command }: { command: RetryCommand }) => tell('shelf', { type: 'shelf.retry', command })),
    passToJob: emit((_, { jobId, caller }: { jobId: string; caller: Caller }) =>
      tell(jobAddress(jobId), { type: 'job.abort', reason: `aborted by ${caller.identity}`, caller }),
    ),
  },
}).createMachine({
  id: 'csc',
  context: ({ input }) => ({
    instance: input.instance,
    logLevel: INFO,
    errorCode: 0,
    errorReport: '',
    applied: null,
    available: null,
  }),
  initial: 'standby',
  on: {
    // One that is not permitted does not come here: the states refuse it.
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
    'executor.unreachable': {
      guard: { type: 'isDefaultPool', params: ({ event }) => event },
      target: '.fault',
      actions: [
        { type: 'recordUnreachable', params: ({ event }) => event },
        { type: 'announceError', params: { traceback: '' } },
        arrive('FAULT'),
      ],
    },
  },
  states: {
    standby: {
      on: {
        'engine.started': { actions: present('STANDBY') },
        'command.start': [
          unpermitted,
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
        'command.exitControl': [
          unpermitted,
          {
            target: 'offline',
            actions: [arrive('OFFLINE'), { type: 'acknowledge', params: toCaller }],
          },
        ],
        'command.*': [unpermitted, refuseIn('STANDBY')],
      },
    },
    disabled: {
      on: {
        'engine.started': { actions: present('DISABLED') },
        'command.enable': [
          unpermitted,
          {
            target: 'enabled',
            actions: [arrive('ENABLED'), { type: 'acknowledge', params: toCaller }, 'openQueue'],
          },
        ],
        'command.standby': [
          unpermitted,
          {
            target: 'standby',
            actions: [arrive('STANDBY'), { type: 'acknowledge', params: toCaller }, 'abortEverything'],
          },
        ],
        'command.reload': reload,
        'command.*': [unpermitted, refuseIn('DISABLED')],
      },
    },
    enabled: {
      on: {
        'engine.started': { actions: present('ENABLED') },
        'command.disable': [
          unpermitted,
          {
            target: 'disabled',
            actions: ['closeQueue', arrive('DISABLED'), { type: 'acknowledge', params: toCaller }],
          },
        ],
        'command.reload': reload,
        'command.processData': [unpermitted, { actions: { type: 'passToQueue', params: ({ event }) => event } }],
        'command.closeGroup': [unpermitted, { actions: { type: 'passToQueue', params: ({ event }) => event } }],
        'command.pause': [unpermitted, { actions: { type: 'passToQueue', params: ({ event }) => event } }],
        'command.resume': [unpermitted, { actions: { type: 'passToQueue', params: ({ event }) => event } }],
        'command.retry': [
          unpermitted,
          { actions: { type: 'passToShelf', params: ({ event }) => ({ command: event }) } },
        ],
        'command.abortJob': [
          unpermitted,
          {
            guard: { type: 'isJobOpen', params: ({ event }) => event },
            actions: { type: 'passToJob', params: ({ event }) => event },
          },
          { actions: { type: 'refuseAbort', params: ({ event }) => event } },
        ],
        'command.*': [unpermitted, refuseIn('ENABLED')],
      },
    },
    fault: {
      entry: 'closeQueue',
      on: {
        'engine.started': { actions: present('FAULT') },
        'engine.fault': {},
        'executor.unreachable': {},
        'command.standby': [
          unpermitted,
          {
            target: 'standby',
            actions: [
              { type: 'recordError', params: { errorCode: 0, errorReport: '' } },
              arrive('STANDBY'),
              { type: 'announceError', params: { traceback: '' } },
              { type: 'acknowledge', params: toCaller },
              'abortEverything',
            ],
          },
        ],
        'command.*': [unpermitted, refuseIn('FAULT')],
      },
    },
    offline: {
      on: {
        // That process has ended; the next one begins where every CSC begins.
        'engine.started': { target: 'standby', actions: present('STANDBY') },
        'engine.fault': {},
        'executor.unreachable': {},
        'command.*': [unpermitted, refuseIn('OFFLINE')],
      },
    },
  },
})

/** What a reload would have to change and may not; null: nothing. */
function whyNotReloaded(
  { fixed, applied }: CscContext,
  loaded: Extract<LoadedConfiguration, { ok: true }>,
): string | null {
  const [before, after] = [overrideOf(applied ?? loaded.applied), overrideOf(loaded.applied)]
  if (before !== after) return `the override (${before || 'none'} → ${after || 'none'})`
  return fixed ? needsStart(fixed, loaded.configuration) : null
}

/** What is only there while the configuration asks for it: the display, the book of what was ingested. */
function besideTheQueue({ display, camera }: Configuration): Emission[] {
  const emissions: Emission[] = []
  if (display !== undefined && display.length > 0)
    emissions.push({ type: 'open', address: 'display', input: { kind: 'display', interests: display } })
  if (display !== undefined) emissions.push(tell('display', { type: 'display.configure', interests: display }))
  if (camera) emissions.push({ type: 'open', address: 'ingest', input: { kind: 'ingest', camera } })
  if (camera !== undefined) emissions.push(tell('ingest', { type: 'ingest.configure', camera }))
  return emissions
}

function tellFiles(pipelineFiles: PipelineFiles): Emission {
  return tell('queue', { type: 'queue.files', pipelineFiles })
}

type Seen = Extract<EngineMessage, { type: 'engine.configurationsAvailable' }>
function isSame(one: ConfigurationsAvailable, other: ConfigurationsAvailable | null): boolean {
  return (
    one.overrides === other?.overrides &&
    one.version === other.version &&
    one.url === other.url &&
    one.schemaVersion === other.schemaVersion
  )
}

function say(event: Event): EventAnnouncement {
  return { type: 'event', ...event }
}

// The error code the Python OCPS documents for an execution service that is out of reach.
const EXECUTOR_UNREACHABLE = 1

function unreachable(reason: string) {
  return { errorCode: EXECUTOR_UNREACHABLE, errorReport: `pipelines cannot be started: ${reason}` }
}

function forQueue(
  event: Extract<CscEvent, { type: 'command.processData' | 'command.closeGroup' | 'command.pause' | 'command.resume' }>,
) {
  switch (event.type) {
    case 'command.processData':
      return { type: 'queue.submit', command: event, known: event.known } as const
    case 'command.closeGroup':
      return { type: 'queue.closeGroup', command: event, known: event.known } as const
    case 'command.pause':
      return { type: 'queue.pause', caller: event.caller } as const
    case 'command.resume':
      return { type: 'queue.resume', caller: event.caller } as const
  }
}
