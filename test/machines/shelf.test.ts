import { describe, expect, test } from 'vitest'
import type { RetryCommand } from '../../machines/domain/commands.ts'
import type { ShelfItem } from '../../machines/domain/messages.ts'
import { aCaller, given, NIGHTFALL, transitionsNotTaken } from '../harness.ts'
import { tableProblems } from './table.ts'

const caller = aCaller('m1')

function item(jobId: string, changes: Partial<ShelfItem> = {}): ShelfItem {
  return {
    jobId,
    retryOf: null,
    at: NIGHTFALL,
    dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
    pipeline: 'quicklook',
    overrides: {},
    configFile: null,
    version: '',
    priority: 0,
    timeLimitMs: 60_000,
    outcome: 'failed',
    ...changes,
  }
}

const retry = (of: RetryCommand['of']) =>
  ({
    type: 'shelf.retry',
    command: { type: 'command.retry', caller, jobId: 'again', of, pipeline: null, overrides: null, version: null },
  }) as const

const keeping = (...items: readonly ShelfItem[]) =>
  given('shelf', {}).when(...items.map(one => ({ type: 'shelf.keep', item: one }) as const))

describe('the shelf', () => {
  const dataId = { instrument: 'LATISS', obsid: 'E2', group: 'G#1', detector: 94 }
  const kept = keeping(item('a'), item('b', { dataId }), item('c', { dataId, at: NIGHTFALL + 86_400_000 }))

  test.each([
    [{ by: 'jobId', jobId: 'a' }, ['a']],
    [{ by: 'obsid', obsid: 'E2' }, ['b', 'c']],
    [{ by: 'group', group: 'G#1' }, ['b', 'c']],
    [{ by: 'dayObs', dayObs: 20_261_122 }, ['a', 'b']],
  ] as const)('hands what is meant by %j to the queue', (of, jobIds) => {
    const [emission] = kept.when(retry(of)).emissions
    expect(emission).toMatchObject({
      type: 'tell',
      to: 'queue',
      message: { type: 'queue.resubmit', items: jobIds.map(jobId => ({ jobId })) },
    })
  })

  test.each([
    [{ by: 'jobId', jobId: 'x' }, 'no job x ended without success'],
    [{ by: 'obsid', obsid: 'X' }, 'no job of X ended'],
    [{ by: 'group', group: 'X' }, 'no job of group X ended'],
    [{ by: 'dayObs', dayObs: 20_250_101 }, 'no job of the night 20250101 ended'],
  ] as const)('refuses a retry of %j when nothing matches, and names it', (of, sentence) => {
    expect(kept.when(retry(of)).emissions).toMatchObject([
      { type: 'ack', body: { code: 'NOTHING_TO_RETRY', result: expect.stringContaining(sentence) } },
    ])
  })

  test('a job that was taken is not there any more', () => {
    const taken = kept.when({ type: 'shelf.taken', jobIds: ['a'] })
    expect(taken.context.items.map(({ jobId }) => jobId)).toEqual(['b', 'c'])
  })

  test('when it is full the oldest gives way', () => {
    const full = keeping(...Array.from({ length: 2_001 }, (_, at) => item(`j${at}`)))
    expect(full.context.items).toHaveLength(2_000)
    expect(full.context.items[0]?.jobId).toBe('j1')
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('shelf')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('shelf')).toEqual([])
  })
})
