import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryNetwork } from '../src/bus/memory.ts'
import { connectNats } from '../src/bus/nats.ts'
import { createGate } from '../src/instance/gate.ts'
import { countReconnects } from '../src/instance/reconnects.ts'
import { type Observe, OBSERVATIONS } from '../src/observer.ts'
import { eventually } from './bus/eventually.ts'
import { startInstance } from './conformance/instance.ts'
import { createNight } from './night.ts'

/* What can be counted and timed is counted and timed: no entry of the map is dead. */

interface Noted {
  readonly observe: Observe
  /** All values of a name added up, with this label if one is given. */
  sum(name: keyof typeof OBSERVATIONS, label?: string): number
  names(): string[]
}

function noting(): Noted {
  const all: { name: string; value: number; label: string | undefined }[] = []
  return {
    observe: (name, value, ...label) => void all.push({ name, value, label: (label as readonly string[])[0] }),
    sum: (name, label) =>
      all
        .filter(one => one.name === name && (label === undefined || one.label === label))
        .reduce((sum, { value }) => sum + value, 0),
    names: () => [...new Set(all.map(({ name }) => name))],
  }
}

test('a night in memory is counted: commands by their answer, jobs by their outcome, entries by their appends', async () => {
  const noted = noting()
  const night = await createNight({ observe: noted.observe })
  await night.enable()
  const done = await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'quicklook' })
  const failing = await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook' })
  await night.command('processData', { dataId: { obsid: 'E3' }, pipeline: 'nowhere' })
  const [first = ''] = done?.jobIds ?? []
  const [second = ''] = failing?.jobIds ?? []
  await night.succeeds(first)
  await night.started(second)
  await night.exited(second, { exitCode: 1 })

  expect(noted.sum('commandsAccepted')).toBe(4)
  expect(noted.sum('commandsRefused', 'UNKNOWN_PIPELINE')).toBe(1)
  expect(noted.sum('jobsStarted')).toBe(2)
  expect(noted.sum('jobsSettled', 'succeeded')).toBe(1)
  expect(noted.sum('jobsSettled', 'failed')).toBe(1)
  expect(noted.sum('journalBatchEntries')).toBe(night.entries().length)
  expect(noted.sum('announcementsSaid')).toBe(night.said.length)
  expect(noted.sum('announcementsSaid', 'ack')).toBe(night.said.filter(one => one.announcement.type === 'ack').length)
})

test('a command that is sent again, or under an id that is taken, is accepted once', async () => {
  const noted = noting()
  const night = await createNight({ observe: noted.observe })
  await night.enable()
  const before = noted.sum('commandsAccepted')
  await night.command('pause', {}, { id: 'again' })
  await night.command('pause', {}, { id: 'again' })
  await night.command('resume', {}, { id: 'again' })
  expect(noted.sum('commandsAccepted') - before).toBe(1)
  expect(noted.sum('commandsRefused', 'ID_REUSED')).toBe(1)
})

test('in a real instance everything that can be counted or timed is, at least once', { timeout: 60_000 }, async () => {
  const noted = noting()
  const running = await startInstance({ observe: noted.observe })
  onTestFinished(() => running.stop())
  const { wire, service } = running
  const gate = running.place.gate()
  const held = await wire.command('processData', {
    dataId: { obsid: 'AT_O_20261122_000001' },
    pipeline: 'hold',
    overrides: { gate: gate.path },
  })
  await wire.event('jobState', body => body['jobId'] === held.jobIds[0] && body['state'] === 'running')
  await wire.command('processData', { dataId: { obsid: 'AT_O_20261122_000002' }, pipeline: 'nowhere' })
  const stranger = await connectNats({ url: service.natsUrl, name: 'stranger' })
  onTestFinished(() => stranger.close())
  stranger.publish('ocps.LATISS.journal', 'no journal wrote this')
  const launcher = Number(readdirSync(join(service.workDir, '.ledger'))[0]?.split('-')[1])
  process.kill(launcher, 'SIGKILL')
  gate.open()
  await wire.event('jobResult', body => body['jobId'] === held.jobIds[0])
  await eventually('a launcher died', () => noted.sum('launcherDeaths') > 0)
  await wire.command('pause', {})
  await eventually('the message of a stranger was met', () => noted.sum('foreignMessages') > 0)
  await eventually('a heartbeat left', () => noted.names().includes('heartbeatLateMs'))

  // What a healthy instance never meets, from the parts that do.
  await loseAndTakeTheLease(noted.observe)
  await loseTheServer(noted.observe)

  expect(noted.names().toSorted()).toEqual(Object.keys(OBSERVATIONS).toSorted())
  expect(noted.sum('gateWaits')).toBeGreaterThanOrEqual(1)
  expect(noted.sum('leaseLapses')).toBe(1)
  expect(noted.sum('busReconnects')).toBe(1)
})

async function loseAndTakeTheLease(observe: Observe): Promise<void> {
  const lease = { sure: true, lapses: 0 }
  const gate = createGate({
    lease: { isSure: () => lease.sure, lapses: () => lease.lapses },
    isOurs: () => Promise.resolve(true),
    onLost: () => {},
    observe,
  })
  lease.lapses = 1
  await new Promise<void>(resolve => gate.whenSure(resolve))
}

async function loseTheServer(observe: Observe): Promise<void> {
  const network = createMemoryNetwork()
  const bus = network.connect('counted')
  countReconnects(bus, observe)
  network.disconnect()
  network.reconnect()
  await bus.close()
}
