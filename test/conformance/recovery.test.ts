import { describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { makePlace, optionsFor, startChild, startInstance } from './instance.ts'
import { connectWire, must } from './wire.ts'

/*
 * What was accepted survives the process: kill -9 right after the acknowledgement, start again on the same data, and
 * count on the wire. The server is another process that stays, so one observer sees both lives.
 */
const dataId = (seqNum: number) => ({ obsid: `AT_O_20261122_${String(seqNum).padStart(6, '0')}` })

// Most of the time is waiting for the lease of the one that was killed: they wait together.
describe.concurrent('recovery', () => {
  it('91 B: after kill -9 running jobs are taken up again, queued ones run, settled ones stay settled, one result each', async () => {
    const host = await startInstance({ instance: 'HOST', initialState: 'STANDBY' })
    const place = makePlace()
    const options = optionsFor(place, {
      instance: 'PHOENIX',
      natsUrl: host.service.natsUrl,
      configurationOverride: 'few.yaml',
    })
    const wire = await connectWire(host.service.natsUrl, 'PHOENIX')
    const first = await startChild(options)
    const submit = async (pipeline: string, more: object = {}) =>
      must((await wire.command('processData', { dataId: dataId(1), pipeline, ...more })).jobIds[0])

    const settled = [await submit('true'), await submit('fail')]
    for (const jobId of settled) await wire.result(jobId)
    const gate = place.gate()
    const running = [
      await submit('hold', { overrides: { gate: gate.path } }),
      await submit('hold', { overrides: { gate: gate.path } }),
    ]
    for (const jobId of running)
      await wire.event('jobState', body => body['jobId'] === jobId && body['state'] === 'running')
    const queued = [await submit('true'), await submit('poor')]
    // The very last command: killed as soon as its acknowledgement is here.
    const last = wire.send(
      'processData',
      { dataId: dataId(2), pipeline: 'true', after: [must(running[0])] },
      { id: 'last-words' },
    )
    queued.push(must((await last.final).jobIds[0]))
    await first.kill('SIGKILL')

    const second = await startChild(options)
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED', queue: { running: 2 } })
    // Sent again, as a client that got no answer would: executed once, the same answer.
    expect(
      await wire.command(
        'processData',
        { dataId: dataId(2), pipeline: 'true', after: [running[0]] },
        { id: 'last-words' },
      ),
    ).toMatchObject({ ack: 303, jobIds: [queued[2]] })
    gate.open()
    for (const jobId of [...running, ...queued])
      expect(await wire.result(jobId)).toMatchObject({ outcome: { kind: 'succeeded' }, attempt: 1 })
    await wire.quiet()
    for (const jobId of [...settled, ...running, ...queued])
      expect(wire.events('jobResult', jobId), jobId).toHaveLength(1)
    expect(wire.events('jobResult')).toHaveLength(7)
    expect((await wire.retained()).get(`jobResult.${settled[1]}`)).toMatchObject({
      outcome: { kind: 'failed', exitCode: 7 },
    })
    await wire.close()
    await second.kill('SIGTERM')
    expect(second.lastWord()).toEqual({ ended: 'stopped' })
    place.remove()
    await host.stop()
  })

  it('a hundred commands in flight when the process is killed: whatever was acknowledged is done, everything at most once', async () => {
    const host = await startInstance({ instance: 'HOST', initialState: 'STANDBY' })
    const place = makePlace()
    const options = optionsFor(place, { instance: 'STORM', natsUrl: host.service.natsUrl })
    const wire = await connectWire(host.service.natsUrl, 'STORM')
    const first = await startChild(options)
    const body = (index: number) => ({ dataId: dataId(index), pipeline: 'true' })
    const asked = Array.from({ length: 100 }, (_, index) =>
      wire.send('processData', body(index), { id: `storm-${index}` }),
    )
    await eventually('half of them are acknowledged', () => asked.filter(({ acks }) => acks.length > 0).length >= 50)
    await first.kill('SIGKILL')
    const acknowledged = new Map(asked.flatMap(({ id, acks: [ack] }) => (ack ? [[id, ack.jobIds] as const] : [])))

    const second = await startChild(options)
    const again = await Promise.all(asked.map(({ id }, index) => wire.command('processData', body(index), { id })))
    for (const [index, ack] of again.entries()) {
      expect(ack).toMatchObject({ ack: 303 })
      const before = acknowledged.get(`storm-${index}`)
      if (before) expect(ack.jobIds).toEqual(before)
    }
    for (const ack of again) await wire.result(ack.jobIds[0])
    await wire.quiet()
    expect(new Set(again.map(({ jobIds }) => jobIds[0])).size).toBe(100)
    const results = wire.events('jobResult').map(result => result['jobId'])
    expect(new Set(results).size).toBe(100)
    await wire.close()
    await second.kill('SIGTERM')
    place.remove()
    await host.stop()
  })

  it('a service with a server of its own, killed, starts again on the same folder with what it had', async () => {
    const place = makePlace()
    const options = optionsFor(place)
    const first = await startChild(options)
    const wire = await connectWire(first.natsUrl, 'LATISS')
    const gate = place.gate()
    const { jobIds } = await wire.command('processData', {
      dataId: dataId(1),
      pipeline: 'hold',
      overrides: { gate: gate.path },
    })
    await wire.close()
    await first.kill('SIGKILL')
    const service = await startService(options)
    const after = await connectWire(service.natsUrl, 'LATISS')
    gate.open()
    expect(await after.result(jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' }, attempt: 1 })
    await after.close()
    await service.stop()
    place.remove()
  })
})
