import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SUMMARY_STATE, transitionChain, type SummaryState } from '../../machines/domain/summaryState.ts'
import { startService } from '../../src/instance/start.ts'
import { eventually, rejection } from '../bus/eventually.ts'
import { makePlace, optionsFor, startInstance, type Running } from './instance.ts'
import { connectWire } from './wire.ts'

/*
 * The lifecycle of a CSC as an observer on the wire sees it (salobj base_csc.py), against a real service and server.
 */
let running: Running

beforeAll(async () => {
  running = await startInstance({ initialState: 'STANDBY' })
})
afterAll(() => running.stop())

/** Walks there by commands, whatever the present state. */
async function go(to: Exclude<SummaryState, 'FAULT'>): Promise<void> {
  const { wire } = running
  const present = String((await wire.query('state'))['summaryState']) as SummaryState
  for (const { command } of transitionChain(present, to) ?? [])
    expect(await wire.command(command)).toMatchObject({ ack: 303 })
  await wire.quiet()
}

const JOB = { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'true' }
const bodies: Readonly<Record<string, object>> = {
  processData: JOB,
  abortJob: { jobId: '20261122-000001' },
  closeGroup: { group: 'G' },
}

describe('lifecycle', () => {
  it('1 S: a late joiner finds state 5, errorCode 0, logLevel, simulationMode, versions, heartbeat and the configurations', async () => {
    const late = await connectWire(running.service.natsUrl, 'LATISS')
    // The first heartbeat is said when the service begins; the server may still be storing it.
    await eventually('everything of the start is stored', async () => (await late.retained()).has('heartbeat'))
    const retained = await late.retained()
    expect(retained.get('summaryState')).toMatchObject({ summaryState: 5 })
    expect(retained.get('errorCode')).toMatchObject({ errorCode: 0, errorReport: '', traceback: '' })
    expect(retained.get('logLevel')).toMatchObject({ level: 20, subsystem: '' })
    expect(retained.get('simulationMode')).toMatchObject({ mode: 0 })
    expect(retained.get('softwareVersions')).toMatchObject({
      cscVersion: expect.stringMatching(/^\d+\.\d+\.\d+/) as unknown,
    })
    expect(retained.get('heartbeat')).toMatchObject({ heartbeat: true, pid: process.pid })
    expect(retained.get('configurationsAvailable')).toMatchObject({
      overrides: 'few.yaml,sync.yaml',
      version: expect.stringMatching(/^sha256:/) as unknown,
      url: expect.stringMatching(/^file:\/\//) as unknown,
      schemaVersion: 'v1',
    })
    expect(retained.has('configurationApplied')).toBe(false)
    await late.close()
  })

  it('3 S: enable in DISABLED says summaryState 2, and then its acknowledgement is COMPLETE', async () => {
    await go('DISABLED')
    await expectStateThenAck('enable', 2)
  })

  it('5 S: standby in DISABLED says summaryState 5, and then its acknowledgement is COMPLETE', async () => {
    await go('DISABLED')
    await expectStateThenAck('standby', 5)
  })

  it('start says what it applied, then summaryState 1, then its acknowledgement', async () => {
    await go('STANDBY')
    const { wire } = running
    const from = wire.heard.length
    expect(await wire.command('start', { configurationOverride: 'few.yaml' })).toMatchObject({
      ack: 303,
      result: 'Done',
    })
    expect(said(from).filter(topic => topic !== 'configurationsAvailable')).toEqual([
      'configurationApplied',
      'summaryState',
      'ack',
    ])
    expect(wire.events('configurationApplied').at(-1)).toMatchObject({
      configurations: '_init.yaml,few.yaml',
      schemaVersion: 'v1',
    })
  })

  it('7 S: in STANDBY every command but start and exitControl is refused, and no summaryState is said', async () => {
    await go('STANDBY')
    await expectRefused(
      ['enable', 'disable', 'standby', 'processData', 'abortJob', 'closeGroup', 'pause', 'resume'],
      'STANDBY',
    )
  })

  it('in DISABLED every command but enable and standby is refused, and no summaryState is said', async () => {
    await go('DISABLED')
    await expectRefused(
      ['start', 'disable', 'exitControl', 'processData', 'abortJob', 'closeGroup', 'pause', 'resume'],
      'DISABLED',
    )
  })

  it('9 S: in ENABLED start, enable, standby and exitControl are refused, and the state stays 2', async () => {
    await go('ENABLED')
    await expectRefused(['start', 'enable', 'standby', 'exitControl'], 'ENABLED')
    expect((await running.wire.retained()).get('summaryState')).toMatchObject({ summaryState: 2 })
  })

  it('13 S: setLogLevel to the level it has is COMPLETE and says nothing; to another it says so once', async () => {
    const { wire } = running
    expect(await wire.command('setLogLevel', { level: 10 })).toMatchObject({ ack: 303 })
    await wire.quiet()
    const before = wire.events('logLevel').length
    expect(await wire.command('setLogLevel', { level: 10 })).toMatchObject({ ack: 303 })
    await wire.quiet()
    expect(wire.events('logLevel')).toHaveLength(before)
    expect(wire.events('logLevel').at(-1)).toMatchObject({ level: 10, subsystem: '' })
    expect(await wire.command('setLogLevel', { level: 20 })).toMatchObject({ ack: 303 })
    await wire.quiet()
    expect(wire.events('logLevel')).toHaveLength(before + 1)
  })

  it('17 S: a command that does not exist is refused by name, and the state stays', async () => {
    await go('DISABLED')
    const { wire } = running
    for (const name of ['enterControl', 'setAuthList', 'abort', 'toString', '__proto__', 'enable.now']) {
      const ack = await wire.command(name)
      expect(ack).toMatchObject({ ack: -302, error: 1, code: 'UNKNOWN_COMMAND', jobIds: [] })
      expect(ack.result).toContain(name)
    }
    expect(await wire.query('state')).toMatchObject({ summaryState: 'DISABLED' })
  })

  const starts = ['STANDBY', 'DISABLED', 'ENABLED'] as const
  const within = starts.flatMap(from => starts.map(to => [from, to] as const))
  it.each(within)('15 S: from %s to %s exactly the planned states are said', async (from, to) => {
    await go(from)
    const before = running.wire.events('summaryState').length
    const planned = (transitionChain(from, to) ?? []).map(({ reaches }) => SUMMARY_STATE[reaches])
    await go(to)
    const after = running.wire.events('summaryState').slice(before)
    expect(after.map(body => body['summaryState'])).toEqual(planned)
  })

  it.each(starts)('15 S: from %s to OFFLINE exactly the planned states are said, and the process ends', async from => {
    const place = makePlace()
    const instance = `OFF_${from}`
    const service = await startService(
      optionsFor(place, { instance, natsUrl: running.service.natsUrl, initialState: from }),
    )
    const wire = await connectWire(service.natsUrl, instance)
    const chain = transitionChain(from, 'OFFLINE') ?? []
    for (const { command } of chain) expect(await wire.command(command)).toMatchObject({ ack: 303 })
    expect(await service.ended).toEqual({ how: 'offline', why: '' })
    expect(wire.events('summaryState').map(body => body['summaryState'])).toEqual(
      chain.map(({ reaches }) => SUMMARY_STATE[reaches]),
    )
    await wire.close()
    place.remove()
  })

  it('19 S: an initial state FAULT or 99 is refused with a sentence, and nothing is left running', async () => {
    const place = makePlace()
    for (const initialState of ['FAULT', '99', 'enabled']) {
      const options = {
        ...optionsFor(place, { instance: 'WRONG', natsUrl: running.service.natsUrl }),
        initialState: initialState as 'STANDBY',
      }
      expect(String(await rejection(startService(options)))).toMatch(
        new RegExp(`initial state.*${initialState}.*STANDBY`),
      )
    }
    place.remove()
  })

  it('an initial state ENABLED is reached through the same states an operator would pass', async () => {
    const place = makePlace()
    const wire = await connectWire(running.service.natsUrl, 'UP')
    const service = await startService(
      optionsFor(place, {
        instance: 'UP',
        natsUrl: running.service.natsUrl,
        initialState: 'ENABLED',
        configurationOverride: 'few.yaml',
      }),
    )
    await wire.quiet()
    expect(wire.events('summaryState').map(body => body['summaryState'])).toEqual([5, 1, 2])
    expect(wire.events('configurationApplied')).toMatchObject([{ configurations: '_init.yaml,few.yaml' }])
    await service.stop()
    // A stop is no exitControl: no OFFLINE is said (salobj on a signal).
    expect(wire.events('summaryState').map(body => body['summaryState'])).toEqual([5, 1, 2])
    await wire.close()
    place.remove()
  })
})

async function expectStateThenAck(command: string, state: number): Promise<void> {
  const from = running.wire.heard.length
  expect(await running.wire.command(command)).toMatchObject({ ack: 303, error: 0, result: 'Done', code: null })
  await running.wire.quiet()
  expect(said(from)).toEqual(['summaryState', 'ack'])
  expect(running.wire.events('summaryState').at(-1)).toMatchObject({ summaryState: state })
}

async function expectRefused(commands: readonly string[], state: SummaryState): Promise<void> {
  const { wire } = running
  await wire.quiet()
  const before = wire.events('summaryState').length
  for (const command of commands) {
    const ack = await wire.command(command, bodies[command] ?? {})
    expect(ack, command).toMatchObject({ ack: -302, error: 1, code: 'WRONG_STATE', jobIds: [] })
    expect(ack.result).toMatch(new RegExp(`^Failed: ${command} is not allowed in state ${state}`))
  }
  await wire.quiet()
  expect(wire.events('summaryState')).toHaveLength(before)
  expect(await wire.query('state')).toMatchObject({ summaryState: state })
}

/** What was heard since, by topic; heartbeats and log messages aside. */
function said(from: number): string[] {
  return running.wire.heard
    .slice(from)
    .map(({ subject }) => (subject.startsWith('ocps.') ? (subject.split('.')[3] ?? '') : 'ack'))
    .filter(topic => topic !== 'heartbeat' && topic !== 'logMessage')
}
