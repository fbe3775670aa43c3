/**
 * A lease in a KV bucket whose entries expire: whoever creates the key holds the name, renewing it every third of its
 * time. It decides only who tries; the place a log's writer expects decides who writes.
 */
import { randomUUID } from 'node:crypto'
import { JetStreamApiCodes, JetStreamApiError, jetstream, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import { createLeaseClock } from './lease-clock.ts'
import type { Link } from './nats-link.ts'
import { explain, isGone, nanoseconds, type Streams } from './nats-streams.ts'
import type { LeaseOptions, LeaseResult } from './port.ts'

const key = 'holder'

const leaseNow = createLeaseClock()

/** Two renewals may fail before the lease runs out. */
const renewalsPerLease = 3

export async function takeLease(link: Link, streams: Streams, options: LeaseOptions): Promise<LeaseResult> {
  try {
    const bucket = await openBucket(link, streams, options)
    const value = JSON.stringify({ holder: options.holder, token: randomUUID() })
    const askedAt = leaseNow()
    const revision = await tryCreate(bucket, value)
    if (revision !== null) return hold(link, streams, bucket, value, { revision, askedAt }, options)
    const current = await bucket.get(key)
    return { held: false, holder: current === null ? 'unknown' : holderIn(current.string()) }
  } catch (error) {
    throw explain(error, link, `the lease ${options.name}`)
  }
}

async function openBucket(link: Link, streams: Streams, options: LeaseOptions): Promise<KV> {
  const ttl = options.ttlMs
  // A renewal that takes longer than its turn has failed; the next one asks again.
  const client = jetstream(link.connection, { timeout: ttl / renewalsPerLease })
  // In a file, though it lives for seconds: a server that restarts must not give the name away.
  const bucket = await new Kvm(client).create(options.name, { ttl, storage: StorageType.File, history: 1 })
  const stream = `KV_${options.name}`
  const { config } = await streams.manager.streams.info(stream)
  if (config.max_age !== nanoseconds(ttl)) {
    await streams.manager.streams.update(stream, { max_age: nanoseconds(ttl), duplicate_window: nanoseconds(ttl) })
  }
  return bucket
}

function hold(
  link: Link,
  streams: Streams,
  openedBucket: KV,
  value: string,
  first: { readonly revision: number; readonly askedAt: number },
  options: LeaseOptions,
): LeaseResult {
  let { revision, askedAt: renewedAt } = first
  let lapses = 0
  let bucket = openedBucket
  let hasComplained = false
  let state: 'held' | 'released' | 'lost' = 'held'
  let renewing: Promise<void> | null = null

  const timer = setInterval(tryRenew, options.ttlMs / renewalsPerLease)
  timer.unref()
  const stopHearing = link.onBack(tryRenew)
  link.onClosed(stop)

  return {
    held: true,
    isSure: () => state === 'held' && leaseNow() - renewedAt < options.ttlMs,
    lapses: () => lapses,
    release: async () => {
      if (state !== 'held') return
      state = 'released'
      stop()
      await renewing
      await bucket.delete(key, { previousSeq: revision }).catch(() => {})
    },
  }

  function tryRenew(): void {
    renewing ??= renew().finally(() => {
      renewing = null
    })
  }

  function stop(): void {
    clearInterval(timer)
    stopHearing()
  }

  async function renew(): Promise<void> {
    const askedAt = leaseNow()
    try {
      const next = await bucket.update(key, value, revision).catch(async (error: unknown) => {
        if (isWrongRevision(error)) return await adopt()
        throw error
      })
      if (next === null) {
        lose('is held by someone else')
        return
      }
      revision = next
      renewedAt = askedAt
      if (hasComplained) link.log.info({ lease: options.name }, `The lease ${options.name} is renewed again.`)
      hasComplained = false
    } catch (error) {
      // A server that is away or has no space gives the name to nobody else either; whoever must be sure asks isSure.
      await whenNotRenewed(error)
    }
  }

  async function whenNotRenewed(error: unknown): Promise<void> {
    if (state !== 'held' || !link.connected()) return
    const because = error instanceof Error ? error.message : String(error)
    try {
      if (await isGone(streams, `KV_${options.name}`)) {
        // While it was gone somebody else may have made it and given the lease back: the next renewal takes the key
        // anew, and counts that.
        bucket = await openBucket(link, streams, options)
        link.log.warn({ lease: options.name }, `The bucket of the lease ${options.name} was gone; it was made again.`)
        return
      }
    } catch {
      // Said below.
    }
    if (hasComplained || leaseNow() - renewedAt < options.ttlMs) return
    hasComplained = true
    link.log.error(
      { lease: options.name, because },
      `The lease ${options.name} cannot be renewed at ${link.url}: ${because}; nothing is said or started until it can.`,
    )
  }

  /** A renewal whose answer was lost, or one that came just too late: the lease may still be ours. */
  async function adopt(): Promise<number | null> {
    const current = await bucket.get(key)
    // Ours, but since when? Only a renewal that is asked for now makes it last from now.
    if (current !== null && current.string() === value) return await bucket.update(key, value, current.revision)
    const created = await tryCreate(bucket, value)
    if (created !== null) lapses += 1
    return created
  }

  function lose(why: string): void {
    if (state !== 'held') return
    state = 'lost'
    stop()
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
