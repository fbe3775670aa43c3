import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Order } from '../../machines/domain/messages.ts'
import type { GatherContext } from '../../machines/groupMembers.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { createWorld, type StepObserver } from '../../src/engine/world.ts'
import { aConfiguration, aPipeline, breaking, exit, type Report } from '../harness.ts'
import { createNight, type Night, type Who } from '../night.ts'

/*
 * Random commands, reports, pauses and restarts thrown at a night in memory. After each one the promises of OCPS are
 * counted over what was said and what is open; at the end everything is brought to its end, and the journal is
 * replayed.
 */

// Fixed, so that a failure is the same tomorrow; fast-check prints the path to the smallest case.
const SEED = 20_261_122
const RUNS = 45
const MOVES = 45
const SLOTS = 3
// Enough rounds for a prerequisite of a prerequisite with retries, then a gather and its late member.
const ROUNDS_MAX = 30

type Move = readonly [name: keyof typeof MOVE, ...choices: readonly number[]]

describe('inbox', () => {
  test('whatever comes in, the promises hold after every message', async () => {
    const choice = fc.nat({ max: 1_000 })
    const moves = fc.array(
      fc.tuple(fc.constantFrom(...weighted()), choice, choice, choice, choice).map((one): Move => one),
      { minLength: MOVES, maxLength: MOVES },
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('async' as const, 'async' as const, 'sync' as const), moves, playNight),
      { seed: SEED, numRuns: RUNS },
    )
  })
})

async function playNight(mode: 'async' | 'sync', moves: readonly Move[]): Promise<void> {
  const promises = createPromises()
  const night = await createNight({
    configuration: configurationOf(mode),
    observer: { stepped: promises.stepped },
    onOrder: promises.ordered,
  })
  await night.enable()
  for (const [name, ...choices] of moves) {
    await MOVE[name](night, choices)
    promises.check(night)
  }
  await finish(night)
  promises.check(night)
  expect([...night.engine().world.actors('job')].map(({ address }) => address)).toEqual([])
  const world = createWorld({ instance: 'LATISS' })
  const again = night
    .entries()
    .flatMap(entry => world.apply(entry))
    .filter(effect => effect.do === 'announce')
  expect(again.map(({ id }) => id)).toEqual(night.said.filter(({ id }) => id !== '').map(({ id }) => id))
}

function configurationOf(mode: 'async' | 'sync') {
  const retries = { attemptsMax: 2, backoffMs: 1_000, on: [7, 'lost', 'timedOut'] as const }
  const { groups, pipelines } = aConfiguration()
  return aConfiguration({
    mode,
    slots: SLOTS,
    queueDepthMax: 30,
    // Longer than any of these nights: a group that is forgotten counts its revisions from 1 again.
    groups: { ...groups, patienceMs: 30_000, lingerMs: 1_000_000_000 },
    pipelines: {
      ...pipelines,
      quicklook: aPipeline('quicklook', { retries }),
      detect: aPipeline('detect', { scope: 'detector', slots: 2 }),
    },
  })
}

// ── the promises, counted ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function createPromises() {
  const accepted = new Set<string>()
  const settled = new Set<string>()
  const groupResults = new Set<string>()
  const starts = new Set<string>()
  const answered = new Set<string>()
  let read = 0

  return {
    stepped: (...[actor, event, before]: Parameters<StepObserver['stepped']>) => {
      if (actor.kind !== 'gather' || actor.snapshot.value !== 'gathering' || before?.value === 'gathering') return
      const { members, missing } = actor.snapshot.context as GatherContext
      const open = Object.values(members).filter(({ output }) => output === null)
      // A gather begins when all have settled; before, only because patience ended, and then those are named.
      if (open.length > 0) expect(event.type).toMatch(/^xstate\.after\.patience\./)
      expect(missing).toEqual([...new Set(open.map(({ identity }) => identity))])
    },

    ordered: (order: Order) => {
      if (order.type !== 'executor.start') return
      const key = `${order.jobId} attempt ${order.attempt}`
      expect(starts, 'an attempt is started once').not.toContain(key)
      starts.add(key)
    },

    check(night: Night) {
      for (const { id, announcement } of night.said.slice(read)) {
        if (announcement.type === 'ack') {
          for (const jobId of announcement.body.jobIds) accepted.add(jobId)
          if (id !== '' && announcement.body.ack !== 301) {
            expect(answered, 'a command has one final answer').not.toContain(announcement.caller.id)
            answered.add(announcement.caller.id)
          }
        }
        if (announcement.type !== 'event') continue
        if (announcement.topic === 'jobState') accepted.add(announcement.key)
        if (announcement.topic === 'jobResult') {
          expect(settled, 'a job has one result').not.toContain(announcement.key)
          settled.add(announcement.key)
        }
        if (announcement.topic === 'groupResult') {
          const key = `${announcement.key} revision ${announcement.body.revision}`
          expect(groupResults, 'a closure has one result').not.toContain(key)
          groupResults.add(key)
        }
      }
      read = night.said.length

      const { world } = night.engine()
      const open = [...world.actors('job')].map(({ address }) => address.slice('job.'.length))
      expect([...accepted].toSorted(), 'accepted = settled + open').toEqual([...settled, ...open].toSorted())
      const taken = [...world.actors('job')]
        .filter(({ snapshot }) => snapshot.matches('active') || snapshot.matches('stopping'))
        .reduce((sum, { snapshot }) => sum + (snapshot.context as JobContext).pipeline.slots, 0)
      const queue = world.actor('queue')?.snapshot.context as QueueContext
      expect(taken, 'slots').toBeLessThanOrEqual(SLOTS)
      expect(queue.slotsTaken, 'the queue counts as many slots as jobs have').toBe(taken)
      expect(queue.open, 'the queue counts as many jobs as there are').toBe(open.length)
      expect(night.lost()).toEqual([])
      expect(night.state('csc')).not.toBe('fault')
    },
  }
}

// ── what can happen ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const GROUPS = ['G#1', 'G#2'] as const
const MOVE = {
  async exposure(night: Night, [which = 0, options = 0]: readonly number[]) {
    await night.command('processData', {
      dataId: { obsid: `E${which % 5}`, ...(options % 3 === 0 && { detector: [0, 1] }) },
      pipeline: options % 3 === 0 ? 'detect' : 'quicklook',
      priority: (options % 5) - 2,
    })
  },
  async member(night: Night, [which = 0, options = 0]: readonly number[]) {
    const rules = { expected: 2 + (options % 2), pipeline: 'stack', policy: pick(['partial', 'skip', 'fail'], options) }
    const id = pick(GROUPS, which)
    await night.command('processData', {
      dataId: { obsid: `E${which % 4}` },
      pipeline: 'quicklook',
      group: options % 3 === 0 ? { id, ...rules } : options % 3 === 1 ? { id, deadline: 60 } : id,
    })
  },
  async dependent(night: Night, [which = 0, options = 0]: readonly number[]) {
    const jobId = pick(known(night), which)
    if (jobId === undefined) return
    await night.command('processData', {
      dataId: { obsid: 'E9' },
      pipeline: 'quicklook',
      after: [{ jobId, requires: pick(['success', 'settled'], options) }],
      ...(options % 3 === 0 && { readiness: { waitFor: 20 } }),
    })
  },
  async waiting(night: Night, [which = 0]: readonly number[]) {
    const readiness = which % 2 === 0 ? 'skip' : { waitFor: 15 }
    await night.command('processData', { dataId: { obsid: 'E8' }, pipeline: 'quicklook', readiness })
  },
  async closeGroup(night: Night, [which = 0, options = 0]: readonly number[]) {
    const group = pick(GROUPS, which)
    if (options % 3 === 0) await night.command('processData', { dataId: { group }, pipeline: 'stack' })
    else await night.command('closeGroup', { group, ...(options % 3 === 1 && { pipeline: 'stack', patience: 10 }) })
  },
  async abort(night: Night, [which = 0]: readonly number[]) {
    await night.command('abortJob', { jobId: pick(known(night), which) ?? 'nobody' })
  },
  async pause(night: Night, [which = 0]: readonly number[]) {
    await night.command(which % 3 === 0 ? 'pause' : 'resume')
  },
  async lifecycle(night: Night, [which = 0]: readonly number[]) {
    const ways = [['disable', 'enable'], ['disable', 'standby', 'start', 'enable'], ['start', 'enable'], ['disable']]
    for (const command of pick(ways, which) ?? []) await night.command(command)
  },
  async broken(night: Night, [which = 0]: readonly number[]) {
    const job = pick(active(night), which)
    if (!job) return
    await night.report(breaking(job.jobId, job.attempt))
    for (const command of ['standby', 'start', 'enable']) await night.command(command)
  },
  async again(night: Night, [which = 0]: readonly number[]) {
    const entry = pick(
      night.entries().filter(({ door }) => door === 'command'),
      which,
    )
    if (entry?.what.type !== 'command.abortJob') return
    const who: Who = { id: entry.what.caller.id, reply: 'again' }
    await night.command('abortJob', { jobId: entry.what.jobId }, who)
  },
  async report(night: Night, [which = 0, how = 0]: readonly number[]) {
    const job = pick(active(night), which)
    if (job) await night.report(reportOf(job, how))
  },
  async staleReport(night: Night, [which = 0, how = 0]: readonly number[]) {
    const jobId = pick(known(night), which)
    if (jobId) await night.report(reportOf({ jobId, attempt: 9 }, how))
  },
  async data(night: Night, [which = 0, how = 0]: readonly number[]) {
    const jobId = pick(known(night), which)
    if (jobId)
      await night.report({ type: pick(['data.present', 'data.absent'] as const, how) ?? 'data.present', jobId })
  },
  async time(night: Night, [ms = 0]: readonly number[]) {
    await night.advance(ms * 70)
  },
  async restart(night: Night) {
    await night.restart()
  },
}

const WEIGHT: Record<keyof typeof MOVE, number> = {
  exposure: 4,
  member: 6,
  dependent: 2,
  waiting: 1,
  closeGroup: 3,
  abort: 1,
  pause: 1,
  lifecycle: 1,
  broken: 1,
  again: 1,
  report: 14,
  staleReport: 1,
  data: 1,
  time: 3,
  restart: 1,
}

function weighted(): (keyof typeof MOVE)[] {
  return Object.entries(WEIGHT).flatMap(([name, weight]) =>
    Array<keyof typeof MOVE>(weight).fill(name as keyof typeof MOVE),
  )
}

function reportOf({ jobId, attempt }: { jobId: string; attempt: number }, how: number): Report {
  switch (how % 8) {
    case 0:
    case 1:
      return { type: 'executor.started', jobId, attempt, pid: 1 }
    case 2:
      return { type: 'executor.metric', jobId, attempt, metric: 'psf', value: how, unit: '' }
    case 3:
      return exit(jobId, attempt, { exitCode: 7 })
    case 4:
      return { type: 'executor.lost', jobId, attempt, reason: 'gone' }
    case 5:
      return exit(jobId, attempt, { signal: 'SIGKILL' })
    default:
      return exit(jobId, attempt, { exitCode: 0 })
  }
}

/** Jobs a process of which runs or is about to. */
function active(night: Night): { jobId: string; attempt: number }[] {
  return [...night.engine().world.actors('job')]
    .filter(({ snapshot }) => snapshot.matches('active') || snapshot.matches('stopping'))
    .map(({ snapshot }) => snapshot.context as JobContext)
}

/** Every job that ever was. */
function known(night: Night): string[] {
  return [...new Set(night.events('jobState').map(({ jobId }) => jobId))]
}

function pick<T>(list: readonly T[], choice: number): T | undefined {
  return list[choice % Math.max(1, list.length)]
}

/** Everything that is open is run to its end. */
async function finish(night: Night): Promise<void> {
  for (const command of ['start', 'enable', 'resume']) await night.command(command)
  for (
    let round = 0;
    round < ROUNDS_MAX && !night.engine().world.actors('job')[Symbol.iterator]().next().done;
    round++
  ) {
    for (const { jobId, attempt } of active(night)) await night.report(exit(jobId, attempt, { exitCode: 0 }))
    await night.advance(31_000)
  }
}
