import type { Night } from './night.ts'

/**
 * What can happen in a night: the vocabulary of the generator, in one place. An action is a name and four numbers,
 * chosen without looking at the night, so that any of them can be left out and the others mean the same; what the
 * numbers pick is decided when it happens.
 */
export interface Action {
  readonly name: ActionName
  /** Its place in the whole list; part of the message ids it sends. */
  readonly index: number
  readonly choices: readonly [which: number, how: number, more: number, gap: number]
}

export type ActionName = keyof typeof ACTIONS

type Doing = (night: Night, index: number, which: number, how: number, more: number) => void

const GROUPS_PER_NIGHT = 9
const EXPOSURES = 400

const ACTIONS = {
  exposure: (night, index, which, how, more) =>
    night.send(index, 'processData', {
      dataId: { obsid: obsid(which) },
      pipeline: how % 5 === 0 ? 'long' : 'quicklook',
      priority: (more % 5) - 2,
      ...(more % 11 === 0 && { timeLimit: 20 }),
    }),
  // In the words of the Python OCPS; answered when it has ended, so that the promise to answer has to outlive marks and
  // deaths.
  execute: (night, index, which, how) =>
    night.send(index, 'execute', {
      pipeline: how % 5 === 0 ? 'long' : 'quicklook',
      data_query: `exposure.obs_id='${obsid(which)}'`,
    }),
  detectors: (night, index, which, how, more) =>
    night.send(index, 'processData', {
      dataId: { obsid: obsid(which), detector: detectors(night, how) },
      pipeline: 'detect',
      priority: (more % 3) - 1,
      ...(more % (how % 12 === 0 ? 4 : 2) === 0 && { group: group(which) }),
    }),
  member: (night, index, which, how, more) => {
    const rules = { policy: pick(['partial', 'skip', 'fail'], more), ...(more % 2 === 0 && { pipeline: 'stack' }) }
    const id = group(which)
    night.send(index, 'processData', {
      // Few exposures, so that some come a second time and an identity has two jobs.
      dataId: { obsid: `M${how % 6}`, ...(how % 7 === 0 && { detector: [0, 1] }) },
      pipeline: how % 7 === 0 ? 'detect' : 'quicklook',
      group:
        more % 4 === 0
          ? { id, expected: 2 + (more % 3), ...rules }
          : more % 4 === 1
            ? { id, deadline: 5 + (more % 60), patience: 2 + (more % 30), ...rules }
            : id,
    })
  },
  dependent: (night, index, which, how, more) => {
    const jobId = night.job(which)
    if (jobId === undefined) return
    const other = night.job(more)
    night.send(index, 'processData', {
      dataId: { obsid: obsid(how) },
      pipeline: 'quicklook',
      after: [
        { jobId, requires: pick(['success', 'settled', 'settled'], how) },
        ...(how % 2 === 0 && other !== undefined ? [other] : []),
      ],
      ...(how % 5 === 0 && { readiness: { waitFor: 20 } }),
    })
  },
  waiting: (night, index, which, how) => {
    night.expectData(obsid(which), how)
    night.send(index, 'processData', {
      dataId: { obsid: obsid(which), ...(how % 4 === 0 && { detector: 3 }) },
      pipeline: how % 4 === 0 ? 'detect' : 'quicklook',
      readiness: how % 5 === 0 ? 'skip' : { waitFor: 5 + (how % 25) },
    })
  },
  oods: (night, _index, which, how) => night.oods(obsid(which), how),
  closeGroup: (night, index, which, how, more) => {
    const id = group(which)
    if (how % 3 === 0) night.send(index, 'processData', { dataId: { group: id }, pipeline: 'stack' })
    else
      night.send(index, 'closeGroup', {
        group: id,
        ...(how % 2 === 0 && { pipeline: 'stack' }),
        ...(more % 3 === 0 && { patience: 1 + (more % 20) }),
        ...(more % 4 === 0 && { policy: pick(['partial', 'skip', 'fail'], more) }),
      })
  },
  retry: (night, index, which, how, more) => {
    const jobId = night.job(which) ?? 'nobody'
    const of = [
      { jobId },
      { jobId },
      { jobId },
      { jobId },
      { jobId },
      { obsid: `M${more % 6}` },
      { group: group(more) },
      { dayObs: 20_261_122 },
    ]
    night.send(index, 'retry', { ...pick(of, how), ...(more % 5 === 0 && { pipeline: 'long' }) })
  },
  abort: (night, index, which, how) =>
    night.send(index, 'abortJob', { jobId: night.job(which, how % 4 === 0) ?? 'nobody' }),
  pause: (night, index, which) => night.send(index, which % 2 === 0 ? 'pause' : 'resume', {}),
  resume: (night, index) => night.send(index, 'resume', {}),
  logLevel: (night, index, which) => night.send(index, 'setLogLevel', { level: (which % 5) * 10 }),
  lifecycle: (night, index, which, how) => {
    const ways = [
      ['disable', 'enable'],
      ['disable'],
      ['enable'],
      ['disable', 'standby', 'start', 'enable'],
      ['start'],
      ['standby', 'start', 'enable'],
      ['exitControl'],
    ]
    for (const [place, name] of (pick(ways, which) ?? []).entries())
      night.send(
        `${index}.${place}`,
        name,
        name === 'start' && how % 3 !== 0 ? { configurationOverride: override(how) } : {},
      )
  },
  up: (night, index) => {
    for (const name of ['standby', 'start', 'enable']) night.send(`${index}.${name}`, name, {})
  },
  unknown: (night, index, which, how) =>
    night.send(index, 'processData', {
      dataId: how % 2 === 0 ? { obsid: obsid(which) } : { group: `none${which % 9}` },
      pipeline: pick(['none', 'stack', 'quicklook', 'detect'], how),
      ...(which % 2 === 0 && { overrides: { width: 3 } }),
    }),
  malformed: (night, index, which, how, more) => night.sendCut(index, which, how, more),
  staleReport: (night, _index, which, how, more) => night.reportNonsense(which, how, more),
  sabotage: (night, _index, which) => night.sabotage(which),
  slowJournal: (night, _index, which) => night.slowJournal(20 + (which % 5_000)),
  fullJournal: night => night.fillJournal(),
  // A second, a minute, an hour; forward and back.
  clockStep: (night, _index, which, how) =>
    night.stepClock((which % 2 === 0 ? 1 : -1) * (1_000 + (how % (pick([5_000, 60_000, 3_600_000], how) ?? 0)))),
  lull: (night, index) => {
    for (const name of ['standby', 'start', 'enable', 'resume']) night.send(`${index}.${name}`, name, {})
    for (let which = 0; which < GROUPS_PER_NIGHT; which++)
      night.send(`${index}.g${which}`, 'closeGroup', { group: group(which) })
  },
  kill: (night, _index, which, how) => night.kill(which % 2 === 0 ? 'cut' : 'stored', how),
  supersede: (night, _index, which) => night.supersede(which),
} satisfies Record<string, Doing>

const WEIGHTS: Record<ActionName, number> = {
  exposure: 18,
  execute: 4,
  detectors: 8,
  member: 26,
  dependent: 8,
  waiting: 6,
  oods: 4,
  closeGroup: 10,
  retry: 3,
  abort: 6,
  pause: 1.5,
  resume: 3,
  logLevel: 0.5,
  lifecycle: 0.8,
  up: 1.5,
  unknown: 1,
  malformed: 1,
  staleReport: 4,
  sabotage: 0.15,
  slowJournal: 4,
  fullJournal: 1,
  clockStep: 1,
  lull: 0.3,
  kill: 1,
  supersede: 0.4,
}

const NAMES = Object.keys(ACTIONS) as ActionName[]
const TOTAL = NAMES.reduce((sum, name) => sum + WEIGHTS[name], 0)

// Seconds between two actions, at most; the median is a quarter of it.
const GAP_MAX_MS = 6_000

// Longer than any process, its retries and any patience.
const LULL_MS = 150_000

export function drawAction(draw: () => number, index: number): Action {
  let left = draw() * TOTAL
  let name: ActionName = 'exposure'
  for (const one of NAMES) {
    left -= WEIGHTS[one]
    name = one
    if (left < 0) break
  }
  const whole = () => Math.floor(draw() * 1_000_000)
  const gap = name === 'lull' ? LULL_MS : Math.floor(draw() ** 2 * GAP_MAX_MS)
  return { name, index, choices: [whole(), whole(), whole(), gap] }
}

export function act(night: Night, { name, index, choices: [which, how, more] }: Action): void {
  const doing: Doing = ACTIONS[name]
  doing(night, index, which, how, more)
}

export function pick<T>(list: readonly T[], choice: number): T | undefined {
  return list[choice % Math.max(1, list.length)]
}

function obsid(choice: number): string {
  return `E${choice % EXPOSURES}`
}

function group(choice: number): string {
  return `G#${choice % GROUPS_PER_NIGHT}`
}

function override(choice: number): string {
  return pick(['small.yaml', 'newest.yaml', 'sync.yaml', 'other.yaml', 'missing.yaml'], choice) ?? ''
}

/** A raft, a few, or in nights with a large camera all of it. */
function detectors(night: Night, choice: number): number[] {
  const count = choice % 12 === 0 ? night.detectors : 1 + (choice % 5)
  return Array.from({ length: count }, (_, detector) => detector)
}
