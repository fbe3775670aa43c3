import { headers } from '@nats-io/transport-node'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Link } from '../../src/bus/nats-link.ts'
import { type Item, Window } from '../../src/bus/nats-window.ts'
import { silentLog } from '../../src/log.ts'

/* What a window sends, and what it takes for stored, against a server whose answers a test writes. */

const SILENCE_MS = 2_000

interface Sent {
  readonly id: string
  /** Where the answer goes; null: it does not ask. */
  readonly reply: string | null
}

function opened({ subjects = ['evt.>'] } = {}) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] })
  onTestFinished(() => void vi.useRealTimers())
  let sent: Sent[] = []
  let callback: (error: null, message: object) => void = () => {}
  let back = () => {}
  let published: (subject: string) => void = () => {}
  let isConnected = true
  const link = {
    url: 'nats://test',
    log: silentLog,
    inboxPrefix: '_INBOX',
    connected: () => isConnected,
    soon: (work: () => void) => work(),
    onBack: (handler: () => void) => {
      back = handler
      return () => {}
    },
    onPublished: (handler: typeof published) => void (published = handler),
    connection: {
      subscribe: (_subject: string, options: { callback: typeof callback }) => void (callback = options.callback),
      publish: (_subject: string, body: string, { reply = null }: { reply?: string | null }) =>
        void sent.push({ id: body, reply }),
    },
  } as unknown as Link
  const told: string[] = []
  const window = new Window<Item>(link, 'S', {
    ownSubjects: subjects,
    onStored: ({ id }) => told.push(`stored ${id}`),
    onRefused: ({ id }, { code }) => told.push(`refused ${id} ${code}`),
    onUnsure: items => told.push(`unsure ${items.map(({ id }) => id).join(' ')}`),
  })
  onTestFinished(() => window.close())
  const answer = (to: Sent | undefined, body: object) =>
    callback(null, { subject: to?.reply, data: Buffer.from(JSON.stringify(body)) })
  return {
    told,
    window,
    /** What left since the last time. */
    left: () => sent.splice(0),
    push: (...ids: string[]) => {
      // In one pump, as what is published in one turn.
      isConnected = false
      for (const id of ids)
        window.push({ subject: 'evt.a', body: id, id, headers: headers(), copies: 0, stored: false, number: 0 })
      isConnected = true
      window.push({ subject: 'evt.a', body: '.', id: '.', headers: headers(), copies: 0, stored: false, number: 0 })
      const all = sent
      sent = []
      return all
    },
    stored: (to: Sent | undefined, seq: number, more: object = {}) => answer(to, { stream: 'S', seq, ...more }),
    answer,
    refused: (to: Sent | undefined) => answer(to, { error: { err_code: 10077, description: 'full' } }),
    strangerPublishes: (subject: string) => published(subject),
    away: () => (isConnected = false),
    back: () => {
      isConnected = true
      back()
    },
    later: (ms: number) => vi.advanceTimersByTime(ms),
  }
}

/** The first message asks, and is confirmed: from then on only the last of those that leave together asks. */
function confirmed() {
  const all = opened()
  all.stored(all.push()[0], 10)
  all.told.length = 0
  return all
}

describe('window: what it takes for stored', () => {
  test('the place of the last one says that those before it are there', () => {
    const { push, stored, told } = confirmed()
    const left = push('a', 'b')
    expect(left.map(({ reply }) => reply !== null)).toEqual([false, false, true])
    stored(left[2], 13)
    expect(told).toEqual(['stored a', 'stored b', 'stored .'])
  })

  test('where a stranger took a place in between it says so of none of them', () => {
    const { push, stored, told } = confirmed()
    stored(push('a', 'b')[2], 14)
    expect(told).toEqual(['stored .', 'unsure a b'])
  })

  test('what this connection publishes on those subjects itself takes a place, too', () => {
    const { push, stored, told, strangerPublishes } = confirmed()
    strangerPublishes('evt.heartbeat')
    strangerPublishes('elsewhere')
    stored(push('a')[1], 13)
    expect(told).toEqual(['stored a', 'stored .'])
  })

  test('a repeated one has an old place, which says nothing of those before it', () => {
    const { push, stored, told } = confirmed()
    stored(push('a')[1], 12, { duplicate: true })
    expect(told).toEqual(['stored .', 'unsure a'])
  })

  test('the answer of another stream, or of none, is no answer', () => {
    const { push, answer, told } = opened()
    const left = push()
    for (const body of [{ stream: 'T', seq: 10 }, { seq: 10 }, {}, { stream: 'S' }]) answer(left[0], body)
    expect(told).toEqual([])
  })

  test('places from before the server was away count for nothing', () => {
    const { push, stored, told, left, back } = confirmed()
    const before = push('a', 'b')
    back()
    const again = left()
    expect(again.map(({ id, reply }) => [id, reply !== null])).toEqual([
      ['a', true],
      ['b', true],
      ['.', true],
    ])
    stored(before[2], 13)
    expect(told, 'an answer to what was sent before').toEqual([])
    stored(again[2], 13)
    expect(told).toEqual(['stored .'])
    stored(again[0], 11)
    stored(again[1], 12)
    expect(told).toEqual(['stored .', 'stored a', 'stored b'])
  })
})

describe('window: what it sends again', () => {
  test('everything unconfirmed after a silence, in order, once more after twice the time', () => {
    const { push, left, later } = confirmed()
    push('a')
    later(SILENCE_MS - 1)
    expect(left()).toEqual([])
    later(2)
    expect(left().map(({ id }) => id)).toEqual(['a', '.'])
    later(SILENCE_MS + 10)
    expect(left()).toEqual([])
    later(SILENCE_MS)
    expect(left().map(({ id }) => id)).toEqual(['a', '.'])
  })

  test('nothing new while one that was refused waits to be sent again', () => {
    const { push, left, later, refused, window, told } = confirmed()
    refused(push()[0])
    expect(told).toEqual(['refused . 10077'])
    window.retryLater(100)
    expect(push('later')).toEqual([])
    later(100)
    expect(left().map(({ id }) => id)).toEqual(['.', 'later', '.'])
  })

  test('a refusal counts only when no copy is on its way any more: it may still be stored', () => {
    const { push, left, later, refused, stored, told } = confirmed()
    const first = push()
    later(SILENCE_MS + 1)
    const [second] = left()
    refused(first[0])
    expect(told).toEqual([])
    stored(second, 11)
    expect(told).toEqual(['stored .'])
  })

  test('nothing while the server is away; what was pushed meanwhile comes behind', () => {
    const { push, left, away, back, later, window } = confirmed()
    push('a')
    away()
    window.push({ subject: 'evt.a', body: 'b', id: 'b', headers: headers(), copies: 0, stored: false, number: 0 })
    later(10 * SILENCE_MS)
    expect(left()).toEqual([])
    back()
    expect(left().map(({ id }) => id)).toEqual(['a', '.', 'b'])
  })
})

describe('window: how much is on its way', () => {
  test('no more than a thousand or so, however much waits', () => {
    const { push, stored, left } = confirmed()
    const sent = push(...Array.from({ length: 5_000 }, (_, n) => `${n}`))
    expect(sent).toHaveLength(1_024)
    stored(sent.at(-1), 10 + 1_024)
    expect(left()).toHaveLength(1_024)
  })

  test('where others write to the stream every message asks', () => {
    const { push, stored } = opened({ subjects: [] })
    stored(push()[0], 10)
    expect(push('a', 'b').every(({ reply }) => reply !== null)).toBe(true)
  })
})
