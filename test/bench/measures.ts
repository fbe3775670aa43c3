/** A round: what every system is given, one after the other, and how it is timed. */
import { rmSync } from 'node:fs'
import { readStamps } from './clock.ts'
import { type Host, startHost } from './hosts.ts'
import type { Peer, Work } from './port.ts'
import type { Sheet } from './sheet.ts'
import type { Sizes } from './sizes.ts'
import { SLEEP_SECONDS } from './works.ts'

export interface Bench {
  readonly sheet: Sheet
  readonly sizes: Sizes
  readonly frame: string
  readonly stamp: string | null
}

/** One peer's part of a round at one concurrency; its path and groups are looked at only where `isLast`. */
export async function throughput(bench: Bench, peer: Peer, concurrency: number, isLast: boolean): Promise<void> {
  const { sheet, sizes } = bench
  await withHost(bench, peer, concurrency, async host => {
    const { works, can } = host
    const many = (count: number): number => Math.min(count, peer.jobsMax ?? count)
    await warmUp(host, peer)
    const c = `c${concurrency}`
    const trues = works.trues(many(sizes.trues))
    if (can.has('delays')) await host.delays()
    const nothing = await host.run(trues)
    sheet.note(peer.name, `true ${c} jobs/s`, trues.count / nothing.seconds)
    sheet.note(peer.name, `true ${c} CPU ms/job`, nothing.cpuMs / trues.count)
    sheet.noteTimes(peer.name, `true ${c} accepted ms`, nothing.accepted)
    if (can.has('delays')) {
      const { p50, p99 } = await host.delays()
      sheet.note(peer.name, `event loop late ${c} ms p50`, p50)
      sheet.note(peer.name, `event loop late ${c} ms p99`, p99)
    }
    const sleeps = works.sleeps(many(sizes.sleeps))
    const { seconds } = await host.run(sleeps)
    sheet.note(peer.name, `sleep ${c} of ideal`, (sleeps.count * SLEEP_SECONDS) / concurrency / seconds)
    const quicklooks = works.quicklooks(
      inWaves(sizes.quicklooks / sizes.rounds / sizes.concurrencies.length, concurrency),
    )
    sheet.note(peer.name, `quicklook ${c} jobs/s`, quicklooks.count / (await host.run(quicklooks)).seconds)
    if (!isLast) return
    if (can.has('watch')) await path(sheet, host, works.stamps(Math.min(sizes.watched, peer.watchedMax)))
    if (can.has('gather'))
      await gathers(sheet, host, works.stamps(sizes.members), peer.jobsMax === null ? sizes.gathers : 1)
  })
}

/**
 * About so many, with every slot taken to the end: half a wave of long jobs would say more of itself than of the
 * system.
 */
function inWaves(count: number, concurrency: number): number {
  return Math.max(1, Math.floor(count / concurrency)) * concurrency
}

/**
 * Compiles what is compiled late, opens what is opened late: a queue runs all night, and it is the night that is to be
 * compared. OCPS, BullMQ and the Node loop all gain by it; those that are slow, or have been warm from the beginning,
 * are let go after some seconds.
 */
async function warmUp(host: Host, peer: Peer): Promise<void> {
  const until = performance.now() + WARM_UP_MS
  const most = Math.min(WARM_UP_MAX, peer.jobsMax ?? WARM_UP_MAX)
  for (let done = 0; done < most && performance.now() < until; done += WARM_UP)
    await host.run(host.works.trues(WARM_UP))
}

/** Jobs at a time. */
export const WARM_UP = 100
const WARM_UP_MAX = 2_000
const WARM_UP_MS = 4_000

async function path(sheet: Sheet, host: Host, work: Work): Promise<void> {
  rmSync(host.works.stampFile, { force: true })
  const { submitted, accepted, seen } = await host.watch(work)
  const started = readStamps(host.works.stampFile)
  const of = (to: (id: string) => number | undefined, from: (id: string) => number | undefined): number[] =>
    Object.keys(seen).map(id => (to(id) ?? Number.NaN) - (from(id) ?? Number.NaN))
  if (Object.keys(seen).some(id => !started.has(id)))
    throw new Error(`${host.peer.name} answered for jobs that never ran`)
  const { name } = host.peer
  sheet.noteTimes(
    name,
    'submit → accepted ms',
    of(
      id => accepted[id],
      id => submitted[id],
    ),
  )
  sheet.noteTimes(
    name,
    'submit → started ms',
    of(
      id => started.get(id),
      id => submitted[id],
    ),
  )
  sheet.noteTimes(
    name,
    'end → seen ms',
    of(
      id => seen[id],
      id => started.get(id),
    ),
  )
}

async function gathers(sheet: Sheet, host: Host, work: Work, count: number): Promise<void> {
  const gaps: number[] = []
  for (let at = 0; at < count; at += 1) {
    rmSync(host.works.stampFile, { force: true })
    await host.gather(work)
    const started = readStamps(host.works.stampFile)
    const combined = started.get('gather')
    started.delete('gather')
    if (combined === undefined || started.size !== work.count)
      throw new Error(
        `${host.peer.name} ran ${started.size} of ${work.count} members and ${combined === undefined ? 'no' : 'the'} gather`,
      )
    gaps.push(combined - Math.max(...started.values()))
  }
  sheet.noteTimes(host.peer.name, 'last member → gather ms', gaps)
}

/** Starts a peer for as long as it is used; nothing of it is left, however that ends. */
export async function withHost(
  bench: Bench,
  peer: Peer,
  concurrency: number,
  use: (host: Host) => Promise<void>,
): Promise<void> {
  const host = await startHost(peer, concurrency, bench)
  try {
    await use(host)
  } catch (error) {
    // The first reason is the one to be told.
    await host.stop().catch(() => {})
    throw error
  }
  await host.stop()
}
