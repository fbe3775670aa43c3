/**
 * What is looked at once, not in every round: a queue that grows, what comes back after a blow, and the memory of jobs.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Host } from './hosts.ts'
import { type Bench, WARM_UP, withHost } from './measures.ts'
import type { Peer } from './port.ts'
import { countNamed, cpuMs, memoryKb } from './processTree.ts'
import type { Sheet } from './sheet.ts'

/**
 * The cost of a job with more and more waiting; how it comes back after kill -9 with all of them; how fast what it
 * wrote is replayed.
 */
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
    // One that fails must not hide the other; the blow comes last.
    const [replayed, recovered] = [await attempted(replay), await attempted(recover)]
    for (const problem of [replayed, recovered]) if (problem !== null) throw problem

    async function replay(): Promise<void> {
      if (can.has('replay')) sheet.note(name, 'replayed entries/s', await host.replay())
    }

    async function recover(): Promise<void> {
      if (!can.has('recover')) return
      const { ms, starts, waitedBefore, waiting } = await host.recover()
      sheet.note(name, `recovery ms, ${queued} queued`, ms)
      sheet.note(name, `starts after kill -9, ${queued} queued`, starts)
      sheet.note(name, 'queued jobs lost by kill -9', waitedBefore - waiting)
    }
  })
}

/** null, or what went wrong. */
async function attempted(act: () => Promise<void>): Promise<Error | null> {
  try {
    await act()
    return null
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
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
