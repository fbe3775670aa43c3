import type { AckBody } from '../../machines/domain/announcements.ts'
import type { Caller, Command } from '../../machines/domain/commands.ts'
import type { Input } from '../../machines/domain/messages.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { Locator } from '../../machines/ports.ts'
import type { Bus, Incoming } from '../../src/bus/port.ts'
import type { Decoded } from '../../src/contract/commands.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { createOodsLocator } from '../../src/locators/oods.ts'
import { breaking, exit, NIGHTFALL } from '../harness.ts'
import { pick } from './actions.ts'
import { createAgenda, type Agenda } from './agenda.ts'
import { drawsFrom } from './draws.ts'
import { drawSetting, scriptOf } from './configurations.ts'
import { createDirectSite } from './direct.ts'
import { isIn } from './isIn.ts'
import { createProcesses } from './processes.ts'
import { createPromises, type Promises } from './promises.ts'
import { rankOf } from './rank.ts'
import { INSTANCE, type Site } from './site.ts'
import { createWatch } from './watch.ts'
import { createWholeSite } from './whole.ts'

/**
 * One night: an instance, the machine its pipelines run on, three scripts, operators and the OODS, on virtual time.
 * What the scripts and the surroundings do to it is said in actions.ts; what must hold all the while in promises.ts.
 */
export interface Night {
  readonly agenda: Agenda
  readonly promises: Promises
  readonly site: Site
  /** How many detectors its camera has. */
  readonly detectors: number
  /** A command from one of the scripts; some are delayed, sent twice, or cut on the way and sent again. */
  send(key: number | string, name: string, body: object): void
  sendCut(key: number, which: number, how: number, more: number): void
  /** A job that was accepted: a recent one, or any. */
  job(which: number, anyAge?: boolean): string | undefined
  /** The data of an exposure will be announced, or not, late, twice, by detector or not. */
  expectData(obsid: string, how: number): void
  oods(obsid: string, how: number): void
  reportNonsense(which: number, how: number, more: number): void
  sabotage(which: number): void
  slowJournal(ms: number): void
  /** Someone sets the wall clock. */
  stepClock(ms: number): void
  fillJournal(): void
  kill(appending: 'cut' | 'stored', how: number): void
  supersede(which: number): void
  /** Acknowledgements have come for all that was asked of it. */
  resendUnanswered(): number
  /** How many processes there have been. */
  lives(): number
  /** Ids of commands that were sent and have no final answer. */
  unanswered(): string[]
}

export type NightKind = 'direct' | 'whole'

interface Pending {
  readonly name: string
  readonly body: string
  readonly caller: Caller
}

type Decoding = ReturnType<typeof decodeCommand>

// The same bytes are the same command, in every night: most are decoded once. Between one and two times as many are
// kept, some tens of MiB.
const UNDERSTOOD_MAX = 20_000
let understood = new Map<string, Decoded>()
let understoodBefore = new Map<string, Decoded>()

function remembered(key: string): Decoded | undefined {
  const newly = understood.get(key)
  if (newly) return newly
  const before = understoodBefore.get(key)
  if (before) remember(key, before)
  return before
}

function remember(key: string, command: Decoded): void {
  if (understood.size >= UNDERSTOOD_MAX) [understoodBefore, understood] = [understood, new Map()]
  understood.set(key, command)
}

const SCRIPTS = ['script.a', 'script.b', 'script.c'] as const
// Nights through the engine are always in lockstep.
const LOCKSTEP_EVERY = 4
// Recent jobs are of more interest: half of those asked about are among the last so many.
const RECENT = 12
// How much of what was said last may not have reached the stored events when the process dies.
const UNKNOWN_MAX = 4
const AGAIN_MS = 7_000
const UNTOLD_MS = 60_000

export function createNight(seed: number, kind: NightKind): Night {
  const agenda = createAgenda(NIGHTFALL)
  const setting = drawSetting(drawsFrom(`${seed} setting`))
  const processes = createProcesses(agenda, order => scriptOf(seed, order))
  const watch = createWatch(() => agenda.elapsed())
  const promises = createPromises(processes, watch)
  const encoder = new TextEncoder()
  const pending = new Map<string, Pending>()
  const sent: Pending[] = []
  const recentlySaid: Numbered[] = []
  const isAllStored = drawsFrom(`${seed} stored`)
  let newestSaid = 0
  /** When the wall clock was stepped last, and how many entries there were. */
  let stepped = { at: -Infinity, entries: -1 }
  let storedUpTo = 0
  let lives = 0
  let hearImage: (message: Incoming) => void = () => {}

  const site = (kind === 'direct' ? createDirectSite : createWholeSite)({
    agenda,
    promises,
    processes,
    isInLockstep: seed % LOCKSTEP_EVERY === 1,
    draw: drawsFrom(`${seed} site`),
    die,
    loadConfiguration: setting.loadConfiguration,
    locator,
    say,
    unsaid,
  })

  const night: Night = {
    agenda,
    promises,
    site,
    detectors: setting.detectors,
    send(key, name, body) {
      const id = `m${key}`
      const identity = pick(SCRIPTS, String(key).length + id.charCodeAt(id.length - 1)) ?? SCRIPTS[0]
      const one = { name, body: JSON.stringify(body), caller: { identity, id, reply: `_INBOX.${id}` } }
      sent.push(one)
      pending.set(id, one)
      const draw = drawsFrom(`${seed} ${id}`)
      const way = draw()
      if (way < 0.08) agenda.later(draw() * 3_000, () => arrive(one))
      else {
        if (way < 0.1) {
          const bytes = encoder.encode(one.body)
          arriveAs(one, bytes.subarray(0, Math.floor(draw() * bytes.length)))
        }
        arrive(one)
        if (way > 0.92)
          agenda.later(way > 0.96 ? 0 : draw() * 20_000, () =>
            arrive({ ...one, caller: { ...one.caller, reply: `_INBOX.${id}.again` } }),
          )
      }
    },
    sendCut(key, which, how, more) {
      const body = encoder.encode(pick(NONSENSE, which) ?? '')
      const at = how % Math.max(1, body.length)
      body[at] = more % 256
      const name = pick(['processData', 'start', 'closeGroup', 'abortJob', 'nothing'], how) ?? ''
      arriveAs({ name, caller: { identity: 'stranger', id: `x${key}`, reply: null } }, body)
    },
    job(which, anyAge = which % 2 === 0) {
      const all = promises.jobIds()
      return anyAge ? pick(all, which) : all.at(-1 - (which % Math.min(RECENT, Math.max(1, all.length))))
    },
    expectData(obsid, how) {
      if (how % 6 === 0) return
      agenda.later((how % 30) * 1_000, () => night.oods(obsid, how))
      if (how % 7 === 0) agenda.later((how % 41) * 1_000, () => night.oods(obsid, how))
    },
    oods(obsid, how) {
      const event =
        how % 9 === 0
          ? FAILED_METADATA
          : { ...INGESTED, obsid, statusCode: how % 8 === 0 ? 1 : 0, ...(how % 4 === 0 && { detector: 3 }) }
      if (event.statusCode === 0) for (const key of [obsid, `${obsid}/3`]) promises.ingested(key)
      hearImage({
        subject: 'oods.ATOODS.evt.imageInOODS',
        body: encoder.encode(JSON.stringify(event)),
        headers: {},
        reply: null,
      })
    },
    reportNonsense(which, how, more) {
      const jobId = night.job(which)
      if (jobId === undefined) return
      const context = site.world()?.actor(`job.${jobId}`)?.snapshot.context as JobContext | undefined
      // Of an earlier attempt, of one that never was, or of a job that has settled.
      const attempt = context === undefined ? 1 + (how % 3) : how % 2 === 0 ? context.attempt - 1 : context.attempt + 30
      site.input(nonsense(jobId, attempt, more), 'report')
    },
    sabotage(which) {
      const running = [...processes.running()].filter(
        ({ state, order }) => state === 'started' && isRunning(order.jobId, order.attempt),
      )
      const process = pick(running, which)
      if (process === undefined || !site.isSettled()) return
      promises.sabotage(process.order.jobId)
      site.input(breaking(process.order.jobId, process.order.attempt), 'report')
      for (const name of ['standby', 'start', 'enable']) night.send(`${site.entries()}.${name}`, name, {})
    },
    slowJournal: ms => site.slow(ms),
    fillJournal: () => site.fill(),
    stepClock(ms) {
      agenda.step(ms)
      stepped = { at: agenda.elapsed(), entries: site.entries() }
    },
    kill(appending, how) {
      if (site.world() === null) return
      site.kill(appending)
      agenda.later(how % 4 === 0 ? 1 : 200 + (how % 9_000), rise)
    },
    supersede(which) {
      if (site.world() === null) return
      site.supersede()
      agenda.later(which % 3_000, rise)
    },
    resendUnanswered() {
      const unanswered = [...pending.values()]
      for (const one of unanswered) arrive(one)
      return pending.size
    },
    lives: () => lives,
    unanswered: () => [...pending.keys()],
  }
  rise()
  return night

  function rise(): void {
    if (site.world() !== null) return
    const draw = drawsFrom(`${seed} life ${++lives}`)
    // Of a step that no entry tells of it knows nothing; an entry on its way may be cut off.
    if (stepped.entries >= site.entries() || agenda.elapsed() - stepped.at < UNTOLD_MS) watch.jumped()
    const mayBeNewest = recentlySaid.filter(({ id }) => rankOf(id) >= storedUpTo)
    const known = mayBeNewest.at(-1 - Math.floor(draw() * Math.min(UNKNOWN_MAX, mayBeNewest.length)))
    const after = known === undefined ? recentlySaid : recentlySaid.slice(recentlySaid.indexOf(known) + 1)
    // A quiescent entry is written when all before it is known to have been said.
    const isKnown = after.some(({ id }) => Number(id.split('.')[0]) <= site.quietN())
    if (isKnown) site.begin(recentlySaid.at(-1)?.id ?? null, [])
    else site.begin(known?.id ?? null, after)
    // A script that heard nothing sends the same again.
    agenda.later(500, () => void night.resendUnanswered())
  }

  function die(): void {
    const draw = drawsFrom(`${seed} death ${lives}`)
    night.kill(draw() < 0.5 ? 'cut' : 'stored', Math.floor(draw() * 10_000))
  }

  /** Sent whole. */
  function arrive({ name, body, caller }: Pending): void {
    const key = `${name} ${body}`
    const command = remembered(key)
    if (command) return site.command(command, caller)
    const fresh = arriveAs({ name, caller }, encoder.encode(body))
    if (fresh?.ok) return remember(key, fresh.command)
    if (fresh && pending.has(caller.id))
      promises.broken('refused in words', `${name} was sent whole and refused: ${fresh.refusal.reason}`)
  }

  /** Whatever the bytes are. */
  function arriveAs({ name, caller }: Omit<Pending, 'body'>, bytes: Uint8Array): Decoding | null {
    let decoding: Decoding
    try {
      decoding = decodeCommand(name, bytes, INSTANCE)
    } catch (error) {
      promises.broken('refused in words', `${name} made the decoder throw: ${String(error)}`)
      return null
    }
    if (decoding.ok) site.command(decoding.command, caller)
    else if (decoding.refusal.reason === '') promises.broken('refused in words', `${name} is refused without a word`)
    return decoding
  }

  function say(said: Numbered): void {
    promises.said(said)
    const { announcement } = said
    if (announcement.type === 'ack') hear(announcement.caller.id, announcement.body)
    if (announcement.type !== 'event') return
    // What is said again keeps its place, as it does in the stored events.
    const rank = rankOf(said.id)
    if (rank <= newestSaid) return
    newestSaid = rank
    recentlySaid.push(said)
    if (recentlySaid.length > 2 * UNKNOWN_MAX) recentlySaid.shift()
  }

  /** Asked, the stored events are all there are, or the last ones said may not be among them. */
  function unsaid(): readonly Numbered[] {
    if (isAllStored() < 0.5) storedUpTo = newestSaid
    return recentlySaid.slice(-UNKNOWN_MAX).filter(({ id }) => rankOf(id) > storedUpTo)
  }

  function hear(id: string, { ack, code }: AckBody): void {
    const one = pending.get(id)
    // There may be space again when it is sent again.
    if (code === 'JOURNAL_FULL' && one) agenda.later(AGAIN_MS, () => pending.has(id) && arrive(one))
    else if (ack !== IN_PROGRESS) pending.delete(id)
  }

  function locator(report: (what: Exclude<Input, Command>) => void): Locator {
    const bus: Pick<Bus, 'subscribe' | 'onStatus'> = {
      subscribe(_subject, handler) {
        hearImage = handler
        return { stop: async () => {} }
      },
      onStatus: handler => handler('connected'),
    }
    return createOodsLocator({ bus, report, now: () => agenda.elapsed() })
  }

  function isRunning(jobId: string, attempt: number): boolean {
    const snapshot = site.world()?.actor(`job.${jobId}`)?.snapshot
    return (
      snapshot !== undefined && isIn(snapshot, 'active.running') && (snapshot.context as JobContext).attempt === attempt
    )
  }
}

const IN_PROGRESS = 301

const INGESTED = { camera: 'LATISS', raft: 'R00', sensor: 'S00', description: 'file ingested' }
const FAILED_METADATA = {
  camera: 'UNDEF',
  obsid: '??',
  raft: 'R??',
  sensor: 'S??',
  statusCode: 2,
  description: 'metadata failure: no such key',
}

const NONSENSE = [
  '',
  '{',
  '{"dataId":{"obsid":"E1"},"pipeline":"quicklook"}',
  '{"dataId":{"obsid":"../../etc/passwd"},"pipeline":"quicklook"}',
  '{"dataId":{"obsid":"E1","group":"G"},"pipeline":"stack","__proto__":{"a":1}}',
  '{"jobId":"20261122-000001","reply":"ocps.LATISS.cmd.>"}',
  '[1,2,3]',
  '{"configurationOverride":"../secret.yaml"}',
] as const

function nonsense(jobId: string, attempt: number, choice: number): ExecutorReport {
  const id = { jobId, attempt }
  switch (choice % 5) {
    case 0:
      return { type: 'executor.started', ...id, pid: 7 }
    case 1:
      return { type: 'executor.metric', ...id, metric: 'psf.fwhm', value: '-Infinity', unit: '' }
    case 2:
      return { type: 'executor.lost', ...id, reason: 'a word that comes too late' }
    case 3:
      return { type: 'executor.startFailed', ...id, code: 'NOT_EXECUTABLE', reason: 'a word that comes too late' }
    default:
      return exit(jobId, attempt, { exitCode: 1 })
  }
}
