// What one machine's tests take of its chart is counted together: they are one test file in parts.
import './queuePools.ts'
import './queueAdmission.ts'
import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import { aConfiguration, aRetry, given, transitionsNotTaken } from '../harness.ts'
import { createNight } from '../night.ts'
import type { GroupResult } from '../../machines/domain/announcements.ts'
import { broke, ended, outcome } from './endings.ts'
import { tableProblems } from './table.ts'
import {
  acks,
  asked,
  caller,
  configured,
  flowing,
  granted,
  opened,
  ready,
  shelfItem,
  submit,
  waiting,
} from './queueGiven.ts'

const pause = { type: 'queue.pause', caller } as const

const resume = { type: 'queue.resume', caller } as const

describe('queue: who runs', () => {
  test('jobs get slots in the order they came, as many as there are', () => {
    const now = flowing().when(...ready('a'), ...ready('b'), ...ready('c'))
    expect(granted(now)).toEqual(['a', 'b'])
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual(['c'])
  })

  test('a higher priority goes first; among equals the older', () => {
    const held = configured({ slots: 10 }).when(
      ...ready('low', { priority: -1 }),
      ...ready('a'),
      ...ready('b'),
      ...ready('high', { priority: 9 }),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['high', 'a', 'b', 'low'])
  })

  test('newestFirst takes the newest of the highest priority', () => {
    const held = configured({ slots: 10, order: 'newestFirst' }).when(
      ...ready('a'),
      ...ready('b'),
      ...ready('high', { priority: 1 }),
      ...ready('c'),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['high', 'c', 'b', 'a'])
  })

  test('a large job at the head holds back the small ones behind it until it fits', () => {
    const now = flowing().when(...ready('small'), ...ready('large', { slots: 2 }), ...ready('behind'))
    expect(granted(now)).toEqual(['small'])
    const next = now.when(ended('small', outcome('succeeded')))
    expect(granted(next)).toEqual(['large'])
    expect(next.context.slotsTaken).toBe(2)
    expect(granted(next.when(ended('large', outcome('failed'))))).toEqual(['behind'])
  })

  test('a job that backs off frees its slot and still counts as open', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), { type: 'job.yielded', jobId: 'a' })
    expect(granted(now)).toEqual(['a', 'b'])
    expect(now.context).toMatchObject({ open: 2, slotsTaken: 1 })
  })

  test('a job that ended while it waited waits no more', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), ...ready('c'), ended('b', outcome('aborted')))
    expect(waiting(now)).toEqual(['c'])
    expect(now.context.open).toBe(2)
  })

  test('with prefetch so many more slots are granted in advance, in the same order, and pause holds what was not', () => {
    const now = flowing({ slots: 2, prefetch: 1 }).when(...ready('a'), ...ready('b'), ...ready('c'), ...ready('d'))
    expect(granted(now)).toEqual(['a', 'b', 'c'])
    expect(now.context.slotsTaken).toBe(3)
    const next = now.when({ type: 'job.yielded', jobId: 'a' })
    expect(granted(next)).toEqual(['d'])
    expect(granted(now.when(pause, { type: 'job.yielded', jobId: 'a' }))).toEqual([])
  })

  test('a job that does not fit what is left of slots and prefetch holds back those behind it', () => {
    const now = flowing({ slots: 2, prefetch: 1 }).when(
      ...ready('a'),
      ...ready('b'),
      ...ready('large', { slots: 2 }),
      ...ready('c'),
    )
    expect(granted(now)).toEqual(['a', 'b'])
    expect(granted(now.when({ type: 'job.yielded', jobId: 'a' }))).toEqual(['large'])
  })

  test('a job is never larger than the slots: prefetch does not let it through to where it could not begin', () => {
    expect(granted(flowing({ slots: 2, prefetch: 8 }).when(...ready('large', { slots: 3 })))).toEqual([])
  })

  test('a configuration of a journal older than prefetch grants nothing in advance', () => {
    expect(aConfiguration()).not.toHaveProperty('prefetch')
    expect(granted(flowing({ slots: 1 }).when(...ready('a'), ...ready('b')))).toEqual(['a'])
  })

  test('a new configuration with more slots lets more run', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'))
    expect(granted(now.when({ type: 'queue.configure', configuration: aConfiguration({ slots: 2 }) }))).toEqual(['b'])
  })

  test('a broken job is said to have failed INTERNAL, and no process of it may stay behind', () => {
    const context = given('job', jobInput('a')).context
    const now = flowing().when(...ready('a'), broke('a', context))
    expect(now.emissions).toContainEqual({ type: 'executor.stop', jobId: 'a', attempt: 1, graceMs: 0 })
    expect(now.emissions).toContainEqual(
      expect.objectContaining({ topic: 'jobResult', key: 'a', body: expect.objectContaining({ jobId: 'a' }) }),
    )
    expect(now.context).toMatchObject({ open: 0, slotsTaken: 0 })
  })

  test('a broken group is said to have failed, naming its members; one that was forgotten has said its result', () => {
    const { context } = given('gather', {
      instance: 'LATISS',
      group: 'G#1',
      stem: 's',
      rules: null,
      configuration: aConfiguration(),
    })
    const broken = { type: 'actor.ended', address: 'gather.G=231', end: { how: 'broken', context } } as const
    expect(flowing().when(broken).emissions).toMatchObject([
      { type: 'event', topic: 'groupResult', key: 'G#1', body: { outcome: 'failed', members: [] } },
    ])
    const answered = { ...context, revision: 1, result: { revision: 1 } as GroupResult }
    expect(flowing().when({ ...broken, end: { how: 'broken', context: answered } }).emissions).toEqual([])
    const forgotten = { ...broken, end: { how: 'done', output: undefined } } as const
    expect(flowing().when(forgotten).emissions).toEqual([])
  })

  test('a job that broke while it waited has no process to stop', () => {
    const now = configured().when(...ready('a'), broke('a', given('job', jobInput('a')).context))
    expect(now.emissions.map(({ type }) => type)).toEqual(['watch', 'event'])
  })
})

describe('queue: open, closed, paused', () => {
  test('a closed queue takes jobs in and lets none run', () => {
    const now = configured().when(...ready('a'))
    expect(granted(now)).toEqual([])
    expect(waiting(now)).toEqual(['a'])
    expect(granted(now.when({ type: 'queue.open' }))).toEqual(['a'])
  })

  test('closing lets running jobs go on and holds the queued ones', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), { type: 'queue.close' })
    expect(now.context.running).toEqual({ a: 1 })
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual([])
    expect(waiting(now)).toEqual(['b'])
  })

  test('a paused queue lets none run until it is resumed; both are acknowledged', () => {
    const paused = flowing().when(pause)
    expect(paused.state).toBe('open.paused')
    expect(acks(paused)).toMatchObject([{ ack: ACK.COMPLETE }])
    const held = paused.when(...ready('a'))
    expect(granted(held)).toEqual([])
    const again = held.when(resume)
    expect(granted(again)).toEqual(['a'])
    expect(acks(again)).toMatchObject([{ ack: ACK.COMPLETE }])
  })

  test('pausing twice and resuming twice is acknowledged and changes nothing', () => {
    expect(acks(flowing().when(pause, pause))).toHaveLength(2)
    expect(acks(flowing().when(resume))).toMatchObject([{ ack: ACK.COMPLETE }])
    expect(flowing().when(pause, pause).state).toBe('open.paused')
  })

  test('a paused queue that is closed and opened again is still paused', () => {
    expect(flowing().when(pause, { type: 'queue.close' }, { type: 'queue.open' }).state).toBe('open.paused')
    expect(flowing().when({ type: 'queue.close' }, { type: 'queue.open' }).state).toBe('open.flowing')
  })

  test('clearing leaves nobody waiting, and tells every group and every job to stop, groups first', () => {
    const now = flowing({ slots: 1 })
      .when(...ready('a'), ...ready('b'))
      .when({ type: 'queue.clear', reason: 'STANDBY' })
    expect(waiting(now)).toEqual([])
    expect(now.emissions).toEqual([
      { type: 'tell', to: 'gather.*', message: { type: 'group.abandon', reason: 'STANDBY' } },
      { type: 'tell', to: 'job.*', message: { type: 'job.abort', reason: 'STANDBY', caller: null } },
    ])
  })
})

describe('queue: many slots', () => {
  test('resumed with more waiting jobs than a thousand and slots for all, it starts all', async () => {
    const night = await createNight({ configuration: aConfiguration({ slots: 2_000, queueDepthMax: 5_000 }) })
    await night.enable()
    await night.command('pause')
    for (let at = 0; at < 1_500; at++) night.send('processData', asked({ obsid: `E${at}` }))
    await night.settled()
    await night.command('resume')
    expect(night.state('csc')).toBe('enabled')
    expect(night.orders().filter(({ type }) => type === 'executor.start')).toHaveLength(1_500)
  })
})

describe('queue: chart and comment', () => {
  test('jobs from the shelf are opened again under new ids, or refused as any command would be', () => {
    const item = shelfItem
    const command = aRetry({ caller })
    const admitted = flowing().when({ type: 'queue.resubmit', command, items: [item] })
    expect(opened(admitted)).toMatchObject([
      { jobId: 'again-r1', retryOf: 'old', overrides: {}, configFile: null, version: 'w_1', priority: 3 },
    ])
    expect(opened(admitted)[0]?.timeLimitMs).toBe(opened(admitted)[0]?.pipeline.timeLimitMs)
    expect(acks(admitted)).toMatchObject([{ ack: ACK.COMPLETE, jobIds: ['again-r1'] }])
    expect(admitted.context.open).toBe(1)

    const of = (group: string) => ({ ...item, dataId: { ...item.dataId, group } })
    const several = flowing().when({ type: 'queue.resubmit', command, items: [of('G1'), of('G2'), of('G1')] })
    const stems = several.emissions.flatMap(one =>
      one.type === 'open' && one.input.kind === 'gather' ? [one.input.stem] : [],
    )
    expect(stems, 'each group opened again has gather jobs of its own').toEqual(['again-r1', 'again-r2'])

    const refusal = flowing({ pipelines: {} }).when({ type: 'queue.resubmit', command, items: [item] })
    expect(acks(refusal)).toMatchObject([{ ack: ACK.FAILED, code: 'UNKNOWN_PIPELINE' }])
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('queue')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('queue')).toEqual([])
  })
})

function jobInput(jobId: string): Omit<JobInput, 'kind'> {
  const [input] = opened(flowing().when(submit({ jobId })))
  if (!input) throw new Error('no job was opened')
  return input
}
