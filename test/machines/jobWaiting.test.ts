import { expect, test } from 'vitest'
import type { Prerequisite } from '../../machines/domain/commands.ts'
import { dataName, fallsShort, howEnded, without } from '../../machines/jobWaiting.ts'
import { broke, ended, neverWas, outcome } from './endings.ts'

const awaiting = (...awaited: readonly Prerequisite[]) => ({ awaited })

test('a job that must succeed falls short when it failed, broke or is unknown; one that must only settle never does', () => {
  const success = awaiting({ jobId: 'a', requires: 'success' })
  const settled = awaiting({ jobId: 'a', requires: 'settled' })
  const short = [ended('a', outcome('failed')), broke('a'), neverWas('a')]
  for (const { address, end } of short) {
    expect(fallsShort(success, address, end)).toBe(true)
    expect(fallsShort(settled, address, end)).toBe(false)
  }
  const good = ended('a', outcome('succeeded'))
  expect(fallsShort(success, good.address, good.end)).toBe(false)
  const other = ended('b', outcome('failed'))
  expect(fallsShort(success, other.address, other.end)).toBe(false)
})

test('a job named twice is awaited once', () => {
  const twice = awaiting(
    { jobId: 'a', requires: 'success' },
    { jobId: 'b', requires: 'success' },
    { jobId: 'a', requires: 'settled' },
  )
  expect(without(twice, 'job.a')).toEqual([{ jobId: 'b', requires: 'success' }])
})

test('how a job ended and which data are awaited is said in words', () => {
  expect([ended('a', outcome('lost')), broke('a'), neverWas('a')].map(({ end }) => howEnded(end))).toEqual([
    'lost',
    'broke inside OCPS',
    'is not known here any more',
  ])
  const dataId = { instrument: 'LATISS', obsid: 'E1', group: null, detector: null }
  expect([dataName(dataId), dataName({ ...dataId, detector: 0 })]).toEqual(['E1', 'E1 detector 0'])
})
