import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import { aCaller, given, transitionsNotTaken } from '../harness.ts'
import { tableProblems } from './table.ts'
import { ended, outcome } from './endings.ts'

const caller = aCaller('m1')
const waiting = (jobIds: readonly string[] = ['j1']) => given('reply', { caller, jobIds, ackTimeoutMs: 60_000 })
const awaiting = (...jobIds: string[]) =>
  waiting(jobIds).when(...jobIds.map(jobId => ({ type: 'reply.await' as const, address: `job.${jobId}` })))

describe('reply', () => {
  test('a command in synchronous mode is promised an answer at once, with its jobs and the promise in seconds', () => {
    expect(waiting().emissions).toEqual([
      {
        type: 'ack',
        caller,
        body: { ack: ACK.INPROGRESS, error: 0, result: 'In progress', code: null, jobIds: ['j1'], timeout: 60 },
      },
    ])
  })

  test('the promise is renewed after half of it, again and again', () => {
    const once = awaiting('j1')
    expect(once.timers).toEqual({ renewal: 30_000 })
    const renewed = once.after('renewal').after('renewal')
    expect(renewed.emissions).toMatchObject([{ type: 'ack', body: { ack: ACK.INPROGRESS } }])
    expect(renewed).toMatchObject({ state: 'waiting', timers: { renewal: 30_000 } })
  })

  test('every awaited job is watched', () => {
    expect(awaiting('j1', 'j2').emissions).toEqual([
      { type: 'watch', address: 'job.j1' },
      { type: 'watch', address: 'job.j2' },
    ])
  })

  test('the answer comes with the last awaited job, not before', () => {
    const first = awaiting('j1', 'j2').when(ended('j2', outcome('succeeded')))
    expect(first).toMatchObject({ state: 'waiting', emissions: [] })
    const last = first.when(ended('j1', outcome('succeeded')))
    expect(last.state).toBe('answered')
    expect(last.emissions).toMatchObject([{ body: { ack: ACK.COMPLETE, error: 0, jobIds: ['j1', 'j2'] } }])
    expect(last.timers).toEqual({})
  })

  test.each([
    ['failed', ACK.FAILED],
    ['lost', ACK.FAILED],
    ['skipped', ACK.FAILED],
    ['aborted', ACK.ABORTED],
    ['timedOut', ACK.TIMEOUT],
  ] as const)('a job that %s is answered %i with its own sentence and code', (kind, ack) => {
    const answered = awaiting('j1').when(ended('j1', outcome(kind)))
    expect(answered.emissions).toMatchObject([
      { body: { ack, error: 1, code: outcome(kind).code, result: `Failed: job j1: ${outcome(kind).message}` } },
    ])
  })

  test('one failure among successes is the answer, and the first failure stays', () => {
    const answered = awaiting('j1', 'j2', 'j3').when(
      ended('j1', outcome('timedOut')),
      ended('j2', outcome('failed')),
      ended('j3', outcome('succeeded')),
    )
    expect(answered.emissions).toMatchObject([{ body: { ack: ACK.TIMEOUT } }])
  })

  test('a job whose machine broke is answered FAILED with code INTERNAL', () => {
    const end = { type: 'actor.ended', address: 'job.j1', end: { how: 'broken', context: {} } } as const
    expect(awaiting('j1').when(end).emissions).toMatchObject([{ body: { ack: ACK.FAILED, code: 'INTERNAL' } }])
  })

  test('a group whose machine broke before it could answer is answered FAILED with code INTERNAL', () => {
    const end = { type: 'actor.ended', address: 'gather.G', end: { how: 'broken', context: {} } } as const
    const answered = waiting([]).when({ type: 'reply.await', address: 'gather.G' }, end)
    expect(answered).toMatchObject({ state: 'answered' })
    expect(answered.emissions.at(-1)).toMatchObject({ body: { ack: ACK.FAILED, code: 'INTERNAL' } })
  })

  test("a group's answer is passed on as it is", () => {
    const body = { ack: ACK.COMPLETE, error: 0, result: 'Done: x', code: null, jobIds: ['g1'], timeout: 0 } as const
    const answered = waiting([]).when({ type: 'reply.finish', body })
    expect(answered).toMatchObject({ state: 'answered', emissions: [{ type: 'ack', caller, body }] })
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('reply')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('reply')).toEqual([])
  })
})
