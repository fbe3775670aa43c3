import { expect, onTestFinished, test } from 'vitest'
import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Numbered } from '../../machines/ports.ts'
import { createRecords } from '../../src/records/sink.ts'
import { RecordStore } from '../../src/records/store.ts'
import { aJobResult } from './ended.ts'

/* When ended jobs are written down, and what becomes of them while the disk refuses. Time is stepped. */

test('a question is answered with what was said before it; else rows wait for a moment', () => {
  const { say, records, store, pass } = world()
  say('1.0')
  expect(store.cursor).toBeNull()
  expect(records.history({ limit: 10 })).toMatchObject({ total: 1 })
  say('2.0')
  pass(200)
  expect(store.cursor).toBe('2.0')
})

test('while the disk refuses, ends are held and written later; too many are left to the journal', () => {
  const { say, store, pass, refuse } = world()
  refuse(true)
  say('1.0')
  pass(200)
  expect(store.cursor).toBeNull()
  refuse(false)
  pass(2_000)
  expect(store.cursor).toBe('1.0')

  refuse(true)
  for (let n = 2; n < 1_002; n++) say(`${n}.0`)
  expect(() => say('1002.0')).toThrow('disk full')
  refuse(false)
  pass(10_000)
  // All that follows the cursor is brought again by the delivery.
  expect(store.cursor).toBe('1.0')
})

function world() {
  const store = RecordStore.open(null, 'LATISS')
  onTestFinished(() => store.close())
  let isFull = false
  const refusing = {
    get cursor() {
      return store.cursor
    },
    add(jobs: readonly JobResult[], cursor: string) {
      if (isFull) throw new Error('disk full')
      store.add(jobs, cursor)
    },
    jobs: store.jobs.bind(store),
    count: store.count.bind(store),
    close: () => {},
  }
  let now = 0
  let calls: { at: number; call: () => void }[] = []
  const records = createRecords(refusing, (milliseconds, call) => {
    const one = { at: now + milliseconds, call }
    calls.push(one)
    return () => {
      calls = calls.filter(other => other !== one)
    }
  })
  return {
    records,
    store,
    refuse: (is: boolean) => void (isFull = is),
    say: (id: string) => void records.sink.say(ended(id)),
    pass: (ms: number) => {
      now += ms
      const due = calls.filter(({ at }) => at <= now)
      calls = calls.filter(({ at }) => at > now)
      for (const { call } of due) call()
    },
  }
}

function ended(id: string): Numbered {
  const body = aJobResult(`job-${id}`, { settled: Number.parseInt(id, 10) })
  return { id, at: 0, announcement: { type: 'event', topic: 'jobResult', key: body.jobId, body } }
}
