import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { GroupResult, JobResult } from '../../machines/domain/announcements.ts'
import { connectNats } from '../../src/bus/nats.ts'
import type { Bus } from '../../src/bus/port.ts'
import { createRandom } from '../../src/sim/random.ts'
import { audit, show } from './audit.ts'
import { measure } from './measure.ts'
import { marked, signal } from './processes.ts'
import { createWorld, helper, INSTANCE, removeWorld, type World } from './world.ts'

/**
 * `npm run chaos -- --rounds 200 --seed 7 --long-outages 4`: the real thing under load while its processes are killed
 * and frozen at random moments; then an audit from the outside. The seed decides what is done in which order; what the
 * machine makes of it is different every time. Exit code 1 when anything that must be zero is not.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    'without-standby': { type: 'boolean', default: false },
    /** So many times nats-server is away for half a minute, evenly spread over the rounds. */
    'long-outages': { type: 'string', default: '0' },
    measure: { type: 'boolean', default: false },
    /** The files, and what was said before each process that was replaced ended. */
    keep: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const random = createRandom(Number(values.seed), 'chaos')
const between = (least: number, most: number) => least + (most - least) * random.uniform()

/** How long everything may take to settle after the last round. */
const DRAIN_MS = 180_000
/** Leftovers get a second of grace from their launcher, or two from who finds them. */
const GONE_MS = 8_000
/** Most blows are for one who has work in hand; the others fall while someone is just coming back. */
const RECOVERED_FIRST = 0.8
const RECOVERED_MS = 10_000
const LONG_OUTAGE_MS = 30_000
const SHOWN_MAX = 20

type Round = (world: World) => string
const active = (world: World) => world.slots.find(slot => slot.isActive())
const standby = (world: World) => world.slots.find(slot => !slot.isActive() && slot.pid() !== null)
const frozen = new Set<number>()
const launchersKilled = new Set<number>()

/** What can be done, and how often relative to the others. */
const repertoire: readonly (readonly [number, Round])[] = [
  [25, world => hurt(active(world), 'SIGKILL')],
  [15, world => freeze(world, active(world)?.pid() ?? null, 'active OCPS', between(300, 5_000))],
  [8, world => hurt(standby(world), 'SIGKILL')],
  [4, world => freeze(world, standby(world)?.pid() ?? null, 'standby', between(300, 3_000))],
  [7, world => hurt(active(world), 'SIGTERM')],
  [14, serverDown],
  [8, world => freeze(world, world.serverPid(), 'nats-server', between(200, 2_500))],
  [7, world => killOne(world, 'launcher')],
  [5, world => freeze(world, one(world, 'launcher'), 'launcher', between(200, 2_500))],
  [7, world => killOne(world, 'job')],
  [6, stepClock],
]

if (values.measure) await measure()
else process.exit(await run())

async function run(): Promise<number> {
  const world = await createWorld(values['without-standby'] ? 1 : 2)
  const loadFile = join(world.dir, 'load.ndjson')
  const auditFile = join(world.dir, 'audit.ndjson')
  const auditor = helper('auditor', world.url, auditFile)
  const done: Record<string, number> = {}
  let verdict = 1
  let isOdd = false
  let load = null
  try {
    await once(auditor, 'message')
    await until('an instance serves', () => active(world) !== undefined)
    load = helper('load', world.url, loadFile, values.seed)
    const drained = once(load, 'message')
    for (let round = 1; round <= rounds; round += 1) {
      await delay(between(100, 1_500))
      if (random.uniform() < RECOVERED_FIRST)
        await until('', () => active(world) !== undefined, RECOVERED_MS).catch(() => {})
      const what = isLong(round) ? longOutage(world) : something(world)
      done[what] = (done[what] ?? 0) + 1
      world.note(what)
      process.stderr.write(`\rround ${round} of ${rounds}: ${what.padEnd(50)}`)
    }
    process.stderr.write('\ndraining\n')
    await until('everything frozen goes on', () => frozen.size === 0)
    load.send('stop')
    await Promise.race([drained, late('commands were not all answered')])
    const bus = await connectNats({ url: world.url, name: 'chaos', waitForServer: true })
    await until('no job is open', async () => (await ask<{ open: number }>(bus, 'jobs'))?.open === 0)
    await delay(1_000)
    const running = marked(world.workDir)
      .filter(({ kind }) => kind === 'job')
      .map(({ pid, what }) => `job process ${pid} of ${what}`)
    const asked = {
      result: async (jobId: string) => (await ask<{ result: JobResult | null }>(bus, 'job', { jobId }))?.result ?? null,
      group: async (group: string) =>
        (await ask<{ result: GroupResult | null }>(bus, 'group', { group }))?.result ?? null,
    }
    const evidence = { loadFile, auditFile, ranFile: world.ranFile, launchersKilled, ...asked }
    const before = await audit({ ...evidence, orphans: [] })
    await bus.close()
    auditor.send('stop')
    await once(auditor, 'exit')
    await world.stop()
    await until('all launchers have ended', () => marked(world.workDir).length === 0, GONE_MS).catch(() => {})
    const left = [...running, ...marked(world.workDir).map(({ kind, pid, what }) => `${kind} ${pid} ${what}`)]
    const rows = before.map(row =>
      row.what === 'orphan processes' ? { ...row, count: left.length, which: left } : row,
    )
    const isWrong = rows.some(({ mustBeZero, count }) => mustBeZero && count > 0)
    const story = Object.entries(done).map(([what, count]) => `${String(count).padStart(5)}  ${what}`)
    console.log(`seed ${values.seed}, ${rounds} rounds\n${story.join('\n')}\n\n${show(rows)}`)
    const replaced = world.surprises.filter(({ isReplaced }) => isReplaced)
    const unexplained = world.surprises.filter(({ isReplaced }) => !isReplaced)
    console.log(`\nstood by again because they could not take over just then: ${world.again.length}`)
    if (values.keep) for (const line of world.again.slice(0, SHOWN_MAX)) console.log(`  ${line.slice(0, 300)}`)
    console.log(`ended by themselves because another process had taken their place: ${replaced.length}`)
    console.log(`ended by themselves for another reason: ${unexplained.length}`)
    for (const { what, before } of (values.keep ? world.surprises : unexplained).slice(0, SHOWN_MAX))
      console.log(`  ${what}${before.map(line => `\n      ${line.slice(0, 300)}`).join('')}`)
    isOdd = unexplained.length > 0
    verdict = isWrong ? 1 : 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
  } finally {
    load?.kill('SIGKILL')
    auditor.kill('SIGKILL')
    await world.stop()
    for (const { pid } of marked(world.workDir)) signal(pid, 'SIGKILL')
    if (verdict === 0 && !isOdd && !values.keep) removeWorld(world)
    else console.log(`the files are kept in ${world.dir}`)
  }
  return verdict
}

function isLong(round: number): boolean {
  const outages = Number(values['long-outages'])
  return Math.floor((round / rounds) * outages + 0.5) > Math.floor(((round - 1) / rounds) * outages + 0.5)
}

/** Now and then there is nobody of the kind chosen; then something else is done. */
function something(world: World): string {
  for (let tries = 0; tries < 10; tries += 1) {
    const what = choose()(world)
    if (!what.startsWith('no')) return what
  }
  return 'nothing could be done'
}

function choose(): Round {
  const total = repertoire.reduce((sum, [weight]) => sum + weight, 0)
  let left = random.uniform() * total
  for (const [weight, round] of repertoire) {
    left -= weight
    if (left < 0) return round
  }
  throw new Error('impossible: no round was chosen')
}

function hurt(slot: World['slots'][number] | undefined, name: NodeJS.Signals): string {
  const pid = slot?.pid() ?? null
  if (!slot || pid === null) return 'nobody there to hurt'
  const what = `${name} to the ${slot.isActive() ? 'active OCPS' : 'standby'}`
  slot.expectEnd()
  // Frozen ones are not asked to end in an orderly way: they cannot hear it.
  signal(pid, name)
  return what
}

/** The end of the freeze does not wait for the next rounds, nor they for it. */
function freeze(world: World, pid: number | null, who: string, ms: number): string {
  if (pid === null || frozen.has(pid)) return 'nobody there to freeze'
  frozen.add(pid)
  signal(pid, 'SIGSTOP')
  setTimeout(() => {
    frozen.delete(pid)
    world.note(`the ${who} ${pid} goes on`)
    signal(pid, 'SIGCONT')
  }, ms)
  return `freeze the ${who}`
}

function serverDown(world: World): string {
  world.serverDownFor(between(0, 2_000))
  return 'SIGKILL to nats-server'
}

/** By up to an hour, to either side. */
function stepClock(world: World): string {
  if (world.setClock === null) return 'no way to step the clock'
  world.setClock(between(-3_600, 3_600))
  return 'step of the wall clock'
}

function longOutage(world: World): string {
  world.serverDownFor(LONG_OUTAGE_MS)
  return `SIGKILL to nats-server, away for ${LONG_OUTAGE_MS / 1000} s`
}

function one(world: World, kind: 'job' | 'launcher'): number | null {
  const all = marked(world.workDir).filter(found => found.kind === kind)
  return all[Math.floor(random.uniform() * all.length)]?.pid ?? null
}

function killOne(world: World, kind: 'job' | 'launcher'): string {
  const pid = one(world, kind)
  if (pid === null) return `no ${kind} there`
  if (kind === 'launcher') launchersKilled.add(pid)
  signal(pid, 'SIGKILL')
  return `SIGKILL to a ${kind}`
}

async function ask<T>(bus: Bus, query: string, body: object = {}): Promise<T | null> {
  const answer = await bus
    .request(`ocps.${INSTANCE}.qry.${query}`, JSON.stringify(body), { timeoutMs: 3_000 })
    .catch(() => null)
  return answer === null ? null : (JSON.parse(Buffer.from(answer.body).toString()) as T)
}

async function until(what: string, holds: () => boolean | Promise<boolean>, ms = DRAIN_MS): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`It did not happen within ${ms / 1000} s: ${what}`)
    await delay(50)
  }
}

async function late(what: string): Promise<never> {
  await delay(DRAIN_MS, undefined, { ref: false })
  throw new Error(`${what} within ${DRAIN_MS / 1000} s`)
}
