/**
 * A lease in a KV bucket whose entries expire: whoever creates the key holds the name, renewing it every third of its time. It decides
 * only who tries; the log's id chain decides who writes.
 */
import { randomUUID } from 'node:crypto'
import { JetStreamApiCodes, JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { Link } from './nats-link.ts'
import { explain, nanoseconds, type Streams } from './nats-streams.ts'
import type { LeaseOptions, LeaseResult } from './port.ts'

const key = 'holder'

/** Two renewals may fail before the lease runs out. */
const renewalsPerLease = 3

export async function takeLease(link: Link, streams: Streams, options: LeaseOptions): Promise<LeaseResult> {
  try {
    const bucket = await openBucket(streams, options)
    const value = JSON.stringify({ holder: options.holder, token: randomUUID() })
    const revision = await tryCreate(bucket, value)
    if (revision !== null) return hold(link, bucket, value, revision, options)
    const current = await bucket.get(key)
    return { held: false, holder: current === null ? 'unknown' : holderIn(current.string()) }
  } catch (error) {
    throw explain(error, link, `the lease ${options.name}`)
  }
}

async function openBucket(streams: Streams, options: LeaseOptions): Promise<KV> {
  const ttl = options.ttlMs
  const bucket = await new Kvm(streams.client).create(options.name, { ttl, storage: StorageType.Memory, history: 1 })
  const stream = `KV_${options.name}`
  const { config } = await streams.manager.streams.info(stream)
  if (config.max_age !== nanoseconds(ttl)) {
    await streams.manager.streams.update(stream, { max_age: nanoseconds(ttl), duplicate_window: nanoseconds(ttl) })
  }
  return bucket
}

async function hold(link: Link, bucket: KV, value: string, first: number, options: LeaseOptions): Promise<LeaseResult> {
  let revision = first
  let renewedAt = performance.now()
  let state: 'held' | 'released' | 'lost' = 'held'
  let renewing: Promise<void> = Promise.resolve()

  const timer = setInterval(() => {
    renewing = renew()
  }, options.ttlMs / renewalsPerLease)
  timer.unref()
  link.onClosed(() => clearInterval(timer))

  return {
    held: true,
    release: async () => {
      if (state !== 'held') return
      state = 'released'
      clearInterval(timer)
      await renewing
      await bucket.delete(key, { previousSeq: revision }).catch(() => {})
    },
  }

  async function renew(): Promise<void> {
    const askedAt = performance.now()
    try {
      revision = await bucket.update(key, value, revision)
      renewedAt = askedAt
    } catch (error) {
      if (!isWrongRevision(error)) {
        // The server is away; the lease runs out by our clock as it does by its.
        if (performance.now() - renewedAt > options.ttlMs) lose('could not be renewed in time')
        return
      }
      const again = await adopt().catch(() => null)
      if (again === null) lose('is held by someone else')
      else {
        revision = again
        renewedAt = askedAt
      }
    }
  }

  /** A renewal whose answer was lost, or a server that came back with empty memory: the lease may still be ours. */
  async function adopt(): Promise<number | null> {
    const current = await bucket.get(key)
    if (current !== null && current.string() === value) return current.revision
    return await tryCreate(bucket, value)
  }

  function lose(why: string): void {
    if (state !== 'held') return
    state = 'lost'
    clearInterval(timer)
    link.log.warn({ lease: options.name, holder: options.holder }, `The lease ${options.name} ${why}.`)
    options.onLost()
  }
}

async function tryCreate(bucket: KV, value: string): Promise<number | null> {
  try {
    return await bucket.create(key, value)
  } catch (error) {
    if (isWrongRevision(error)) return null
    throw error
  }
}

function isWrongRevision(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence
}

function holderIn(text: string): string {
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null && 'holder' in value && typeof value.holder === 'string')
    return value.holder
  return 'unknown'
}
