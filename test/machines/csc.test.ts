// What one machine's tests take of its chart is counted together: they are one test file in parts.
import './cscReload.ts'
import { describe, expect, test } from 'vitest'
import { ACK, type Event } from '../../machines/domain/announcements.ts'
import { LEAST_ROLE } from '../../machines/domain/access.ts'
import type { Caller } from '../../machines/domain/commands.ts'
import type { Emission, Known } from '../../machines/domain/messages.ts'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../../machines/domain/summaryState.ts'
import { ROLES } from '../../machines/domain/roles.ts'
import { aCaller, aProcessData, aRetry, given, STARTED, transitionsNotTaken } from '../harness.ts'
import { tableProblems } from './table.ts'
import {
  IN,
  STATES,
  caller,
  configuration,
  fault,
  plain,
  reload,
  standby,
  start,
  topics,
  type Asking,
} from './cscGiven.ts'

const processData: Asking = { ...aProcessData({ caller, jobId: '20261122-000004' }), known: {} }

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
  ...aRetry({ caller, jobId: '20261122-000006', of: { by: 'jobId', jobId: 'j1' } }),
  known: {},
}

const abortJob = (known: Known = {}): Asking => ({ type: 'command.abortJob', caller, known, jobId: 'j1' })

const setLogLevel = (level: number): Asking => ({
  type: 'command.setLogLevel',
  caller,
  known: {},
  level,
  subsystem: '',
})

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

function bodies(emissions: readonly Emission[], topic: Event['topic']): unknown[] {
  return emissions.flatMap(emission => (emission.type === 'event' && emission.topic === topic ? [emission.body] : []))
}

function acks(emissions: readonly Emission[]) {
  return emissions.flatMap(emission => (emission.type === 'ack' ? [emission.body] : []))
}
