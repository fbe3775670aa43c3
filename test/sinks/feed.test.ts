import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Announcement } from '../../machines/domain/announcements.ts'
import type { Bus, Retained } from '../../src/bus/port.ts'
import { createFeed } from '../../src/sinks/nats/feed.ts'

/*
 * In which order an instance's announcements leave, and under which ids: over a stream that stores when a test says so.
 */

const AT = Date.UTC(2026, 10, 22, 22)
const dataId = { instrument: 'LATISS', obsid: 'E1', group: null, detector: null }

// The bound is waited for with a promise of Node's, which knows nothing of stepped time.
vi.mock('node:timers/promises', async original => ({
  ...(await original<object>()),
  setTimeout: (ms: number) => new Promise(resolve => void setTimeout(resolve, ms)),
}))

function feeding({ refuses = '' } = {}) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const left: string[] = []
  let waiting: { resolve: () => void; reject: (error: Error) => void }[] = []
  const bus = (name: string) => ({
    server: { maxPayload: 1_000_000 },
    publish: (subject: string) => {
      if (subject === refuses) throw new Error(`${subject} is no subject`)
      left.push(`${name} ${subject}`)
    },
  })
  const retained = {
    publish: ({ subject, id }: { subject: string; id: string }) => left.push(`event ${subject} ${id}`),
    flushed: () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject })),
  }
  const feed = createFeed({
    bus: bus('answer') as unknown as Bus,
    telemetry: bus('telemetry') as unknown as Bus,
    retained: retained as unknown as Retained,
    instance: 'LATISS',
  })
  const say = (id: string, announcement: object) => feed.say({ id, at: AT, announcement: announcement as Announcement })
  const settle = async (how: (one: (typeof waiting)[number]) => void) => {
    const all = waiting
    waiting = []
    for (const one of all) how(one)
    await vi.advanceTimersByTimeAsync(0)
  }
  return {
    left,
    unstored: () => feed.unstored().map(({ id }) => id),
    event: (id: string, topic = 'summaryState') => say(id, { type: 'event', topic, key: null, body: {} }),
    ack: (id: string, reply: string | null = 'asker') =>
      say(id, { type: 'ack', caller: { identity: 'me', id: 'c1', reply }, body: { jobIds: [] } }),
    progress: () =>
      say('1.9', { type: 'telemetry', topic: 'progress', jobId: 'j1', dataId, pipeline: 'quicklook', body: {} }),
    stored: () => settle(({ resolve }) => resolve()),
    closed: () => settle(({ reject }) => reject(new Error('closed'))),
    later: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  }
}

describe('feed: acknowledgements', () => {
  test('one that follows an event of its command waits until that is stored', async () => {
    const { event, ack, stored, left } = feeding()
    event('7.0')
    ack('7.1')
    expect(left).toEqual(['event ocps.LATISS.evt.summaryState LATISS:7.0'])
    await stored()
    expect(left.at(-1)).toBe('answer asker')
  })

  test('one of another command, or a refusal at the door, waits for nothing', () => {
    const { event, ack, left } = feeding()
    event('7.0')
    ack('8.0')
    ack('')
    expect(left.slice(1)).toEqual(['answer asker', 'answer asker'])
  })

  test('one does not wait for the jobState of its job', () => {
    const { event, ack, left } = feeding()
    event('7.0', 'jobState')
    ack('7.1')
    expect(left.at(-1)).toBe('answer asker')
  })

  test('where nothing is stored for two seconds it leaves all the same, and not before', async () => {
    const { event, ack, left, later } = feeding()
    event('7.0')
    ack('7.1')
    await later(1_999)
    expect(left).toHaveLength(1)
    await later(1)
    expect(left.at(-1)).toBe('answer asker')
  })

  test('one that cannot be sent harms nobody, and one that nobody waits for is not sent', () => {
    const { ack, left } = feeding({ refuses: 'no.subject.' })
    ack('1.0', 'no.subject.')
    ack('2.0', null)
    ack('3.0')
    expect(left).toEqual(['answer asker'])
  })
})

describe('feed: events and telemetry', () => {
  test('what came while the stream was asked is not taken for stored', async () => {
    const { event, stored, unstored } = feeding()
    event('1.0')
    event('2.0')
    expect(unstored()).toEqual(['1.0', '2.0'])
    // The question was asked when only the first had been said.
    await stored()
    expect(unstored()).toEqual(['2.0'])
    await stored()
    expect(unstored()).toEqual([])
  })

  test('what was not known to be stored when the bus closed stays so, and the next is asked about again', async () => {
    const { event, closed, stored, unstored } = feeding()
    event('1.0')
    await closed()
    expect(unstored()).toEqual(['1.0'])
    event('2.0')
    await stored()
    expect(unstored()).toEqual([])
  })

  test('telemetry has a connection of its own', () => {
    const { progress, left } = feeding()
    progress()
    expect(left).toEqual(['telemetry ocps.LATISS.tel.progress.j1'])
  })
})
