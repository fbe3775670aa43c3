import { afterEach, describe, expect, test } from 'vitest'
import { CommandRefused, deriveGroupId, newGroupId } from '../../src/client/index.ts'
import { createStream } from '../../src/client/stream.ts'
import { aResult, type Fake, fakeInstance, type FakeOptions } from './fakeInstance.ts'

const open: Fake[] = []
afterEach(async () => {
  for (const { ocps } of open.splice(0)) await ocps.close()
})
function fake(options: FakeOptions): Fake {
  const one = fakeInstance(options)
  open.push(one)
  return one
}
const exposure = { dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'look' }
const metric = (jobId: string, name: string, value: number) => ({
  at: 0,
  jobId,
  dataId: aResult(jobId).dataId,
  pipeline: 'look',
  metric: name,
  value,
  unit: 'arcsec',
})

describe('a job', () => {
  test('has every metric of its result once, whether its telemetry came before, after, or never', async () => {
    const { ocps, say, to } = fake({ answer: () => [{ jobIds: ['j1'] }] })
    const job = await ocps.processData(exposure)
    say(to.telemetry('metric', 'j1'), metric('j1', 'fwhm', 1.2))
    say(to.telemetry('metric', 'j1'), metric('j1', 'fwhm', 1.3))
    say(
      to.event('jobResult', 'j1'),
      aResult('j1', {
        metrics: [
          { metric: 'fwhm', value: 1.3, unit: 'arcsec' },
          { metric: 'missed', value: 7, unit: '' },
        ],
      }),
    )
    say(to.telemetry('metric', 'j1'), metric('j1', 'missed', 7))
    expect((await collect(job.metrics)).map(({ metric: name, value }) => [name, value])).toEqual([
      ['fwhm', 1.2],
      ['fwhm', 1.3],
      ['missed', 7],
    ])
  })

  test('whose first metrics and result come before its acknowledgement misses nothing', async () => {
    const one: Fake = fake({
      answer() {
        one.say(one.to.telemetry('metric', 'j1'), metric('j1', 'early', 1))
        one.say(one.to.event('jobResult', 'j1'), aResult('j1'))
        return [{ jobIds: ['j1'] }]
      },
    })
    const job = await one.ocps.processData(exposure)
    expect((await job.result).jobId).toBe('j1')
    expect((await collect(job.metrics)).map(({ metric: name }) => name)).toEqual(['early'])
  })

  test('in synchronous mode is there with the first INPROGRESS, and its failure is an outcome', async () => {
    const { ocps, say, to } = fake({ answer: () => [{ ack: 301, jobIds: ['j1'], timeout: 20 }] })
    const job = await ocps.processData(exposure)
    expect(job.acknowledged.ack).toBe(301)
    const outcome = { ...aResult('j1').outcome, kind: 'failed' as const }
    say(to.event('jobResult', 'j1'), aResult('j1', { outcome }))
    expect((await job.result).outcome.kind).toBe('failed')
  })

  test('whose result was said while the server was away is asked for when it is back', async () => {
    let settled = false
    const { ocps, network } = fake({
      answer: () => [{ jobIds: ['j1'] }],
      query: () => (settled ? { ...aResult('j1'), state: 'settled', result: aResult('j1') } : { result: null }),
    })
    const job = await ocps.processData(exposure)
    network.disconnect()
    settled = true
    network.reconnect()
    expect((await job.result).outcome.kind).toBe('succeeded')
  })

  test('that is still awaited when the client closes is rejected, and its metrics end', async () => {
    const { ocps } = fake({ answer: () => [{ jobIds: ['j1'] }] })
    const job = await ocps.processData(exposure)
    await ocps.close()
    await expect(job.result).rejects.toMatchObject({ code: 'CLOSED' })
    expect(await collect(job.metrics)).toEqual([])
  })
})

describe('a command', () => {
  test('that is not answered is sent again under the same id', async () => {
    const { ocps, heard } = fake({ answer: (_name, before) => (before === 0 ? [] : [{}]) })
    await ocps.command('enable', {})
    expect(heard.map(({ name }) => name)).toEqual(['enable', 'enable'])
    expect(new Set(heard.map(({ id }) => id)).size).toBe(1)
  })

  test('keeps the id it was given', async () => {
    const { ocps, heard } = fake({ answer: () => [{}] })
    await ocps.command('enable', {}, { id: 'mine' })
    expect(heard[0]?.id).toBe('mine')
  })

  test('waits as long as INPROGRESS promises, beyond its own time', async () => {
    const one: Fake = fake({ answer: (_name, before) => (before === 0 ? [{ ack: 301, timeout: 5 }] : [{}]) })
    expect((await one.ocps.command('enable', {}, { timeoutMs: 300 })).ack).toBe(303)
  })

  test('that is refused throws what it was told', async () => {
    const { ocps } = fake({
      answer: () => [{ ack: -302, error: 1, code: 'WRONG_STATE', result: 'Failed: enable is not allowed in STANDBY' }],
    })
    const error = await ocps.command('enable', {}).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CommandRefused)
    expect(error).toMatchObject({
      code: 'WRONG_STATE',
      message: 'enable was refused (WRONG_STATE): enable is not allowed in STANDBY',
    })
  })

  test('to nobody is NOACK within the time given, and so is one that is never answered', async () => {
    const { ocps, network } = fake({ answer: () => [] })
    await expect(ocps.command('enable', {}, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'NOACK' })
    const { createOcps } = await import('../../src/client/ocps.ts')
    const stranger = createOcps({ bus: network.connect('x'), instance: 'OTHER', identity: 'test' })
    await expect(stranger.command('enable', {}, { timeoutMs: 200 })).rejects.toThrow('no instance named OTHER answers')
    await stranger.close()
  })
})

describe('a group', () => {
  test('that refuses after INPROGRESS, as it may in synchronous mode, rejects its result', async () => {
    const { ocps } = fake({
      answer: () => [
        { ack: 301, timeout: 20 },
        { ack: -302, error: 1, code: 'UNKNOWN_GROUP', result: 'Failed: no such group' },
      ],
    })
    const group = await ocps.closeGroup('G')
    await expect(group.result).rejects.toMatchObject({ code: 'UNKNOWN_GROUP' })
  })

  test('says its states until its result', async () => {
    const { ocps, say, to } = fake({ answer: () => [{}] })
    const group = await ocps.processData({ dataId: { group: '2026-11-22T22:59:05.721#1' }, pipeline: 'stack' })
    const key = group.group
    say(to.event('groupState', key), { group: key, state: 'closing' })
    say(to.event('groupState', key), { group: key, state: 'gathering' })
    say(to.event('groupResult', key), { group: key, outcome: 'complete' })
    expect((await collect(group.states)).map(({ state }) => state)).toEqual(['closing', 'gathering'])
    expect((await group.result).outcome).toBe('complete')
  })
})

describe('an image', () => {
  const image = (changes: object) => ({
    camera: 'LATISS',
    obsid: 'AT_O_20261122_000017',
    raft: 'R00',
    sensor: 'S00',
    statusCode: 0,
    description: 'file ingested',
    ...changes,
  })
  const subject = 'oods.ATOODS.evt.imageInOODS'

  test('that was ingested before it is asked for is known', async () => {
    const { ocps, say, network } = fake({ answer: () => [] })
    say(subject, image({}))
    await network.settle()
    expect((await ocps.waitForImage('AT_O_20261122_000017')).sensor).toBe('S00')
  })

  test('is awaited by detector number or name', async () => {
    const { ocps, say } = fake({ answer: () => [] })
    const byNumber = ocps.waitForImage('AT_O_20261122_000017', { detector: 4 })
    const byName = ocps.waitForImage('AT_O_20261122_000017', { detector: 'R22_S11' })
    say(subject, image({ detector: 3 }))
    say(subject, image({ detector: 4, sensor: 'S02' }))
    say(subject, image({ raft: 'R22', sensor: 'S11' }))
    expect((await byNumber).sensor).toBe('S02')
    expect((await byName).raft).toBe('R22')
  })

  test('that could not be ingested rejects with the reason, also under its numeric exposure id', async () => {
    const { ocps, say } = fake({ answer: () => [] })
    const waiting = ocps.waitForImage('AT_O_20261122_000017')
    say(subject, image({ obsid: '2026112200017', statusCode: 1, description: 'ingest failure: disk full' }))
    await expect(waiting).rejects.toThrow('ingest failure: disk full')
  })

  test('that never comes is said with the failures heard that name no exposure', async () => {
    const { ocps, say, network } = fake({ answer: () => [] })
    say(
      subject,
      image({ obsid: '??', raft: 'R??', sensor: 'S??', statusCode: 2, description: 'metadata failure: no header' }),
    )
    await network.settle()
    await expect(ocps.waitForImage('AT_O_20261122_000018', { timeoutMs: 20 })).rejects.toThrow(
      /AT_O_20261122_000018 was not ingested within 0.02 s; 1 failures that do not name an exposure were heard: \?\? R\?\? S\?\? \(metadata failure: no header\)/,
    )
  })
})

describe('group ids', () => {
  test('a thousand sub-groups of one group are a thousand different groups, counted from 1', () => {
    const ids = Array.from({ length: 1_000 }, () => deriveGroupId('2020-01-17T22:59:05.721'))
    expect(new Set(ids).size).toBe(1_000)
    expect(ids[0]).toBe('2020-01-17T22:59:05.721#1')
    expect(ids[999]).toBe('2020-01-17T22:59:05.721#1000')
    expect(deriveGroupId('another')).toBe('another#1')
    expect(() => deriveGroupId('')).toThrow('a sub-group needs the id of its group')
  })

  test('a new group is a moment in TAI, 37 s ahead of UTC, and never the same twice', () => {
    const at = Date.UTC(2100, 0, 1)
    expect(newGroupId(at)).toBe('2100-01-01T00:00:37.000')
    expect(newGroupId(at)).toBe('2100-01-01T00:00:37.001')
  })
})

test('a stream of which nobody takes anything holds the newest up to its bound, and says what it dropped', async () => {
  const dropped: number[] = []
  const stream = createStream<number>({ waitingMax: 3, onDrop: value => dropped.push(value) })
  for (const value of [1, 2, 3, 4, 5]) stream.push(value)
  stream.end()
  expect(await collect(stream)).toEqual([3, 4, 5])
  expect(dropped).toEqual([1, 2])
})

test('live events are decoded, and end with the client', async () => {
  const { ocps, say, to } = fake({ answer: () => [] })
  const events = collect(ocps.events('groupState'))
  say(to.event('groupState', 'G.1#2'), { at: 5, group: 'G.1#2', state: 'open' })
  say(to.event('summaryState'), { at: 6, summaryState: 2 })
  await open[0]?.network.settle()
  await ocps.close()
  expect(await events).toEqual([{ topic: 'groupState', key: 'G.1#2', at: 5, body: { group: 'G.1#2', state: 'open' } }])
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
