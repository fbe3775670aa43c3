import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { UserError } from '../../src/userError.ts'
import { rejection } from '../bus/eventually.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { makePlace, optionsFor, startChild, startInstance, type Running } from '../conformance/instance.ts'
import { connectWire } from '../conformance/wire.ts'

/*
 * One name, one instance: a second one refuses and says who holds the name (salobj's duplicate check), and takes over
 * soon after the first has died.
 */
let host: Running

const cleanUp = cleanUpAfterAll()
beforeAll(async () => {
  host = await startInstance({ instance: 'HOST', initialState: 'STANDBY' })
  cleanUp(() => host.stop())
})

function options(instance: string) {
  const place = makePlace()
  cleanUp(() => place.remove())
  return optionsFor(place, { instance, natsUrl: host.service.natsUrl })
}

// Most of the time is waiting for a lease: they wait together.
describe.concurrent('a second instance of one name', () => {
  it('in this process or another one refuses to start and says which process on which host holds the name', async () => {
    const began = performance.now()
    const [inside, outside] = await Promise.all([
      rejection(startService(options('HOST'))),
      rejection(startChild(options('HOST'))),
    ])
    expect(inside).toBeInstanceOf(UserError)
    for (const refusal of [inside, outside]) {
      expect(String(refusal)).toContain('an instance named HOST is running already')
      expect(String(refusal)).toContain(`process ${process.pid} on ${hostname()}`)
    }
    expect(performance.now() - began).toBeLessThan(30_000)
    expect(await host.wire.query('state')).toMatchObject({ summaryState: 'STANDBY', pid: process.pid })
  })

  it('takes over within five seconds when the first one was killed, and goes on in its state', async () => {
    const given = options('HEIR')
    const first = await startChild(given)
    await first.kill('SIGKILL')
    const began = performance.now()
    const second = await startService(given)
    expect(performance.now() - began).toBeLessThan(20_000)
    const wire = await connectWire(host.service.natsUrl, 'HEIR')
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED' })
    await wire.close()
    await second.stop()
  })

  it('starts at once when the first one was stopped', async () => {
    const given = options('NEXT')
    const first = await startChild(given)
    await first.kill('SIGTERM')
    expect(first.lastWord()).toEqual({ ended: 'stopped' })
    const began = performance.now()
    const second = await startService(given)
    expect(performance.now() - began).toBeLessThan(15_000)
    await second.stop()
  })

  it('on the same folder with a server of its own is refused too, and the first one goes on', async () => {
    const place = makePlace()
    cleanUp(() => place.remove())
    const own = optionsFor(place, { instance: 'OWN' })
    const first = await startService(own)
    expect(String(await rejection(startService(own)))).toMatch(/in use|running|holds/)
    const wire = await connectWire(first.natsUrl, 'OWN')
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED' })
    await wire.close()
    await first.stop()
  })

  it("in the same folder with another server is refused, and the first one's jobs are not touched", async () => {
    const running = await startInstance({ instance: 'HOME' })
    const place = makePlace()
    cleanUp(() => place.remove())
    try {
      const gate = running.place.gate()
      const data = { dataId: { obsid: 'E' }, pipeline: 'hold', overrides: { gate: gate.path } }
      const { jobIds } = await running.wire.command('processData', data)
      await running.wire.event('jobState', ({ state }) => state === 'running')
      const elsewhere = optionsFor(place, {
        instance: 'HOME',
        natsUrl: host.service.natsUrl,
        dataDir: running.place.dataDir,
      })
      for (const options of [elsewhere, { ...elsewhere, standby: true }]) {
        const refusal = await rejection(startService(options))
        expect(refusal).toBeInstanceOf(UserError)
        expect(String(refusal)).toContain(`${join(running.place.dataDir, 'work')} is in use by process ${process.pid}`)
      }
      gate.open()
      expect(await running.wire.result(jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    } finally {
      await running.stop()
    }
  })

  it.each(['', 'a b', 'a.b', '../x', 'x'.repeat(33), 'caf\u00e9', '>'])(
    'the name %j is refused with a sentence',
    async instance => {
      const refusal = await rejection(startService({ ...options('HOST'), instance }))
      expect(refusal).toBeInstanceOf(UserError)
      expect(String(refusal)).toMatch(/1 to 32 letters/)
    },
  )
})
