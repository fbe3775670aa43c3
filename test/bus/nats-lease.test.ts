import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createLeaseClock } from '../../src/bus/lease-clock.ts'
import { takeLease } from '../../src/bus/nats-lease.ts'
import type { Link } from '../../src/bus/nats-link.ts'
import type { Streams } from '../../src/bus/nats-streams.ts'
import { type LeaseResult } from '../../src/bus/port.ts'
import { silentLog } from '../../src/log.ts'

/*
 * The lease against a bucket in memory whose entries expire as a server's do, on a clock that is stepped: what the
 * holder is sure of, and when it has lost it. That a real server keeps its side is contract.ts's.
 */

const TTL_MS = 2_000
const SLOW_MS = 300

/** One key with a revision; the newest value expires so long after it was written. */
interface Bucket {
  value: string | null
  revision: number
  writtenAt: number
  /** What the next calls do instead of answering; the first is the next one's. */
  faults: ('away' | 'answerLost' | 'slow')[]
  /** How often something was to be written. */
  asked: number
}

const bucket: Bucket = { value: null, revision: 0, writtenAt: 0, faults: [], asked: 0 }

const wrongRevision = () =>
  new JetStreamApiError({
    code: 400,
    err_code: JetStreamApiCodes.StreamWrongLastSequence,
    description: 'wrong last sequence',
  })

function present(): string | null {
  // The server counts by its own clock, suspended or not.
  if (Date.now() - bucket.writtenAt >= TTL_MS) bucket.value = null
  return bucket.value
}

function write(value: string | null, isAllowed: boolean): Promise<number> {
  const fault = bucket.faults.shift()
  bucket.asked += 1
  if (fault === 'away') return Promise.reject(new Error('the server is away'))
  if (!isAllowed) return Promise.reject(wrongRevision())
  bucket.value = value
  bucket.revision += 1
  bucket.writtenAt = Date.now()
  if (fault === 'slow') return new Promise(resolve => void setTimeout(resolve, SLOW_MS, bucket.revision))
  return fault === 'answerLost' ? Promise.reject(new Error('timeout')) : Promise.resolve(bucket.revision)
}

vi.mock('@nats-io/kv', () => ({
  Kvm: class {
    create = () =>
      Promise.resolve({
        create: (_key: string, value: string) => write(value, present() === null),
        update: (_key: string, value: string, revision: number) =>
          write(value, present() !== null && revision === bucket.revision),
        get: () => {
          const value = present()
          return Promise.resolve(value === null ? null : { string: () => value, revision: bucket.revision })
        },
        delete: (_key: string, { previousSeq }: { previousSeq: number }) =>
          write(null, previousSeq === bucket.revision),
      })
  },
}))
vi.mock('@nats-io/jetstream', async original => ({ ...(await original<object>()), jetstream: () => ({}) }))

beforeEach(() => {
  Object.assign(bucket, { value: null, revision: 0, writtenAt: 0, faults: [], asked: 0 } satisfies Bucket)
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 22, 22) })
  onTestFinished(() => void vi.useRealTimers())
})

type Held = Extract<LeaseResult, { held: true }>

interface Holder {
  readonly lease: Held
  readonly lost: () => number
  readonly back: () => void
}

async function take(holder: string): Promise<Holder | { readonly holder: string }> {
  let lost = 0
  let back: () => void = () => {}
  const link = {
    url: 'nats://test',
    log: silentLog,
    connected: () => true,
    onBack: (handler: () => void) => {
      back = handler
      return () => {
        back = () => {}
      }
    },
    onClosed: () => {},
  } as unknown as Link
  const streams = {
    manager: { streams: { info: () => Promise.resolve({ config: { max_age: TTL_MS * 1_000_000 } }) } },
  } as unknown as Streams
  const result = await takeLease(link, streams, { name: 'L', holder, ttlMs: TTL_MS, onLost: () => void (lost += 1) })
  if (!result.held) return { holder: result.holder }
  onTestFinished(() => result.release())
  return { lease: result, lost: () => lost, back: () => back() }
}

async function hold(holder: string): Promise<Holder> {
  const taken = await take(holder)
  if (!('lease' in taken)) throw new Error(`${taken.holder} holds it`)
  return taken
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/**
 * The machine is suspended: the monotonic clock and all timers stand still, the wall clock and everybody else go on.
 */
const suspend = (ms: number) => vi.setSystemTime(Date.now() + ms)

describe('lease', () => {
  test('is held by one, and tells another one by whom', async () => {
    const { lease } = await hold('process 1')
    expect(lease.isSure()).toBe(true)
    expect(await take('process 2')).toEqual({ holder: 'process 1' })
  })

  test('is renewed in time, for as long as its holder lives', async () => {
    const { lease, lost } = await hold('process 1')
    for (let n = 0; n < 100; n++) {
      await pass(333)
      expect(lease.isSure()).toBe(true)
      expect(present()).toContain('process 1')
    }
    expect([lease.lapses(), lost()]).toEqual([0, 0])
  })

  test('while the server is away its holder is sure for its time and no longer; back in time, nobody was ever in doubt', async () => {
    const { lease } = await hold('process 1')
    bucket.faults = ['away', 'away', 'away', 'away']
    await pass(TTL_MS - 1)
    expect(lease.isSure()).toBe(true)
    await pass(1)
    expect(lease.isSure()).toBe(false)
    bucket.faults = []
    await pass(TTL_MS / 3)
    expect(lease.isSure()).toBe(true)
    // The entry had expired meanwhile: another one may have held it and given it back.
    expect(lease.lapses()).toBe(1)
  })

  test('is renewed at once when the server is back', async () => {
    const { lease, back } = await hold('process 1')
    bucket.faults = ['away', 'away', 'away']
    await pass(TTL_MS)
    bucket.faults = []
    expect(lease.isSure()).toBe(false)
    back()
    await pass(0)
    expect(lease.isSure()).toBe(true)
  })

  test('a renewal counts from when it was asked for, not from when it was answered', async () => {
    const { lease } = await hold('process 1')
    const asked = Date.now() + Math.floor(TTL_MS / 3)
    bucket.faults = ['slow', 'away', 'away', 'away', 'away']
    await pass(asked + TTL_MS - Date.now() - 1)
    expect(lease.isSure()).toBe(true)
    await pass(2)
    expect(lease.isSure()).toBe(false)
  })

  test('a renewal whose answer was lost is no loss', async () => {
    const { lease, lost } = await hold('process 1')
    bucket.faults = ['answerLost']
    await pass(TTL_MS / 3)
    await pass(TTL_MS / 3)
    expect(lease.isSure()).toBe(true)
    await pass(10 * TTL_MS)
    expect([lease.lapses(), lost()]).toEqual([0, 0])
  })

  test('whoever finds that another one has it has lost it: told once, never sure again, and renews nothing', async () => {
    const { lease, lost } = await hold('process 1')
    bucket.faults = ['away', 'away', 'away']
    await pass(TTL_MS)
    bucket.faults = []
    const second = await hold('process 2')
    await pass(TTL_MS / 3)
    expect([lease.isSure(), lost()]).toEqual([false, 1])
    await second.lease.release()
    const { asked } = bucket
    await pass(5 * TTL_MS)
    expect([lost(), bucket.asked]).toEqual([1, asked])
  })

  test('released, another one has it at once; what is lost is not released', async () => {
    const first = await hold('process 1')
    await first.lease.release()
    expect(first.lease.isSure()).toBe(false)
    const second = await hold('process 2')
    await first.lease.release()
    expect(present()).toContain('process 2')
    expect([first.lost(), second.lost()]).toEqual([0, 0])
  })

  test('a machine that wakes up after its lease is not sure, though its monotonic clock says that no time has passed', async () => {
    const { lease } = await hold('process 1')
    await pass(100)
    suspend(60_000)
    expect(lease.isSure()).toBe(false)
    await pass(TTL_MS / 3)
    expect([lease.isSure(), lease.lapses()]).toEqual([true, 1])
  })

  test('a machine that slept for less than its lease is sure for the rest of it', async () => {
    const { lease } = await hold('process 1')
    suspend(TTL_MS - 200)
    expect(lease.isSure()).toBe(true)
    bucket.faults = ['away', 'away', 'away']
    await pass(200)
    expect(lease.isSure()).toBe(false)
  })

  test('a wall clock that is set back makes nobody surer', async () => {
    const { lease } = await hold('process 1')
    bucket.faults = ['away', 'away', 'away', 'away']
    vi.setSystemTime(Date.now() - 3_600_000)
    await pass(TTL_MS - 1)
    expect(lease.isSure()).toBe(true)
    await pass(1)
    expect(lease.isSure()).toBe(false)
  })
})

describe('the clock of a lease', () => {
  test('passes as time does, jumps with the wall clock forward and never back', async () => {
    const now = createLeaseClock()
    const began = now()
    await pass(1_000)
    expect(now() - began).toBe(1_000)
    suspend(5_000)
    expect(now() - began).toBe(6_000)
    vi.setSystemTime(Date.now() - 3_600_000)
    expect(now() - began).toBe(6_000)
    suspend(5_000)
    expect(now() - began).toBe(11_000)
  })

  test('small corrections are none', () => {
    const now = createLeaseClock()
    const began = now()
    for (let n = 0; n < 100; n++) {
      suspend(20)
      now()
      suspend(-20)
      now()
    }
    expect(now()).toBe(began)
  })
})
