import fc from 'fast-check'
import { builtIn } from '../../machines/domain/camera.ts'
import type { Command, RetryCommand } from '../../machines/domain/commands.ts'
import { jobAddress, type Known, type ShelfItem } from '../../machines/domain/messages.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { MachineKind } from '../../machines/index.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import { aCaller, aConfiguration, aPipeline, exit, loaded, STARTED, type Machines, type Unheard } from '../harness.ts'
import { broke, ended, neverWas, outcome } from '../machines/endings.ts'

/*
 * What each machine can hear, as arbitraries: its own events with plausible payloads over few names, so that random
 * sequences meet. Also the inputs machines begin with.
 */

const jobId = fc.constantFrom('a', 'b', 'c', 'j1')
const attempt = fc.integer({ min: 1, max: 3 })
const caller = fc.constantFrom('m1', 'm2').map(id => aCaller(id))
const configuration = fc.record({
  slots: fc.integer({ min: 1, max: 4 }),
  prefetch: fc.constantFrom(0, 0, 1, 3),
  mode: fc.constantFrom('async' as const, 'sync' as const),
  order: fc.constantFrom('fifo' as const, 'newestFirst' as const),
  queueDepthMax: fc.integer({ min: 1, max: 30 }),
})
const config = configuration.map(changes => aConfiguration(changes))
const outcomeKind = fc.constantFrom<OutcomeKind>('succeeded', 'failed', 'timedOut', 'aborted', 'lost', 'skipped')
const end = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(jobId, outcomeKind).map(([id, kind]) => ended(id, outcome(kind))) },
  { weight: 1, arbitrary: jobId.map(id => neverWas(id)) },
)
const rules = fc.option(
  fc.record({
    expected: fc.option(fc.integer({ min: 1, max: 3 })),
    deadlineMs: fc.option(fc.constant(60_000)),
    policy: fc.option(fc.constantFrom('partial' as const, 'skip' as const, 'fail' as const)),
    patienceMs: fc.option(fc.constant(5_000)),
    pipeline: fc.option(fc.constant('stack')),
  }),
)
const dataId = fc.record({
  instrument: fc.constant('LATISS'),
  obsid: fc.constantFrom('E1', 'E2', 'E3'),
  group: fc.constant('G#1'),
  detector: fc.option(fc.integer({ min: 0, max: 1 })),
})

const plain = (type: 'enable' | 'disable' | 'standby' | 'exitControl' | 'pause' | 'resume') =>
  caller.map((who): Command => ({ type: `command.${type}`, caller: who }))
const processData = fc
  .record({
    caller,
    jobId,
    obsid: fc.option(fc.constantFrom('E1', 'E2')),
    rules,
    priority: fc.integer({ min: -2, max: 2 }),
  })
  .map(
    ({ caller: who, jobId: id, obsid, rules: groupRules, priority }) =>
      ({
        type: 'command.processData',
        caller: who,
        jobId: id,
        dataId: { instrument: 'LATISS', obsid, group: 'G#1' },
        detectors: [],
        pipeline: obsid === null ? 'stack' : 'quicklook',
        overrides: {},
        configFile: null,
        version: '',
        priority,
        after: [],
        readiness: { policy: 'runNow' },
        timeLimitMs: null,
        groupRules,
      }) satisfies Command,
  )
const closeGroup = fc
  .record({ caller, jobId, pipeline: fc.constantFrom(null, 'stack', 'none') })
  .map(one => ({ type: 'command.closeGroup', group: 'G#1', policy: null, patienceMs: null, ...one }) satisfies Command)
const known = fc
  .constantFrom('open', 'ended', 'unknown')
  .map((how): Known => ({ 'gather.G=231': how, 'job.a': how, 'job.b': how, 'job.c': how, 'job.j1': how }))

const command: fc.Arbitrary<Command> = fc.oneof(
  caller.map(
    (who): Command => ({
      type: 'command.start',
      caller: who,
      configurationOverride: '',
      loaded: loaded(aConfiguration()),
    }),
  ),
  caller.map(
    (who): Command => ({
      type: 'command.start',
      caller: who,
      configurationOverride: 'x.yaml',
      loaded: { ok: false, problem: 'there is no x.yaml' },
    }),
  ),
  plain('enable'),
  plain('disable'),
  plain('standby'),
  plain('exitControl'),
  plain('pause'),
  plain('resume'),
  fc
    .tuple(caller, fc.constantFrom(10, 20))
    .map(([who, level]): Command => ({ type: 'command.setLogLevel', caller: who, level, subsystem: '' })),
  fc.tuple(caller, jobId).map(([who, id]): Command => ({ type: 'command.abortJob', caller: who, jobId: id })),
  processData,
  closeGroup,
)

const report = fc.oneof(
  attempt.map(n => ({ type: 'executor.started', jobId: 'j1', attempt: n, pid: 1 }) as const),
  fc
    .tuple(attempt, fc.constantFrom('psf', 'sky'), fc.integer())
    .map(
      ([n, metric, value]) => ({ type: 'executor.metric', jobId: 'j1', attempt: n, metric, value, unit: '' }) as const,
    ),
  attempt.map(
    n =>
      ({ type: 'executor.dataset', jobId: 'j1', attempt: n, dataset: 'p', path: 'p.png', mime: 'image/png' }) as const,
  ),
  attempt.map(n => ({ type: 'executor.progress', jobId: 'j1', attempt: n, fraction: 0.5, note: '' }) as const),
  attempt.map(n => ({ type: 'executor.verdict', jobId: 'j1', attempt: n, verdict: 'good' }) as const),
  attempt.map(n => ({ type: 'executor.badReport', jobId: 'j1', attempt: n, reason: 'not JSON' }) as const),
  fc.tuple(attempt, fc.constantFrom(0, 1, 2)).map(([n, exitCode]) => exit('j1', n, { exitCode, stderrTail: 'x\ny\n' })),
  attempt.map(n => exit('j1', n, { signal: 'SIGKILL' })),
  attempt.map(
    n => ({ type: 'executor.startFailed', jobId: 'j1', attempt: n, code: 'START_FAILED', reason: 'EAGAIN' }) as const,
  ),
  attempt.map(n => ({ type: 'executor.lost', jobId: 'j1', attempt: n, reason: 'gone' }) as const),
)

const body = fc.constantFrom(
  ...(['COMPLETE', 'FAILED'] as const).map(
    how =>
      ({
        ack: how === 'COMPLETE' ? 303 : -302,
        error: how === 'COMPLETE' ? 0 : 1,
        result: how,
        code: null,
        jobIds: [],
        timeout: 0,
      }) as const,
  ),
)

const shelfItem = fc.record({ jobId, dataId, at: fc.constantFrom(0, 86_400_000) }).map(
  (one): ShelfItem => ({
    ...one,
    retryOf: null,
    pipeline: 'quicklook',
    overrides: {},
    configFile: null,
    version: '',
    priority: 0,
    timeLimitMs: 1_000,
    outcome: 'failed',
  }),
)

const retry = fc
  .record({
    caller,
    pipeline: fc.constantFrom(null, 'quicklook', 'stack', 'none'),
    of: fc.oneof(
      jobId.map(id => ({ by: 'jobId', jobId: id }) as const),
      fc.constant({ by: 'obsid', obsid: 'E1' } as const),
      fc.constant({ by: 'group', group: 'G#1' } as const),
      fc.constant({ by: 'dayObs', dayObs: 19_700_101 } as const),
    ),
  })
  .map((one): RetryCommand => ({ type: 'command.retry', jobId: 'again', overrides: null, version: null, ...one }))

const interests = fc.array(
  fc.record({
    view: fc.constantFrom('left', 'right'),
    dataset: fc.constantFrom('preview', 'residual'),
    instrument: fc.constantFrom(null, 'LATISS'),
    detector: fc.constantFrom(null, 0, 1),
  }),
  { maxLength: 3 },
)
const image = fc
  .record({ jobId, dataId, dataset: fc.constantFrom('preview', 'residual') })
  .map(one => ({ ...one, pipeline: 'quicklook', path: 'p.png', mime: 'image/png' }))

const camera = fc.constantFrom(builtIn('LATISS'), builtIn('LSSTComCam'))
const ingested = fc.array(
  fc.record({
    obsid: fc.constantFrom('E1', 'E2', '??'),
    raft: fc.constantFrom('R00', 'R22', '__proto__'),
    sensor: fc.constantFrom('S00', 'S11', 'SG0'),
  }),
  { maxLength: 3 },
)

export const EVENTS: { readonly [K in MachineKind]: fc.Arbitrary<Unheard<Machines[K]['event']>> } = {
  csc: fc.oneof(
    { weight: 8, arbitrary: fc.tuple(command, known).map(([asked, of]) => ({ ...asked, known: of })) },
    { weight: 1, arbitrary: fc.constant(STARTED) },
    {
      weight: 1,
      arbitrary: fc.constant({ type: 'engine.fault', errorCode: 3, errorReport: 'r', traceback: 't' } as const),
    },
    {
      weight: 1,
      arbitrary: fc.constant({ type: 'engine.configurationsAvailable', available: STARTED.available } as const),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('default', 'heavy')
        .map(pool => ({ type: 'executor.unreachable', pool, reason: 'r' }) as const),
    },
  ),
  queue: fc.oneof(
    { weight: 2, arbitrary: config.map(one => ({ type: 'queue.configure', configuration: one }) as const) },
    { weight: 2, arbitrary: fc.constantFrom({ type: 'queue.open' } as const, { type: 'queue.close' } as const) },
    { weight: 1, arbitrary: fc.constant({ type: 'queue.clear', reason: 'STANDBY' } as const) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(retry, shelfItem)
        .map(([asked, item]) => ({ type: 'queue.resubmit', command: asked, items: [item] }) as const),
    },
    {
      weight: 5,
      arbitrary: fc
        .tuple(processData, known)
        .map(([one, of]) => ({ type: 'queue.submit', command: one, known: of }) as const),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(closeGroup, known)
        .map(([one, of]) => ({ type: 'queue.closeGroup', command: one, known: of }) as const),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('queue.pause' as const, 'queue.resume' as const), caller)
        .map(([type, who]) => ({ type, caller: who })),
    },
    { weight: 3, arbitrary: jobId.map(id => ({ type: 'job.opened', jobId: id }) as const) },
    {
      weight: 5,
      arbitrary: fc
        .tuple(jobId, fc.integer({ min: -1, max: 1 }), fc.integer({ min: 1, max: 2 }))
        .map(([id, priority, slots]) => ({ type: 'job.ready', jobId: id, priority, slots }) as const),
    },
    { weight: 1, arbitrary: jobId.map(id => ({ type: 'job.yielded', jobId: id }) as const) },
    { weight: 3, arbitrary: end },
    { weight: 1, arbitrary: jobId.map(id => broke(id, { ...aJob, jobId: id, times: {}, metrics: [] })) },
    {
      weight: 1,
      arbitrary: caller.map(
        ({ id }) => ({ type: 'actor.ended', address: `reply.${id}`, end: { how: 'done', output: undefined } }) as const,
      ),
    },
  ),
  job: fc.oneof(
    { weight: 6, arbitrary: report },
    { weight: 3, arbitrary: fc.constant({ type: 'slot.granted' } as const) },
    { weight: 1, arbitrary: fc.option(caller).map(who => ({ type: 'job.abort', reason: 'x', caller: who }) as const) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom('data.present' as const, 'data.absent' as const)
        .map(type => ({ type, jobId: 'j1' }) as const),
    },
    { weight: 2, arbitrary: end },
  ),
  gather: fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .record({ jobId, dataId, rules, configuration: config })
        .map(one => ({ type: 'member.accepted', pipeline: 'quicklook', ...one }) as const),
    },
    { weight: 4, arbitrary: end },
    { weight: 2, arbitrary: fc.constantFrom(...['stem-g1', 'stem-g2'].map(id => ended(id, outcome('succeeded')))) },
    {
      weight: 2,
      arbitrary: fc
        .record({
          caller,
          answerTo: fc.constantFrom(null, 'reply.m1'),
          pipeline: fc.constantFrom(null, 'stack'),
          policy: fc.constantFrom(null, 'partial' as const, 'fail' as const, 'skip' as const),
          configuration: config,
        })
        .map(one => ({ type: 'group.close', patienceMs: null, options: null, ...one }) as const),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'group.abandon', reason: 'STANDBY' } as const) },
  ),
  reply: fc.oneof(
    { weight: 3, arbitrary: jobId.map(id => ({ type: 'reply.await', address: jobAddress(id) }) as const) },
    { weight: 2, arbitrary: end },
    { weight: 1, arbitrary: body.map(one => ({ type: 'reply.finish', body: one }) as const) },
  ),
  shelf: fc.oneof(
    { weight: 3, arbitrary: shelfItem.map(item => ({ type: 'shelf.keep', item }) as const) },
    { weight: 1, arbitrary: jobId.map(id => ({ type: 'shelf.taken', jobIds: [id] }) as const) },
    { weight: 2, arbitrary: retry.map(asked => ({ type: 'shelf.retry', command: asked }) as const) },
  ),
  display: fc.oneof(
    { weight: 1, arbitrary: interests.map(all => ({ type: 'display.configure', interests: all }) as const) },
    { weight: 6, arbitrary: image.map(one => ({ type: 'display.offer', image: one }) as const) },
  ),
  ingest: fc.oneof(
    {
      weight: 1,
      arbitrary: fc.option(camera).map(one => ({ type: 'ingest.configure', camera: one }) as const),
    },
    { weight: 3, arbitrary: fc.record({ jobId, dataId }).map(one => ({ type: 'data.look', ...one }) as const) },
    { weight: 3, arbitrary: jobId.map(id => ({ type: 'data.forget', jobId: id }) as const) },
    { weight: 6, arbitrary: ingested.map(images => ({ type: 'data.ingested', images }) as const) },
  ),
}

const aJob: Omit<JobInput, 'kind'> = {
  instance: 'LATISS',
  jobId: 'j1',
  commandId: 'm1',
  dataPath: '',
  dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
  pipeline: aPipeline('quicklook', {
    retries: { attemptsMax: 3, backoffMs: 100, on: [1, 'signal', 'lost', 'timedOut'] },
  }),
  overrides: {},
  configFile: null,
  version: '',
  priority: 0,
  fallbacks: [],
  retryOf: null,
  after: [],
  readiness: { policy: 'runNow' },
  timeLimitMs: 1_000,
  members: null,
}

export const INPUTS: { readonly [K in MachineKind]: fc.Arbitrary<Omit<Machines[K]['input'], 'kind'>> } = {
  csc: fc.constant({ instance: 'LATISS' }),
  queue: fc.constant({ instance: 'LATISS' }),
  job: fc
    .record({
      after: fc.array(fc.record({ jobId, requires: fc.constantFrom('success' as const, 'settled' as const) }), {
        maxLength: 2,
      }),
      readiness: fc.constantFrom<JobInput['readiness']>(
        { policy: 'runNow' },
        { policy: 'skip' },
        { policy: 'waitFor', waitMs: 500 },
      ),
    })
    .chain(one => fc.constantFrom({}, { capacity: 2 }).map(ahead => ({ ...aJob, ...one, ...ahead }))),
  gather: fc
    .record({ rules, configuration: config })
    .map(one => ({ instance: 'LATISS', group: 'G#1', stem: 'stem', ...one })),
  reply: caller.map(who => ({ caller: who, jobIds: ['a'], ackTimeoutMs: 1_000 })),
  shelf: fc.constant({}),
  display: interests.map(all => ({ interests: all })),
  ingest: camera.map(one => ({ camera: one })),
}
