import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../bus/eventually.ts'
import { startInstance, type Running } from './instance.ts'

/*
 * How `start` reads its configuration, as salobj layers it (configurable_csc.py): what is refused leaves the CSC in
 * STANDBY and nothing applied.
 */
let running: Running

beforeAll(async () => {
  running = await startInstance({ initialState: 'STANDBY', site: 'summit' })
})
afterAll(() => running.stop())
beforeEach(toStandby)

async function toStandby(): Promise<void> {
  const { wire } = running
  const { summaryState } = await wire.query('state')
  if (summaryState === 'ENABLED') await wire.command('disable')
  if (summaryState !== 'STANDBY') await wire.command('standby')
}

function write(name: string, text: string): void {
  writeFileSync(join(running.place.configDir, name), text)
}

/** start is refused with this sentence; the state stays 5 and nothing is applied. */
async function expectStartRefused(configurationOverride: string, code: string, sentence: RegExp): Promise<void> {
  const { wire } = running
  await wire.quiet()
  const before = { applied: wire.events('configurationApplied').length, states: wire.events('summaryState').length }
  const ack = await wire.command('start', { configurationOverride })
  expect(ack).toMatchObject({ ack: -302, error: 1, code })
  expect(ack.result).toMatch(sentence)
  await wire.quiet()
  expect(wire.events('configurationApplied')).toHaveLength(before.applied)
  expect(wire.events('summaryState')).toHaveLength(before.states)
  expect(await wire.query('state')).toMatchObject({ summaryState: 'STANDBY' })
}

describe('configuration', () => {
  it('55 S: configurations that did not change are said once, and configurationApplied with every start', async () => {
    const { wire } = running
    const before = {
      available: wire.events('configurationsAvailable').length,
      applied: wire.events('configurationApplied').length,
    }
    for (let round = 0; round < 2; round += 1) {
      expect(await wire.command('start')).toMatchObject({ ack: 303 })
      await toStandby()
    }
    await wire.quiet()
    expect(wire.events('configurationsAvailable')).toHaveLength(before.available)
    expect(wire.events('configurationApplied')).toHaveLength(before.applied + 2)
  })

  it('33 S: start with an override that is not there is refused by name, state 5, nothing applied; a good start works then', async () => {
    await expectStartRefused('nowhere.yaml', 'CONFIGURATION_INVALID', /nowhere\.yaml.*there are few\.yaml/)
    expect(await running.wire.command('start')).toMatchObject({ ack: 303 })
  })

  it('35 S: an override whose name begins with _ is refused, and so is one that is a path', async () => {
    await expectStartRefused('_init.yaml', 'MALFORMED', /does not begin with _/)
    await expectStartRefused('../_init.yaml', 'MALFORMED', /name of an override file/)
    await expectStartRefused('/etc/passwd', 'MALFORMED', /name of an override file/)
  })

  it('37 S: an override changes the fields it names, the site layer others, and the rest is as in _init.yaml', async () => {
    write('_summit.yaml', 'slots: 11\nqueueDepth: 77\n')
    write('night.yaml', 'slots: 7\ngroups: { patience: 5 }\n')
    const { wire } = running
    expect(await wire.command('start', { configurationOverride: 'night.yaml' })).toMatchObject({ ack: 303 })
    const applied = wire.events('configurationApplied').at(-1)
    expect(applied).toMatchObject({ configurations: '_init.yaml,_summit.yaml,night.yaml' })
    expect(await wire.query('state')).toMatchObject({ queue: { slots: 7, mode: 'async' } })
    await toStandby()
    expect(await wire.command('start')).toMatchObject({ ack: 303 })
    expect(await wire.query('state')).toMatchObject({ queue: { slots: 11, mode: 'async' } })
    rmSync(join(running.place.configDir, '_summit.yaml'))
    rmSync(join(running.place.configDir, 'night.yaml'))
  })

  it('39 S: an override file added in STANDBY is said within two seconds, and one added in DISABLED is not said', async () => {
    const { wire } = running
    write('added.yaml', 'slots: 3\n')
    const began = Date.now()
    await wire.event('configurationsAvailable', ({ overrides }) => String(overrides).startsWith('added.yaml,'))
    expect(Date.now() - began).toBeLessThan(10_000)
    await wire.command('start')
    write('unseen.yaml', 'slots: 3\n')
    await heartbeats(2)
    expect(
      wire.events('configurationsAvailable').filter(({ overrides }) => String(overrides).includes('unseen')),
    ).toEqual([])
    await toStandby()
    await wire.event('configurationsAvailable', ({ overrides }) => String(overrides).includes('unseen'))
  })

  it('a pipeline added while ENABLED is said to be there, refused until reload, then run; jobs that are open go on', async () => {
    const { wire, place } = running
    const gate = place.gate()
    await wire.command('start')
    await wire.command('enable')
    const hold = { dataId: { obsid: 'A' }, pipeline: 'hold', overrides: { gate: gate.path } }
    const { jobIds } = await wire.command('processData', hold)
    await wire.event('jobState', ({ jobId, state }) => jobId === jobIds[0] && state === 'running')
    const applied = wire.events('configurationApplied').length
    const said = wire.events('configurationsAvailable').length
    const { configurationVersion: before } = await wire.query('state')
    write('pipelines/fresh.yaml', 'description: fresh\nscope: exposure\ncommand: [/bin/true]\ntimeLimit: 9\n')
    await eventually('the new file is noticed', () => wire.events('configurationsAvailable').length > said)
    expect(await wire.query('state')).toMatchObject({ isReloadDue: true, configurationVersion: before })
    const fresh = { dataId: { obsid: 'B' }, pipeline: 'fresh' }
    const refused = await wire.command('processData', fresh)
    expect(refused).toMatchObject({ ack: -302, code: 'UNKNOWN_PIPELINE' })
    expect(refused.result).toContain('pipelines/fresh.yaml is there and not applied yet')

    expect(await wire.command('reload')).toMatchObject({ ack: 303 })
    await wire.quiet()
    expect(wire.events('configurationApplied')).toHaveLength(applied + 1)
    expect(await wire.query('state')).toMatchObject({ isReloadDue: false })
    const second = await wire.command('processData', fresh)
    expect(await wire.result(second.jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    gate.open()
    expect(await wire.result(jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    rmSync(join(place.configDir, 'pipelines/fresh.yaml'))
  })

  it('43 B: a value out of its range, an unknown key and a file that is no YAML are refused naming file and key', async () => {
    write('zero.yaml', 'slots: 0\n')
    write('unknown.yaml', 'instances: []\n')
    write('nested.yaml', 'groups: { policy: perhaps }\n')
    write('scalar.yaml', 'groups: 3\n')
    write('broken.yaml', 'slots: [1\n')
    await expectStartRefused('zero.yaml', 'CONFIGURATION_INVALID', /zero\.yaml: slots: /)
    await expectStartRefused('unknown.yaml', 'CONFIGURATION_INVALID', /unknown\.yaml: instances: unknown field/)
    await expectStartRefused('nested.yaml', 'CONFIGURATION_INVALID', /nested\.yaml: groups\.policy: .*partial/)
    await expectStartRefused('scalar.yaml', 'CONFIGURATION_INVALID', /scalar\.yaml: groups: a map is expected/)
    await expectStartRefused('broken.yaml', 'CONFIGURATION_INVALID', /broken\.yaml is not YAML/)
  })

  it('43 B: fewer slots than one pipeline takes are refused naming both files, and the CSC stays in STANDBY', async () => {
    write('one.yaml', 'slots: 1\n')
    write('pipelines/wide.yaml', 'description: wide\nscope: exposure\ncommand: [/bin/true]\ntimeLimit: 1\nslots: 2\n')
    await expectStartRefused('one.yaml', 'CONFIGURATION_INVALID', /pipelines\/wide\.yaml: slots: .*one\.yaml/)
    rmSync(join(running.place.configDir, 'pipelines/wide.yaml'))
  })
})

/** So many beats from now; the configuration's files are looked at with each. */
async function heartbeats(count: number): Promise<void> {
  const { wire } = running
  const from = wire.events('heartbeat').length
  await eventually(`${count} heartbeats`, () => wire.events('heartbeat').length >= from + count)
  await wire.quiet()
}
