/** What is measured, and how: a round gives every system the same work, one after the other; growth and memory are looked at once. */
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { readStamps } from './clock.ts'
import { type Host, startHost } from './hosts.ts'
import type { Peer, Work } from './port.ts'
import { countNamed, cpuMs, memoryKb } from './processTree.ts'
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
    await host.run(works.trues(many(WARM_UP)))
    const c = `c${concurrency}`
    const trues = works.trues(many(sizes.trues))
    const nothing = await host.run(trues)
    sheet.note(peer.name, `true ${c} jobs/s`, trues.count / nothing.seconds)
    sheet.note(peer.name, `true ${c} CPU ms/job`, nothing.cpuMs / trues.count)
    sheet.noteTimes(peer.name, `true ${c} accepted ms`, nothing.accepted)
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

/** About so many, with every slot taken to the end: half a wave of long jobs would say more of itself than of the system. */
function inWaves(count: number, concurrency: number): number {
  return Math.max(1, Math.floor(count / concurrency)) * concurrency
}

/** Compiles what is compiled late, opens what is opened late; BullMQ, Celery and OCPS all gain by it. */
const WARM_UP = 100

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

/** The cost of a job with more and more waiting; how it comes back after kill -9 with all of them; how fast what it wrote is replayed. */
export async function growth(bench: Bench, peer: Peer): Promise<void> {
  const { sheet, sizes } = bench
  const { name } = peer
  const depths = peer.depths.filter(depth => depth <= sizes.depthMax)
  if (depths.length === 0) return
  await withHost(bench, peer, GROWTH_CONCURRENCY, async host => {
    const { works, can, pid } = host
    await host.run(works.trues(WARM_UP))
    if (can.has('recover')) sheet.note(name, 'recovery ms, nothing queued', (await host.recover()).ms)
    await host.run(works.trues(WARM_UP))
    if (can.has('heartbeats')) await host.heartbeats()
    await host.hold()
    let queued = 0
    for (const depth of depths) {
      await host.fill(works.trues(depth - queued))
      queued = depth
      sheet.note(name, `memory kB, ${depth} queued`, memoryKb(pid, isOurs(host)))
      for (let at = 0; at < sizes.batches; at += 1) {
        const before = { at: performance.now(), cpu: cpuMs(pid) }
        sheet.noteTimes(name, `accepted ms, ${depth} queued`, await host.fill(works.trues(sizes.batch)))
        sheet.note(name, `accepted/s, ${depth} queued`, sizes.batch / ((performance.now() - before.at) / 1_000))
        sheet.note(name, `jobs/s, ${depth} queued`, sizes.batch / (await host.drain(sizes.batch)))
        sheet.note(name, `CPU ms/job, ${depth} queued`, (cpuMs(pid) - before.cpu) / sizes.batch)
      }
    }
    if (can.has('heartbeats')) jitter(sheet, name, await host.heartbeats())
    if (can.has('recover')) {
      const { ms, starts, waitedBefore, waiting } = await host.recover()
      sheet.note(name, `recovery ms, ${queued} queued`, ms)
      sheet.note(name, `starts after kill -9, ${queued} queued`, starts)
      sheet.note(name, 'queued jobs lost by kill -9', waitedBefore - waiting)
    }
    if (can.has('replay')) sheet.note(name, 'replayed entries/s', await host.replay())
  })
}

const GROWTH_CONCURRENCY = 8
/** A heartbeat is said once a second. */
const HEARTBEAT_MS = 1_000

function jitter(sheet: Sheet, name: string, heard: readonly number[]): void {
  const off = heard.slice(1).map((at, index) => Math.abs(at - (heard[index] ?? at) - HEARTBEAT_MS))
  sheet.noteTimes(name, 'heartbeat off by ms', off)
  if (off.length > 0) sheet.note(name, 'heartbeat off by ms max', Math.max(...off))
}

/** What a job takes in memory while its process lives, besides that process. */
export async function memory(bench: Bench, peer: Peer): Promise<void> {
  if (peer.liveMax === null) return
  const live = Math.min(peer.liveMax, bench.sizes.liveMax)
  await withHost(bench, peer, live, async host => {
    // As many as are looked at later, so that heaps have grown before.
    await host.run(host.works.trues(live * 2))
    const idle = memoryKb(host.pid, isOurs(host))
    bench.sheet.note(peer.name, 'memory kB, idle', idle)
    const running = host.run(host.works.lingering(live))
    // Looked at in the end: a peer that fails meanwhile must not end the bench by an unhandled rejection.
    running.catch(() => {})
    const deadline = performance.now() + LIVE_MS_MAX
    while (countNamed(host.pid, 'sleep') < live && performance.now() < deadline) await delay(20)
    if (countNamed(host.pid, 'sleep') === live)
      bench.sheet.note(peer.name, 'memory kB per live job', (memoryKb(host.pid, isOurs(host)) - idle) / live)
    await running
  })
}

/** The jobs end after three seconds. */
const LIVE_MS_MAX = 5_000

/** Processes that are not the peer's: the jobs, the script, and what counts the CPU. */
function isOurs(host: Host): (process: { pid: number; name: string }) => boolean {
  return ({ pid, name }) => pid === host.pid || pid === host.scriptPid || name === 'sleep' || name === 'true'
}

async function withHost(
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
