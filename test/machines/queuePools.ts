import { describe, expect, test } from 'vitest'
import { aConfiguration, aPipeline, breaking } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import type { Decoded } from '../../src/contract/commands.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { ended, outcome } from './endings.ts'
import { asked, configured, flowing, granted, ready, submit } from './queueGiven.ts'

describe('queue: pools', () => {
  const pools = { heavy: { slots: 2, runner: { kind: 'none' } } } as const
  const inHeavy = (jobId: string, { priority = 0, slots = 1 } = {}) =>
    [
      { type: 'job.opened', jobId },
      { type: 'job.ready', jobId, priority, slots, pool: 'heavy' },
    ] as const

  test('each pool has slots of its own', () => {
    const now = flowing({ slots: 1, pools }).when(
      ...ready('a'),
      ...ready('b'),
      ...inHeavy('h1'),
      ...inHeavy('h2'),
      ...inHeavy('h3'),
    )
    expect(granted(now)).toEqual(['a', 'h1', 'h2'])
    expect(granted(now.when(ended('h1', outcome('succeeded'))))).toEqual(['h3'])
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual(['b'])
  })

  test('a large job at the head of one pool holds up no job of another', () => {
    const now = flowing({ slots: 1, pools }).when(...inHeavy('h1'), ...inHeavy('large', { slots: 2 }), ...inHeavy('h3'))
    expect(granted(now)).toEqual(['h1'])
    const other = now.when(...ready('a'))
    expect(granted(other)).toEqual(['a'])
    expect(granted(other.when(ended('h1', outcome('succeeded'))))).toEqual(['large'])
  })

  test('priority and order count within a pool', () => {
    const held = configured({ slots: 1, pools, order: 'newestFirst' }).when(
      ...ready('low', { priority: -1 }),
      ...inHeavy('h1'),
      ...inHeavy('h2'),
      ...inHeavy('first', { priority: 3 }),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['low', 'first', 'h2'])
  })

  test('a job that falls back on a pipeline of another pool frees its slots and waits there', () => {
    const now = flowing({ slots: 1, pools }).when(...ready('a'), ...ready('b'))
    const yielded = now.when(
      { type: 'job.yielded', jobId: 'a' },
      { type: 'job.ready', jobId: 'a', priority: 0, slots: 1, pool: 'heavy' },
    )
    expect(granted(yielded)).toEqual(['b', 'a'])
    expect(yielded.context).toMatchObject({ slotsTaken: 1, pools: { heavy: { slotsTaken: 1 } }, open: 2 })
  })

  test('a job that ends while it waits is taken off the list of its pool, and one aborts with all others', () => {
    const now = flowing({ slots: 1, pools }).when(...inHeavy('h1', { slots: 2 }), ...inHeavy('h2'), ...inHeavy('h3'))
    const without = now.when(ended('h2', outcome('aborted')), ended('h1', outcome('succeeded')))
    expect(granted(without)).toEqual(['h3'])
    const cleared = now.when({ type: 'queue.clear', reason: 'the end' }, ended('h1', outcome('aborted')))
    expect(granted(cleared)).toEqual([])
    expect(cleared.context).toMatchObject({ pools: { heavy: { waiting: { size: 0 }, slotsTaken: 0 } } })
  })

  test('the depth bounds what waits in all pools together', () => {
    const now = flowing({ slots: 1, pools, queueDepthMax: 2 }).when(
      ...ready('a'),
      ...ready('b'),
      ...inHeavy('h1', { slots: 2 }),
      ...inHeavy('h2'),
    )
    expect(now.when(submit()).emissions).toContainEqual(
      expect.objectContaining({ body: expect.objectContaining({ code: 'QUEUE_FULL' }) as unknown }),
    )
    expect(now.when(ended('h2', outcome('aborted')), submit()).emissions).toContainEqual(
      expect.objectContaining({ type: 'open' }),
    )
  })
})

describe('queue: a machine breaks', () => {
  test('its job says INTERNAL exactly once, its process is stopped, and the CSC is in FAULT with code 3', async () => {
    await breakIn(await createNight())
  })

  test('so it is in a pool of its own, whose slots are free again', async () => {
    const pool = { name: 'heavy', slots: 1, runner: { kind: 'none' } } as const
    const night = await createNight({
      configuration: aConfiguration({
        pools: { heavy: pool },
        pipelines: { quicklook: aPipeline('quicklook', { pool }) },
      }),
    })
    await breakIn(night)
    const context = night.engine().world.actor('queue')?.snapshot.context
    expect(context).toMatchObject({ slotsTaken: 0, pools: { heavy: { slotsTaken: 0, running: {} } }, open: 0 })
  })

  async function breakIn(night: Night): Promise<void> {
    await night.enable()
    const jobId = (await night.command('processData', asked()))?.jobIds[0] ?? ''
    await night.started(jobId)
    await night.report(breaking(jobId))
    expect(night.state('csc')).toBe('fault')
    expect(night.events('errorCode').at(-1)).toMatchObject({ errorCode: 3 })
    expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'failed', code: 'INTERNAL' } }])
    expect(night.orders().at(-1)).toMatchObject({ type: 'executor.stop', jobId })
    await night.exited(jobId)
    expect(night.events('jobResult', jobId)).toHaveLength(1)
    expect(night.lost()).toEqual([])
  }
})

describe('queue: a machine breaks when it is opened', () => {
  test('the job says INTERNAL all the same, its command is answered, and what comes after is processed', async () => {
    const night = await createNight()
    await night.enable()
    const decoded = decodeCommand('processData', Buffer.from(JSON.stringify(asked())), 'LATISS')
    if (!decoded.ok) throw new Error(decoded.refusal.reason)
    // No client gets this past the door; a defect would be of the kind.
    const command = { ...decoded.command, readiness: null } as unknown as Decoded
    night.engine().command(command, { identity: 'script', id: 'bad', reply: null })
    await night.settled()
    const [jobId = ''] = night.acks('bad')[0]?.jobIds ?? []
    expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'failed', code: 'INTERNAL' } }])
    expect(night.events('errorCode').at(-1)).toMatchObject({ errorCode: 3 })
    expect(night.engine().world.actor('queue')?.snapshot.context).toMatchObject({ open: 0, slotsTaken: 0 })
    expect(night.lost()).toEqual([])
  })
})
