/**
 * One whole run: every system that is wanted and there, round by round. Promises that nothing it started is left
 * running, also after Ctrl-C; what to do with the figures is main.ts's and gate.ts's.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { endHosts, removeFolders } from './hosts.ts'
import { natsLimits } from './limits.ts'
import { growth, memory } from './depth.ts'
import { type Bench, throughput } from './measures.ts'
import { peers } from './peers/index.ts'
import type { Peer } from './port.ts'
import { Sheet } from './sheet.ts'
import type { Sizes } from './sizes.ts'
import { native } from './tools.ts'
import { frameIn } from './works.ts'

export interface Result {
  readonly machine: Readonly<Record<string, string | number>>
  readonly sheet: Sheet
  /** Those that were measured, in the order of the peers. */
  readonly systems: readonly Peer[]
  readonly versions: ReadonlyMap<string, string>
  /** Why a system is not measured, or not to the end; one sentence each. */
  readonly skipped: readonly string[]
  /** Whether OCPS itself was measured to the end. */
  readonly isComplete: boolean
}

const LIMITS = ['node-spawn', 'c-posix_spawn', 'nats-server']

/** What `only` may name. */
export const names: readonly string[] = [...peers.map(({ name }) => name), 'nats-server', 'limits']

/** `only`: names of systems, or `limits` for the bare loops and the message server; null: all. */
export async function bench(sizes: Sizes, only: readonly string[] | null): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-bench-'))
  const interrupt = (code: number) => (): void =>
    void endHosts().finally(() => {
      rmSync(dir, { recursive: true, force: true })
      process.exit(code)
    })
  process.on('SIGINT', interrupt(130))
  process.on('SIGTERM', interrupt(143))
  try {
    return await measure(dir, sizes, only)
  } finally {
    removeFolders()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function measure(dir: string, sizes: Sizes, only: readonly string[] | null): Promise<Result> {
  const began = performance.now()
  const { path: frame, what } = await frameIn(dir)
  const it: Bench = { sheet: new Sheet(), sizes, frame, stamp: await native('stamp') }
  const skipped: string[] = []
  const versions = new Map<string, string>()
  const systems: Peer[] = []
  for (const peer of peers.filter(({ name }) => isWanted(name, only))) {
    const reason = await peer.available()
    if (reason !== null) skipped.push(reason)
    else systems.push(peer)
    if (reason === null) versions.set(peer.name, await peer.version())
  }
  let left = systems
  /** A system that fails once is left out from then on, so that the values of the others stay round by round. */
  const each = async (stage: string, act: (peer: Peer) => Promise<void>): Promise<void> => {
    for (const peer of left) {
      say(`${stage}: ${peer.name}`)
      await act(peer).catch((error: unknown) => {
        const sentence = `${peer.name} failed (${stage}): ${error instanceof Error ? error.message : String(error)}`
        say(sentence)
        skipped.push(sentence)
        left = left.filter(one => one !== peer)
      })
    }
  }

  for (let round = 1; round <= sizes.rounds; round += 1) {
    for (const concurrency of sizes.concurrencies)
      await each(`round ${round} of ${sizes.rounds}, ${concurrency} at a time`, peer =>
        throughput(it, peer, concurrency, concurrency === sizes.concurrencies.at(-1)),
      )
    if (isWanted('nats-server', only)) versions.set('nats-server', await messages(it, join(dir, `nats-${round}`)))
    // Who comes first in one round comes last in the next.
    left = [...left.slice(1), ...left.slice(0, 1)]
  }
  await each('memory of live jobs', peer => memory(it, peer))
  await each('a queue that grows', peer => growth(it, peer))

  const machine = {
    node: process.versions.node,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    frame: what,
    stamps: it.stamp === null ? 'by date, a millisecond later than they could be' : 'by a C program',
    rounds: sizes.rounds,
    minutes: Number(((performance.now() - began) / 60_000).toFixed(1)),
  }
  const isComplete = !systems.some(({ name }) => name === 'ocps') || left.some(({ name }) => name === 'ocps')
  return { machine, sheet: it.sheet, systems, versions, skipped, isComplete }
}

/** Returns the server's version. */
async function messages({ sheet, sizes }: Bench, storeDir: string): Promise<string> {
  say('the message server alone')
  const limits = await natsLimits(storeDir, sizes.watched, sizes.messages)
  sheet.noteTimes('nats-server', 'publish ms', limits.publish)
  sheet.noteTimes('nats-server', 'request ms', limits.request)
  sheet.noteTimes('nats-server', 'chain ms', limits.chain)
  sheet.note('nats-server', 'publish/s', limits.publishPerSecond)
  sheet.note('nats-server', 'request/s', limits.requestPerSecond)
  return limits.version
}

function isWanted(name: string, only: readonly string[] | null): boolean {
  return only === null || only.includes(name) || (LIMITS.includes(name) && only.includes('limits'))
}

/** How far it is. On standard error: the tables are for standard output. */
function say(text: string): void {
  process.stderr.write(`bench, ${Math.round(performance.now() / 1_000)} s: ${text}\n`)
}
