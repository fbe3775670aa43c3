import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { JobResult } from '../../machines/domain/announcements.ts'
import { RecordStore } from '../../src/records/store.ts'
import { aJobResult } from './ended.ts'

/* Ended jobs on disk: what is found, in which order, and what becomes of a file that is not as it should be. */

test('ended jobs are found by every field they can be asked for, newest first', () => {
  const store = opened(place())
  store.add(
    [
      job('a', { settled: 1_000, obsid: 'O1', outcome: 'succeeded', ranMs: 100 }),
      job('b', { settled: 3_000, obsid: 'O1', outcome: 'failed', ranMs: 40_000, askedBy: 'bar' }),
      job('c', { settled: 2_000, obsid: 'O2', group: 'g', outcome: 'succeeded', pipeline: 'stack', ranMs: null }),
    ],
    '9.1',
  )
  const found = (asked: object) => store.jobs({ limit: 10, ...asked }).map(({ jobId }) => jobId)
  expect(found({})).toEqual(['b', 'c', 'a'])
  expect(found({ obsid: 'O1' })).toEqual(['b', 'a'])
  expect(found({ group: 'g' })).toEqual(['c'])
  expect(found({ pipeline: 'stack' })).toEqual(['c'])
  expect(found({ outcome: 'failed' })).toEqual(['b'])
  expect(found({ askedBy: 'bar' })).toEqual(['b'])
  expect(found({ since: 2_000 })).toEqual(['b', 'c'])
  expect(found({ until: 2_000 })).toEqual(['a'])
  expect(found({ longerThan: 30 })).toEqual(['b'])
  expect(found({ obsid: "O1' or '1' = '1" })).toEqual([])
  expect(store.count({ limit: 1, outcome: 'succeeded' })).toBe(2)
  expect(store.jobs({ limit: 1, obsid: 'O1' })[0]).toEqual(
    job('b', { settled: 3_000, obsid: 'O1', outcome: 'failed', ranMs: 40_000, askedBy: 'bar' }),
  )
})

test('read in parts, every job comes once, also where several settled in the same millisecond', () => {
  const store = opened(place())
  store.add(
    Array.from({ length: 25 }, (_, n) => job(`j${String(n).padStart(2, '0')}`, { settled: 100 + Math.floor(n / 10) })),
    '1.0',
  )
  const seen: string[] = []
  for (let before = {}; ; ) {
    const part = store.jobs({ limit: 4, ...before })
    seen.push(...part.map(({ jobId }) => jobId))
    const last = part.at(-1)
    if (last === undefined) break
    before = { before: { settled: last.times.settled, jobId: last.jobId } }
  }
  expect(seen).toHaveLength(25)
  expect(seen).toEqual(seen.toSorted().reverse())
})

test('the file keeps its jobs and its cursor, and a job that is said again is one job', () => {
  const path = place()
  const first = RecordStore.open(path, 'LATISS')
  expect(first.cursor).toBeNull()
  first.add([job('a', { settled: 1 })], '4.2')
  first.close()
  const again = opened(path)
  expect(again.cursor).toBe('4.2')
  again.add([job('a', { settled: 1 }), job('b', { settled: 2 })], '5.0')
  expect(again.count({ limit: 1 })).toBe(2)
})

test.each<[string, (path: string) => void]>([
  ['is no database', path => writeFileSync(path, 'not a database, whatever its name says'.repeat(100))],
  ['was cut', path => truncateSync(path, 5_000)],
  ['is of another instance', path => renamed(path)],
])('a file that %s is begun anew, so that the journal is read again', (_, harm) => {
  const path = place()
  const store = RecordStore.open(path, 'LATISS')
  store.add([job('a', { settled: 1 })], '4.2')
  store.close()
  harm(path)
  const anew = opened(path)
  expect([anew.cursor, anew.count({ limit: 1 })]).toEqual([null, 0])
  anew.add([job('b', { settled: 2 })], '5.0')
  expect(anew.count({ limit: 1 })).toBe(1)
})

function renamed(path: string): void {
  const other = RecordStore.open(path, 'ANOTHER')
  other.add([job('x', { settled: 1 })], '7.0')
  other.close()
}

function job(jobId: string, facts: Parameters<typeof aJobResult>[1]): JobResult {
  return aJobResult(jobId, facts)
}

function opened(path: string): RecordStore {
  const store = RecordStore.open(path, 'LATISS')
  onTestFinished(() => store.close())
  return store
}

function place(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ocps-records-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'LATISS.sqlite')
}
