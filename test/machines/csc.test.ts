import { describe, expect, test } from 'vitest'
import { ACK, type Event } from '../../machines/domain/announcements.ts'
import { LEAST_ROLE, ROLES } from '../../machines/domain/access.ts'
import type { Caller, Command } from '../../machines/domain/commands.ts'
import type { Emission, Known } from '../../machines/domain/messages.ts'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../../machines/domain/summaryState.ts'
import { aCaller, aConfiguration, given, loaded, STARTED, transitionsNotTaken, type Given } from '../harness.ts'
import { tableProblems } from './table.ts'

const caller = aCaller('m1')
const configuration = aConfiguration()

type Asking = Command & { readonly known: Known }

const plain = (name: 'enable' | 'disable' | 'standby' | 'exitControl' | 'pause' | 'resume', who = caller): Asking => ({
  type: `command.${name}`,
  caller: who,
  known: {},
})
const start: Asking = {
  type: 'command.start',
  caller,
  known: {},
  configurationOverride: '',
  loaded: loaded(configuration),
}
const reload: Extract<Asking, { type: 'command.reload' }> = {
  type: 'command.reload',
  caller,
  known: {},
  loaded: loaded(configuration),
}
const processData: Asking = {
  type: 'command.processData',
  caller,
  known: {},
  jobId: '20261122-000004',
  dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null },
  detectors: [],
  pipeline: 'quicklook',
  overrides: {},
  configFile: null,
  version: '',
  priority: 0,
  after: [],
  readiness: { policy: 'runNow' },
  timeLimitMs: null,
  groupRules: null,
}
const closeGroup: Asking = {
  type: 'command.closeGroup',
  caller,
  known: {},
  jobId: '20261122-000005',
  group: 'G#1',
  pipeline: null,
  policy: null,
  patienceMs: null,
}
const retry: Asking = {
  type: 'command.retry',
  caller,
  known: {},
  jobId: '20261122-000006',
  of: { by: 'jobId', jobId: 'j1' },
  pipeline: null,
  overrides: null,
  version: null,
}
const abortJob = (known: Known = {}): Asking => ({ type: 'command.abortJob', caller, known, jobId: 'j1' })
const setLogLevel = (level: number): Asking => ({
  type: 'command.setLogLevel',
  caller,
  known: {},
  level,
  subsystem: '',
})
const fault = (errorCode = 3, errorReport = 'job machine: x', traceback = 'actor job.j1') =>
  ({ type: 'engine.fault', errorCode, errorReport, traceback }) as const

const standby = given('csc', { instance: 'LATISS' })
const IN: Record<SummaryState, Given<'csc'>> = {
  STANDBY: standby,
  DISABLED: standby.when(start),
  ENABLED: standby.when(start, plain('enable')),
  FAULT: standby.when(fault()),
  OFFLINE: standby.when(plain('exitControl')),
}
const STATES = Object.keys(IN) as SummaryState[]

const ALLOWED: Record<SummaryState, readonly string[]> = {
  STANDBY: ['start', 'exitControl'],
  DISABLED: ['enable', 'standby', 'reload'],
  ENABLED: ['disable', 'reload', 'processData', 'closeGroup', 'pause', 'resume', 'abortJob', 'retry'],
  FAULT: ['standby'],
  OFFLINE: [],
}
const EVERY: readonly Asking[] = [
  start,
  reload,
  plain('enable'),
  plain('disable'),
  plain('standby'),
  plain('exitControl'),
  plain('pause'),
  plain('resume'),
  processData,
  closeGroup,
  abortJob({ 'job.j1': 'open' }),
  retry,
]
const nameOf = ({ type }: Asking) => type.slice('command.'.length)

describe('csc: a pool that cannot be reached', () => {
  const unreachable = (pool: string) => ({ type: 'executor.unreachable', pool, reason: 'no launcher lives' }) as const
  const report = 'pipelines cannot be started: no launcher lives'

  test.each(['STANDBY', 'DISABLED', 'ENABLED'] as const)('in %s: the default pool brings FAULT with code 1', state => {
    const now = IN[state].when(unreachable('default'))
    expect(now.state).toBe('fault')
    expect(topics(now.emissions)).toEqual(['errorCode', 'summaryState'])
    expect(now.emissions).toContainEqual({
      type: 'event',
      topic: 'errorCode',
      key: null,
      body: { errorCode: 1, errorReport: report, traceback: '' },
    })
    expect(now.when(plain('enable')).emissions).toMatchObject([
      { body: { code: 'WRONG_STATE', result: expect.stringContaining(`error 1: ${report}`) as unknown } },
    ])
  })

  test.each(STATES)(
    'in %s: another pool changes nothing, for its jobs say themselves that they did not start',
    state => {
      const now = IN[state].when(unreachable('heavy'))
      expect([now.state, now.emissions, now.context]).toEqual([IN[state].state, [], IN[state].context])
    },
  )

  test.each(['FAULT', 'OFFLINE'] as const)('in %s nothing changes: the first fault counts', state => {
    const now = IN[state].when(unreachable('default'))
    expect([now.state, now.emissions, now.context]).toEqual([IN[state].state, [], IN[state].context])
  })
})

describe('csc: reload', () => {
  const reloading = (changes: Parameters<typeof aConfiguration>[0], file = '_init.yaml') =>
    ({ ...reload, loaded: loaded(aConfiguration(changes), file) }) as const

  test.each(['DISABLED', 'ENABLED'] as const)(
    'in %s the queue gets the new configuration, it is said to be applied, and nothing is aborted',
    state => {
      const now = IN[state].when(reloading({ queueDepthMax: 7, pipelines: {} }))
      expect(now.state.toUpperCase()).toBe(state)
      expect(topics(now.emissions)).toEqual(['configurationApplied'])
      expect(now.emissions).toContainEqual({
        type: 'tell',
        to: 'queue',
        message: { type: 'queue.configure', configuration: aConfiguration({ queueDepthMax: 7, pipelines: {} }) },
      })
      expect(now.emissions.at(-1)).toMatchObject({ type: 'ack', body: { ack: ACK.COMPLETE } })
      expect(JSON.stringify(now.emissions)).not.toMatch(/queue\.(clear|close)/)
    },
  )

  test('what only start changes is refused, naming what was and what would be, and nothing is applied', () => {
    const change = reloading({ slots: 4, mode: 'sync', prefetch: 1 })
    expect(IN.DISABLED.when(change).emissions).toMatchObject([{ body: { code: 'NEEDS_START' } }])
    const now = IN.ENABLED.when(change)
    expect(now.emissions).toMatchObject([
      {
        type: 'ack',
        body: {
          ack: ACK.FAILED,
          code: 'NEEDS_START',
          result: expect.stringContaining('mode (async → sync), slots (2 → 4), prefetch (0 → 1)') as unknown,
        },
      },
    ])
    expect(now.emissions).toHaveLength(1)
  })

  test('a pool with other slots needs a start; one that starts its jobs in another way does not', () => {
    const heavy = (slots: number, argv = ['nice']) =>
      ({ pools: { heavy: { slots, runner: { kind: 'prefix', argv } } } }) as const
    const before = IN.STANDBY.when({ ...start, loaded: loaded(aConfiguration(heavy(2))) }, plain('enable'))
    expect(before.when(reloading(heavy(3))).emissions).toMatchObject([
      { body: { result: expect.stringContaining('pools (heavy 2 → heavy 3)') as unknown } },
    ])
    expect(before.when(reloading({})).emissions).toMatchObject([
      { body: { result: expect.stringContaining('pools (heavy 2 → none)') as unknown } },
    ])
    expect(before.when(reloading(heavy(2, ['env']))).emissions.at(-1)).toMatchObject({ body: { ack: ACK.COMPLETE } })
  })

  test('another override than the one that is applied is no reload; a new layer of the site is one', () => {
    expect(IN.ENABLED.when(reloading({}, '_init.yaml,night.yaml')).emissions).toMatchObject([
      { body: { code: 'NEEDS_START', result: expect.stringContaining('none → night.yaml') as unknown } },
    ])
    expect(IN.ENABLED.when(reloading({}, '_init.yaml,_summit.yaml')).emissions.at(-1)).toMatchObject({
      body: { ack: ACK.COMPLETE },
    })
  })

  test('files that are wrong are refused with their sentence', () => {
    const wrong = { ...reload, loaded: { ok: false, problem: 'night.yaml: slots: too few' } } as const
    for (const state of ['DISABLED', 'ENABLED'] as const)
      expect(IN[state].when(wrong).emissions).toMatchObject([
        { body: { code: 'CONFIGURATION_INVALID', result: 'Failed: night.yaml: slots: too few' } },
      ])
  })

  test('the queue learns which pipelines have files whenever they are looked at', () => {
    const files = { type: 'tell', to: 'queue', message: { type: 'queue.files', pipelineFiles: ['a', 'b'] } } as const
    const pipelineFiles = ['a', 'b']
    const available = { ...STARTED.available, version: 'sha256:1' }
    for (const now of [
      standby.when({ ...STARTED, pipelineFiles }),
      IN.ENABLED.when({ type: 'engine.configurationsAvailable', available, pipelineFiles }),
      IN.ENABLED.when({ ...reload, loaded: { ...loaded(configuration), pipelineFiles } as typeof reload.loaded }),
    ])
      expect(now.emissions).toContainEqual(files)
  })
})

describe('csc', () => {
  test('a new process is in STANDBY and says who it is, in the order of salobj', () => {
    const said = standby.when(STARTED).emissions
    expect(topics(said)).toEqual([
      'logLevel',
      'simulationMode',
      'softwareVersions',
      'summaryState',
      'errorCode',
      'configurationsAvailable',
    ])
    expect(bodies(said, 'summaryState')).toEqual([{ summaryState: 5 }])
    expect(bodies(said, 'errorCode')).toEqual([{ errorCode: 0, errorReport: '', traceback: '' }])
    expect(bodies(said, 'logLevel')).toEqual([{ level: 20, subsystem: '' }])
  })

  test.each(STATES.filter(state => state !== 'OFFLINE'))('a process that begins again in %s says so', state => {
    const again = IN[state].when(STARTED)
    expect(bodies(again.emissions, 'summaryState')).toEqual([{ summaryState: SUMMARY_STATE[state] }])
    expect(again.state.toUpperCase()).toBe(state)
  })

  test('a process that went OFFLINE begins again in STANDBY', () => {
    const again = IN.OFFLINE.when(STARTED)
    expect(again.state).toBe('standby')
    expect(bodies(again.emissions, 'summaryState')).toEqual([{ summaryState: 5 }])
  })

  test.each([
    ['STANDBY', start, 'DISABLED'],
    ['DISABLED', plain('enable'), 'ENABLED'],
    ['ENABLED', plain('disable'), 'DISABLED'],
    ['DISABLED', plain('standby'), 'STANDBY'],
    ['FAULT', plain('standby'), 'STANDBY'],
    ['STANDBY', plain('exitControl'), 'OFFLINE'],
  ] as const)('in %s, %o leads to %s, and the state is said before the acknowledgement', (from, command, to) => {
    const { state, emissions } = IN[from].when(command)
    expect(state.toUpperCase()).toBe(to)
    expect(bodies(emissions, 'summaryState')).toEqual([{ summaryState: SUMMARY_STATE[to] }])
    expect(acks(emissions)).toMatchObject([{ ack: ACK.COMPLETE, error: 0, result: 'Done' }])
    const order = emissions.map(emission =>
      emission.type === 'event' && emission.topic === 'summaryState' ? 'state' : emission.type,
    )
    expect(order.indexOf('state')).toBeLessThan(order.indexOf('ack'))
  })

  test.each(STATES.flatMap(state => EVERY.map(command => [state, nameOf(command), command] as const)))(
    'in %s the command %s is allowed, or refused with a sentence naming both, and then nothing changes',
    (state, name, command) => {
      const before = IN[state]
      const { state: after, emissions, context } = before.when(command)
      if (ALLOWED[state].includes(name)) return expect(acks(emissions).filter(({ error }) => error === 1)).toEqual([])
      expect(after).toBe(before.state)
      expect(context).toBe(before.context)
      expect(emissions).toHaveLength(1)
      const [ack] = acks(emissions)
      expect(ack).toMatchObject({ ack: ACK.FAILED, error: 1, code: 'WRONG_STATE' })
      expect(ack?.result).toMatch(/^Failed: /)
      expect(ack?.result).toContain(name)
      expect(ack?.result).toContain(state)
    },
  )

  test.each(STATES.flatMap(state => EVERY.map(command => [state, nameOf(command), command] as const)))(
    'in %s the command %s is refused to a caller without a role, with -300 and the role it needs, and nothing changes',
    (state, name, command) => {
      const before = IN[state]
      const { state: after, emissions, context } = before.when(sentBy(command, []))
      expect(after).toBe(before.state)
      expect(context).toBe(before.context)
      expect(emissions).toHaveLength(1)
      const [ack] = acks(emissions)
      expect(ack).toMatchObject({ ack: ACK.NOPERM, error: 1, code: 'NOT_PERMITTED' })
      expect(ack?.result).toMatch(
        new RegExp(`^Failed: ${name} needs the role ${LEAST_ROLE[command.type]}, .*m1@summit`),
      )
    },
  )

  test.each(ROLES)('the role %s sends what its rank allows, and is answered as a caller without roles is', role => {
    for (const state of STATES)
      for (const command of EVERY) {
        const isAllowed = ROLES.indexOf(role) >= ROLES.indexOf(LEAST_ROLE[command.type])
        const { state: after, emissions } = IN[state].when(sentBy(command, [role]))
        const same = IN[state].when(command)
        expect(
          acks(emissions).some(({ code }) => code === 'NOT_PERMITTED'),
          nameOf(command),
        ).toBe(!isAllowed)
        expect(after).toBe(isAllowed ? same.state : IN[state].state)
      }
  })

  test('the refusal of an execute names the command as it was sent', () => {
    const [ack] = acks(IN.ENABLED.when({ ...sentBy(processData, ['viewer']), askedAs: 'execute' } as Asking).emissions)
    expect(ack?.result).toBe(
      'Failed: execute needs the role script, and m1@summit has only the role viewer; ask whoever gives out the roles of this instance',
    )
  })

  test('a refusal in FAULT carries the error code and report', () => {
    const [ack] = acks(IN.FAULT.when(processData).emissions)
    expect(ack?.result).toContain('3')
    expect(ack?.result).toContain('job machine: x')
  })

  test.each(['STANDBY', 'DISABLED', 'ENABLED', 'OFFLINE', 'FAULT'] as const)(
    'every chain of commands from %s that the planner names leads where it says',
    from => {
      for (const to of STATES) {
        const chain = transitionChain(from, to)
        if (chain === null) continue
        let now = IN[from]
        for (const { command, reaches } of chain) {
          now = now.when(command === 'start' ? start : plain(command))
          expect(now.state.toUpperCase()).toBe(reaches)
        }
        expect(now.state.toUpperCase()).toBe(to)
      }
    },
  )

  test('start says what is available and what was applied, and hands the configuration to the queue', () => {
    const said = standby.when(start).emissions
    expect(said.map(label)).toEqual([
      'configurationsAvailable',
      'configurationApplied',
      'queue.configure',
      'summaryState',
      'ack',
    ])
    expect(said).toContainEqual({ type: 'tell', to: 'queue', message: { type: 'queue.configure', configuration } })
  })

  test('a configuration that is wrong is refused with its sentence, and the CSC stays in STANDBY', () => {
    const problem = '_init.yaml: slots: expected a number'
    const refused = standby.when({ ...start, loaded: { ok: false, problem } })
    expect(refused.state).toBe('standby')
    expect(refused.emissions).toHaveLength(1)
    expect(acks(refused.emissions)).toMatchObject([{ code: 'CONFIGURATION_INVALID', result: `Failed: ${problem}` }])
  })

  test('a change of the files in the configuration folder is said', () => {
    const available = { ...STARTED.available, overrides: 'a.yaml,night.yaml' }
    const said = standby.when({ type: 'engine.configurationsAvailable', available })
    expect(bodies(said.emissions, 'configurationsAvailable')).toEqual([available])
  })

  test.each(STATES)('in %s the log level is set and said once; the same level again is only acknowledged', state => {
    const set = IN[state].when(setLogLevel(10))
    expect(set.emissions.map(label)).toEqual(['logLevel', 'ack'])
    expect(set.when(setLogLevel(10)).emissions.map(label)).toEqual(['ack'])
    expect(set.state).toBe(IN[state].state)
  })

  test('enable opens the queue; disable closes it before the state is said', () => {
    expect(IN.DISABLED.when(plain('enable')).emissions.map(label)).toEqual(['summaryState', 'ack', 'queue.open'])
    expect(IN.ENABLED.when(plain('disable')).emissions.map(label)).toEqual(['queue.close', 'summaryState', 'ack'])
  })

  test.each(['DISABLED', 'FAULT'] as const)('standby from %s aborts everything that is open', state => {
    const said = IN[state].when(plain('standby')).emissions
    expect(said).toContainEqual({
      type: 'tell',
      to: 'queue',
      message: { type: 'queue.clear', reason: 'the CSC went to STANDBY' },
    })
  })

  test.each([
    [processData, 'queue.submit'],
    [closeGroup, 'queue.closeGroup'],
    [plain('pause'), 'queue.pause'],
    [plain('resume'), 'queue.resume'],
  ] as const)('in ENABLED %o goes to the queue, which answers', (command, message) => {
    const { emissions } = IN.ENABLED.when(command)
    expect(emissions).toMatchObject([{ type: 'tell', to: 'queue', message: { type: message } }])
  })

  test('an open job is told to abort, with the name of who asked', () => {
    expect(IN.ENABLED.when(abortJob({ 'job.j1': 'open' })).emissions).toEqual([
      {
        type: 'tell',
        to: 'job.j1',
        message: { type: 'job.abort', reason: 'aborted by script', caller },
      },
    ])
  })

  test.each([
    ['ended', 'ALREADY_SETTLED'],
    ['unknown', 'UNKNOWN_JOB'],
  ] as const)('aborting a job that is %s is refused %s, with its id', (known, code) => {
    const [ack] = acks(IN.ENABLED.when(abortJob({ 'job.j1': known })).emissions)
    expect(ack).toMatchObject({ ack: ACK.FAILED, code })
    expect(ack?.result).toContain('j1')
  })

  test.each(['STANDBY', 'DISABLED', 'ENABLED'] as const)(
    'a fault in %s says errorCode, then FAULT, each once, and closes the queue',
    state => {
      const { state: after, emissions } = IN[state].when(fault(3, 'report', 'trace'))
      expect(after).toBe('fault')
      expect(emissions.map(label)).toEqual(['errorCode', 'summaryState', 'queue.close'])
      expect(bodies(emissions, 'errorCode')).toEqual([{ errorCode: 3, errorReport: 'report', traceback: 'trace' }])
      expect(bodies(emissions, 'summaryState')).toEqual([{ summaryState: 3 }])
    },
  )

  test.each(['FAULT', 'OFFLINE'] as const)('a fault in %s changes nothing: the first one counts', state => {
    const again = IN[state].when(fault(7, 'another'))
    expect(again.emissions).toEqual([])
    expect(again.context).toBe(IN[state].context)
  })

  test('recovery clears the error, and the traceback of one fault is not that of the next', () => {
    const recovered = IN.FAULT.when(plain('standby'))
    expect(bodies(recovered.emissions, 'errorCode')).toEqual([{ errorCode: 0, errorReport: '', traceback: '' }])
    const second = recovered.when(fault(4, 'other', ''))
    expect(bodies(second.emissions, 'errorCode')).toEqual([{ errorCode: 4, errorReport: 'other', traceback: '' }])
  })

  test('every acknowledgement goes to the one who asked', () => {
    const other: Caller = aCaller('m9', 'operator')
    for (const state of STATES)
      for (const emission of IN[state].when(plain('enable', other)).emissions)
        if (emission.type === 'ack') expect(emission.caller).toEqual(other)
  })

  test('a retry goes to the shelf', () => {
    const enabled = given('csc', { instance: 'LATISS' }).when(start, plain('enable')).when(retry)
    expect(enabled.emissions).toMatchObject([
      { type: 'tell', to: 'shelf', message: { type: 'shelf.retry', command: { jobId: '20261122-000006' } } },
    ])
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('csc')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('csc')).toEqual([])
  })
})

function sentBy(command: Asking, roles: Caller['roles'] & object): Asking {
  return { ...command, caller: { ...aCaller('m1', 'm1@summit'), roles, proven: true } }
}

function label(emission: Emission): string {
  if (emission.type === 'event') return emission.topic
  return emission.type === 'tell' ? emission.message.type : emission.type
}

function topics(emissions: readonly Emission[]): string[] {
  return emissions.flatMap(emission => (emission.type === 'event' ? [emission.topic] : []))
}

function bodies(emissions: readonly Emission[], topic: Event['topic']): unknown[] {
  return emissions.flatMap(emission => (emission.type === 'event' && emission.topic === topic ? [emission.body] : []))
}

function acks(emissions: readonly Emission[]) {
  return emissions.flatMap(emission => (emission.type === 'ack' ? [emission.body] : []))
}
