import { expect, test } from 'vitest'
import { createNight } from '../night.ts'

/*
 * A journal that ends before numbers that were given out already: an older copy, or its end was lost.
 */
test('numbers known to be taken are not given out again, and what is open goes on', async () => {
  const night = await createNight()
  await night.command('start')
  await night.command('enable')
  const open = await night.command('processData', { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'quicklook' })
  const { length } = night.entries()
  await night.restart({ numbersAfter: 5_000 })

  const [mark, started] = night.entries().slice(length)
  expect(mark).toMatchObject({ n: 5_001, what: { type: 'engine.checkpoint', part: 1, of: 1, format: 1 } })
  expect(started).toMatchObject({ n: 5_002, what: { type: 'engine.started' } })
  const next = await night.command('processData', { dataId: { obsid: 'AT_O_20261122_000002' }, pipeline: 'quicklook' })
  expect(next?.jobIds).toEqual(['20261122-005003'])

  await night.restart()
  const [jobId = ''] = open?.jobIds ?? []
  await night.succeeds(jobId)
  expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'succeeded' } }])
})

test('numbers that the journal knows of already change nothing', async () => {
  const night = await createNight()
  await night.command('start')
  const { length } = night.entries()
  await night.restart({ numbersAfter: length })
  expect(night.entries()[length]).toMatchObject({ n: length + 1, what: { type: 'engine.started' } })
})
