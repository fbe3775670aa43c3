import { expect, test } from 'vitest'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { createNight, type Night } from '../night.ts'

/** Enough work that the engine writes down that it is quiet: some six entries a job. */
async function busyEvening(night: Night, jobs = 200): Promise<string[]> {
  await night.enable()
  const ids: string[] = []
  for (let at = 0; at < jobs; at++) {
    const ack = await night.command(
      'processData',
      { dataId: { obsid: `E${at}` }, pipeline: 'quicklook' },
      { id: `m${at}` },
    )
    const [jobId = ''] = ack?.jobIds ?? []
    ids.push(jobId)
    await night.succeeds(jobId)
    for (let metrics = 0; metrics < 3; metrics++) await night.advance(1)
    await night.command('setLogLevel', { level: 10 + (at % 2) * 10 }, { id: `l${at}` })
    await night.command('setLogLevel', { level: 20 - (at % 2) * 10 }, { id: `k${at}` })
  }
  return ids
}

const quiescent = (night: Night) => night.entries().filter(({ what }) => what.type === 'engine.quiescent')

test('an instance that is quiet after much work writes down what is left, once', async () => {
  const night = await createNight()
  await busyEvening(night)
  expect(quiescent(night)).toHaveLength(1)
})

test('begun from the quiescent entry, an instance is in the same state and goes on the same way', async () => {
  const night = await createNight()
  const ids = await busyEvening(night)
  await night.command('pause', {}, { id: 'p' })
  await night.command('disable', {}, { id: 'd' })
  const from = night.journal.lines.findLastIndex(line => line.includes('engine.quiescent'))
  expect(from).toBeGreaterThan(1_000)

  // One begins with everything, the other with nothing but what follows the quiescent entry.
  const whole = await createNight({ journal: createMemoryJournal(night.entries()), clock: night.clock })
  expect(whole.state('csc')).toBe(night.state('csc'))
  for (const one of [night, whole]) {
    await one.command('enable', {}, { id: 'e' })
    expect(one.state('queue')).toBe('open.paused')
    await one.command('resume', {}, { id: 'r' })
    const after = await one.command(
      'processData',
      { dataId: { obsid: 'X' }, pipeline: 'quicklook', after: [ids.at(-1)] },
      { id: 'after' },
    )
    expect(after).toMatchObject({ ack: 303 })
    await one.succeeds(after?.jobIds[0] ?? '')
    expect(one.events('jobResult', after?.jobIds[0])).toHaveLength(1)
  }
})

test('a command sent again after a restart from a quiescent entry is answered, not executed', async () => {
  const night = await createNight()
  await busyEvening(night)
  const before = night.acks('m199').at(-1)
  await night.restart()
  const again = await night.command('processData', { dataId: { obsid: 'E199' }, pipeline: 'quicklook' }, { id: 'm199' })
  expect(again).toEqual(before)
  // Six hundred commands before the mark.
  const first = await night.command('processData', { dataId: { obsid: 'E0' }, pipeline: 'quicklook' }, { id: 'm0' })
  expect(first).toEqual(night.acks('m0')[0])
  expect(night.events('jobResult').filter(({ dataId }) => dataId.obsid === 'E0')).toHaveLength(1)
  expect([...night.engine().world.actors('job')]).toEqual([])
})

test('ended under load it writes the digests of everything that was taken in, in order', async () => {
  const night = await createNight()
  await night.enable()
  for (let at = 0; at < 1_200; at++) night.send('setLogLevel', { level: 10 + (at % 2) * 10 })
  await night.engine().finish()
  const digests = night.entries().flatMap(({ what }) => (what.type === 'engine.said' ? what.digests : []))
  const numbers = digests.map(([n]) => n)
  expect(numbers).toEqual([...numbers].sort((one, other) => one - other))
  expect(numbers.at(-1)).toBe(night.entries().findLast(({ door }) => door === 'command')?.n)
})

test('what was said is in the journal as digests, and the same journal says the same', async () => {
  const night = await createNight()
  await busyEvening(night)
  const digests = night.entries().flatMap(({ what }) => (what.type === 'engine.said' ? what.digests : []))
  expect(digests.length).toBeGreaterThan(500)
  expect(new Set(digests.map(([n]) => n)).size).toBe(digests.length)
})
