import { aPipeline } from '../harness.ts'
import { type Asked, type Plan, usual } from './simulate.ts'

const SECOND = 1_000

/**
 * The nights of the library, each with something that once could go wrong. Their recordings lie beside this file and
 * are made again by record.ts; what each is for is said in its first line.
 */
export const nights: Readonly<Record<string, Plan>> = {
  ordinary: ordinary(),
  pipelinesFail: pipelinesFail(),
  twoRestarts: twoRestarts(),
  operator: operator(),
  synchronous: synchronous(),
  groupsClose: groupsClose(),
  waiting: waiting(),
  longAndQuiet: longAndQuiet(),
}

/** One exposure of `detectors` detectors every 30 s, each in its group; the group is combined when all are in. */
export function surveyNight(exposures: number, detectors: number): Plan {
  return {
    configuration: { slots: 64, queueDepthMax: 10_000 },
    asked: [
      ...enabled(),
      ...Array.from({ length: exposures }, (_, at) => ({
        at: (at + 1) * 30 * SECOND,
        name: 'processData',
        body: {
          dataId: { obsid: obsid(at + 1), detector: Array.from({ length: detectors }, (__, detector) => detector) },
          pipeline: 'detect',
          group: { id: `visit${at + 1}`, expected: 1, pipeline: 'stack' },
        },
      })),
    ],
  }
}

/** Three exposures in one group, four detectors each, combined at the end by the script. */
function ordinary(): Plan {
  return {
    asked: [
      ...enabled(),
      ...[1, 2, 3].map(
        (n): Asked => ({
          at: n * 15 * SECOND,
          name: 'processData',
          body: { dataId: { obsid: obsid(n), detector: [0, 1, 2, 3] }, pipeline: 'detect', group: 'field' },
        }),
      ),
      { at: 46 * SECOND, name: 'processData', body: { dataId: { group: 'field' }, pipeline: 'stack' } },
    ],
  }
}

/** Every way a pipeline can end, with retries, a time limit, one that does not listen, and a retry by hand. */
function pipelinesFail(): Plan {
  const retries = {
    attemptsMax: 3,
    backoffMs: 2 * SECOND,
    on: [75, 'signal', 'lost', 'timedOut', 'startFailed'],
  } as const
  const names = ['exits', 'again', 'crashes', 'hangs', 'deaf', 'missing', 'vanishes'] as const
  return {
    configuration: {
      slots: 3,
      pipelines: Object.fromEntries(
        names.map(name => [
          name,
          aPipeline(name, { timeLimitMs: 20 * SECOND, ...(name === 'exits' ? {} : { retries }) }),
        ]),
      ),
    },
    script: order => {
      const { attempt, pipeline } = order
      const name = pipeline.name as (typeof names)[number]
      switch (name) {
        case 'exits':
          return { ...usual(order), exitCode: 3, stderrTail: 'no such star' }
        case 'again':
          return { ...usual(order), exitCode: attempt < 3 ? 75 : 0 }
        case 'crashes':
          return { ...usual(order), signal: 'SIGSEGV' }
        case 'hangs':
          return { runs: Infinity }
        case 'deaf':
          return { runs: Infinity, ignoresTerm: true }
        case 'missing':
          return { startFailed: { code: 'PROGRAM_NOT_FOUND', reason: 'there is no program /opt/missing' } }
        case 'vanishes':
          return { runs: 5 * SECOND, lost: 'its process is gone and left no exit status' }
      }
    },
    asked: [
      ...enabled(),
      ...names.map(
        (pipeline, at): Asked => ({
          at: (at + 1) * SECOND,
          name: 'processData',
          body: { dataId: { obsid: obsid(at + 1) }, pipeline, group: 'bad' },
        }),
      ),
      { at: 400 * SECOND, name: 'closeGroup', body: { group: 'bad' } },
      { at: 420 * SECOND, name: 'retry', body: { obsid: obsid(1) } },
    ],
  }
}

/** OCPS dies twice while pipelines run; they are adopted, and nothing is run or said twice. */
function twoRestarts(): Plan {
  return {
    asked: [
      ...enabled(),
      ...Array.from({ length: 8 }, (_, at) => ({
        at: (at + 1) * SECOND,
        name: 'processData',
        body: { dataId: { obsid: obsid(at + 1) }, pipeline: 'quicklook', group: 'night' },
      })),
      { at: 9 * SECOND, name: 'closeGroup', body: { group: 'night', pipeline: 'stack' } },
    ],
    restarts: [3_700, 6_200],
  }
}

/** What an operator does: pause, abort, disable, standby with work open, mistakes, a full queue, and the end. */
function operator(): Plan {
  const many = Array.from(
    { length: 8 },
    (_, at): Asked => ({
      at: 5 * SECOND,
      name: 'processData',
      body: { dataId: { obsid: obsid(at + 1) }, pipeline: 'quicklook' },
      id: `e${at + 1}`,
    }),
  )
  const by = { identity: 'operator@summit' }
  const firstOf = (id: string) => (night: { acks(id: string): { jobIds: readonly string[] }[] }) => ({
    jobId: night.acks(id).at(-1)?.jobIds[0] ?? 'none',
  })
  return {
    configuration: { queueDepthMax: 6 },
    asked: [
      { at: 0, name: 'processData', body: { dataId: { obsid: obsid(1) }, pipeline: 'quicklook' } },
      ...enabled(),
      { at: 2 * SECOND, name: 'setLogLevel', body: { level: 10 }, ...by },
      { at: 3 * SECOND, name: 'processData', body: { dataId: { obsid: obsid(1) }, pipeline: 'quiklook' } },
      ...many,
      { at: 5_500, name: 'pause', ...by },
      { at: 6_000, name: 'abortJob', body: firstOf('e1'), ...by },
      { at: 6_100, name: 'abortJob', body: firstOf('e6'), ...by },
      { at: 6_200, name: 'abortJob', body: { jobId: 'nobody' }, ...by },
      { at: 15_000, name: 'resume', ...by },
      { at: 16_000, name: 'disable', ...by },
      { at: 20_000, name: 'enable', ...by },
      { at: 20_500, name: 'disable', ...by },
      { at: 20_600, name: 'standby', ...by },
      { at: 25_000, name: 'start', ...by },
      { at: 25_100, name: 'exitControl', ...by },
      { at: 25_200, name: 'standby', ...by },
      { at: 25_300, name: 'exitControl', ...by },
    ],
  }
}

/** Synchronous mode: one command at a time, renewed acknowledgements, and the others refused. */
function synchronous(): Plan {
  return {
    configuration: { mode: 'sync', ackTimeoutMs: 10 * SECOND },
    script: order => ({ ...usual(order), runs: 12 * SECOND, exitCode: order.dataId.obsid === obsid(2) ? 4 : 0 }),
    asked: [
      ...enabled(),
      { at: SECOND, name: 'processData', body: { dataId: { obsid: obsid(1) }, pipeline: 'quicklook', group: 'g' } },
      { at: 2 * SECOND, name: 'processData', body: { dataId: { obsid: obsid(2) }, pipeline: 'quicklook' } },
      {
        at: 20 * SECOND,
        name: 'processData',
        body: { dataId: { obsid: obsid(2) }, pipeline: 'quicklook', group: 'g' },
      },
      { at: 40 * SECOND, name: 'processData', body: { dataId: { group: 'g' }, pipeline: 'stack' } },
    ],
  }
}

/** Groups that close by count, by deadline and by command, under each policy, with failed, missing and late members. */
function groupsClose(): Plan {
  const member = (at: number, n: number, group: string, rules: object = {}): Asked => ({
    at: at * SECOND,
    name: 'processData',
    body: { dataId: { obsid: obsid(n) }, pipeline: 'quicklook', group: { id: group, ...rules } },
  })
  return {
    configuration: { slots: 4 },
    script: order => {
      const n = Number(order.dataId.obsid?.slice(-2) ?? 0)
      if (n === 13 || n === 22 || n === 32) return { ...usual(order), exitCode: 1 }
      return n === 42 ? { runs: 50 * SECOND } : usual(order)
    },
    asked: [
      ...enabled(),
      ...[11, 12, 13].map(n => member(n - 10, n, 'counted', { expected: 3, pipeline: 'stack' })),
      member(5, 14, 'counted'),
      ...[21, 22].map(n => member(n - 15, n, 'strict', { deadline: 10, policy: 'fail', pipeline: 'stack' })),
      ...[31, 32].map(n => member(n - 24, n, 'quietly', { expected: 2, policy: 'skip', pipeline: 'stack' })),
      ...[41, 42].map(n => member(n - 33, n, 'impatient', { patience: 5, pipeline: 'stack' })),
      { at: 12 * SECOND, name: 'closeGroup', body: { group: 'impatient', pipeline: 'stack' } },
      { at: 13 * SECOND, name: 'closeGroup', body: { group: 'nobody' } },
      { at: 14 * SECOND, name: 'closeGroup', body: { group: 'counted', pipeline: 'quicklook' } },
    ],
  }
}

/** Jobs that wait: for other jobs, for data that come, come late or never, for a slot by priority, newest first. */
function waiting(): Plan {
  const ask = (at: number, n: number, more: object | ((ids: (id: string) => string) => object) = {}): Asked => ({
    at: at * SECOND,
    name: 'processData',
    id: `w${n}`,
    body: night => ({
      dataId: { obsid: obsid(n) },
      pipeline: 'quicklook',
      ...(typeof more === 'function' ? more(id => night.acks(id).at(-1)?.jobIds[0] ?? 'none') : more),
    }),
  })
  return {
    configuration: { slots: 1, order: 'newestFirst' },
    script: order => ({ ...usual(order), exitCode: order.dataId.obsid === obsid(2) ? 1 : 0 }),
    ingested: ({ dataId }) => (dataId.obsid === obsid(6) ? 12 * SECOND : dataId.obsid === obsid(7) ? null : 0),
    asked: [
      ...enabled(),
      ask(1, 1),
      ask(1, 2),
      ask(1, 3, { priority: 5 }),
      ask(2, 4, ids => ({ after: [ids('w1'), { jobId: ids('w2'), requires: 'settled' }] })),
      ask(2, 5, ids => ({ after: [ids('w2')] })),
      ask(3, 6, { readiness: { waitFor: 30 } }),
      ask(3, 7, { readiness: { waitFor: 20 } }),
      ask(4, 7, { readiness: 'skip' }),
      ask(5, 8, { readiness: 'skip' }),
      ask(6, 9, { after: ['never-was'] }),
    ],
  }
}

/** Long enough, and then quiet enough, that the journal holds a place to begin at. */
function longAndQuiet(): Plan {
  return {
    configuration: { slots: 8, queueDepthMax: 1_000 },
    asked: [
      ...enabled(),
      ...Array.from({ length: 60 }, (_, at) => ({
        at: (at + 1) * 5 * SECOND,
        name: 'processData',
        body: { dataId: { obsid: obsid(at + 1), detector: [0, 1, 2, 3] }, pipeline: 'detect' },
      })),
      { at: 1_000 * SECOND, name: 'setLogLevel', body: { level: 10 } },
      { at: 2_000 * SECOND, name: 'processData', body: { dataId: { obsid: obsid(61) }, pipeline: 'quicklook' } },
    ],
  }
}

function enabled(): Asked[] {
  return [
    { at: 100, name: 'start' },
    { at: 200, name: 'enable' },
  ]
}

function obsid(n: number): string {
  return `AT_O_20261122_${String(n).padStart(6, '0')}`
}
