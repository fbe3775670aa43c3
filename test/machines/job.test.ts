import { describe, expect, test } from 'vitest'
import { ACK, type JobResult } from '../../machines/domain/announcements.ts'
import type { Prerequisite } from '../../machines/domain/commands.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import type { Emission } from '../../machines/domain/messages.ts'
import type { RetryClass } from '../../machines/domain/pipeline.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { brokenResult } from '../../machines/jobResult.ts'
import { aCaller, aPipeline, exit, given, NIGHTFALL, transitionsNotTaken, USAGE, type Given } from '../harness.ts'
import { broke, ended, neverWas, outcome } from './endings.ts'
import { tableProblems } from './table.ts'

const caller = aCaller('m7')
const input = {
  instance: 'LATISS',
  jobId: 'j1',
  commandId: 'm1',
  dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: null },
  pipeline: aPipeline('quicklook'),
  overrides: {},
  configFile: null,
  version: '',
  priority: 0,
  fallbacks: [],
  retryOf: null,
  after: [],
  readiness: { policy: 'runNow' },
  timeLimitMs: 60_000,
  dataPath: '/data/{obsid}.fits',
  members: null,
} satisfies Omit<JobInput, 'kind'>

const job = (changes: Partial<JobInput> = {}) => given('job', { ...input, ...changes })
const retrying = (on: readonly RetryClass[], attemptsMax = 3) =>
  job({ pipeline: aPipeline('quicklook', { retries: { attemptsMax, backoffMs: 1_000, on } }) })
const after = (...jobIds: readonly (string | Prerequisite)[]) => ({
  after: jobIds.map(one => (typeof one === 'string' ? ({ jobId: one, requires: 'success' } as const) : one)),
})

const grant = { type: 'slot.granted' } as const
const started = (attempt = 1) => ({ type: 'executor.started', jobId: 'j1', attempt, pid: 1_000 }) as const
const exited = (exitCode: number, attempt = 1) => exit('j1', attempt, { exitCode })
const lost = (attempt = 1) => ({ type: 'executor.lost', jobId: 'j1', attempt, reason: 'pid 1000 is gone' }) as const
const startFailed = (attempt = 1) =>
  ({ type: 'executor.startFailed', jobId: 'j1', attempt, code: 'PROGRAM_NOT_FOUND', reason: 'no /bin/x' }) as const
const abort = { type: 'job.abort', reason: 'aborted by operator', caller } as const
const present = { type: 'data.present', jobId: 'j1' } as const
const absent = { type: 'data.absent', jobId: 'j1' } as const

const starting = job().when(grant)
const running = starting.when(started())
const stopping = running.when(abort)

describe('job: waiting', () => {
  test('a job with nothing to wait for asks for a slot at once', () => {
    expect(job().state).toBe('queued')
    expect(job().emissions).toContainEqual({
      type: 'tell',
      to: 'queue',
      message: { type: 'job.ready', jobId: 'j1', priority: 0, slots: 1 },
    })
  })

  test('a job after two others waits until both have succeeded', () => {
    const held = job(after('a', 'b'))
    expect(held.state).toBe('held.awaitingJobs')
    expect(held.emissions).toContainEqual({ type: 'watch', address: 'job.a' })
    expect(held.emissions).toContainEqual({ type: 'watch', address: 'job.b' })
    const half = held.when(ended('b', outcome('succeeded')))
    expect(half.state).toBe('held.awaitingJobs')
    expect(half.when(ended('a', outcome('succeeded'))).state).toBe('queued')
  })

  test.each(['failed', 'timedOut', 'aborted', 'lost', 'skipped'] as const)(
    'a job that needs the success of one that %s is skipped and says which',
    kind => {
      const skipped = job(after('a', 'b')).when(ended('a', outcome(kind)))
      expect(skipped.state).toBe('settled')
      expect(resultOf(skipped).outcome).toMatchObject({ kind: 'skipped', code: 'PREREQUISITE_FAILED' })
      expect(resultOf(skipped).outcome.message).toContain('job a')
      expect(resultOf(skipped).outcome.message).toContain(kind)
    },
  )

  test.each([
    ['broke inside OCPS', broke('a')],
    ['is not known here any more', neverWas('a')],
  ])('a job that needs the success of one that %s is skipped', (how, end) => {
    expect(resultOf(job(after('a')).when(end)).outcome.message).toContain(how)
  })

  test.each([ended('a', outcome('failed')), broke('a'), neverWas('a')])(
    'a job that only needs another one to be over runs however that ended: %o',
    end => {
      expect(job(after({ jobId: 'a', requires: 'settled' })).when(end).state).toBe('queued')
    },
  )

  test('the end of a job it does not wait for changes nothing', () => {
    expect(job(after('a', 'b')).when(ended('x', outcome('failed'))).state).toBe('held.awaitingJobs')
  })

  test('a job that names the same prerequisite twice waits for it once', () => {
    const held = job(after('a', 'a'))
    expect(held.when(ended('a', outcome('succeeded'))).state).toBe('queued')
    expect(held.when(ended('a', outcome('failed'))).state).toBe('settled')
    const mixed = job(after({ jobId: 'a', requires: 'settled' }, 'a'))
    expect(mixed.when(ended('a', outcome('failed'))).state).toBe('settled')
  })

  test('the data are looked for only after the prerequisites', () => {
    const held = job({ ...after('a'), readiness: { policy: 'waitFor', waitMs: 20_000 } })
    expect(held.emissions.map(({ type }) => type)).not.toContain('data.look')
    const looking = held.when(ended('a', outcome('succeeded')))
    expect(looking.state).toBe('held.awaitingData')
    expect(looking.emissions).toContainEqual({ type: 'data.look', jobId: 'j1', dataId: input.dataId })
  })

  test('a job told to wait for its data starts when they come', () => {
    const held = job({ readiness: { policy: 'waitFor', waitMs: 20_000 } })
    expect(held).toMatchObject({ state: 'held.awaitingData', timers: { patience: 20_000 } })
    expect(held.when(absent).state).toBe('held.awaitingData')
    const queued = held.when(absent, present)
    expect(queued).toMatchObject({ state: 'queued', timers: {} })
    expect(queued.emissions).toContainEqual({ type: 'data.forget', jobId: 'j1' })
  })

  test.each(['data.present', 'data.located'] as const)('%s with inputs: they are what it is started with', type => {
    const inputs = { input: '/elsewhere/17.fits' }
    const waiting = job({ readiness: { policy: 'waitFor', waitMs: 60_000 } })
    const started = waiting.when({ type, jobId: 'j1', inputs }, grant)
    expect(started.emissions).toContainEqual(expect.objectContaining({ type: 'executor.start', inputs }))
  })

  test('a job told to wait 20 s for its data is skipped after 20 s, naming them', () => {
    const skipped = job({ readiness: { policy: 'waitFor', waitMs: 20_000 } }).after('patience')
    expect(resultOf(skipped).outcome).toMatchObject({
      kind: 'skipped',
      code: 'DATA_NOT_READY',
      message: 'AT_O_20261122_000017 was not ingested within 20 s',
    })
  })

  test('a job told to skip runs if the data are there, and is skipped at once if not', () => {
    const held = job({ readiness: { policy: 'skip' }, dataId: { ...input.dataId, detector: 94 } })
    expect(held.when(present).state).toBe('queued')
    expect(resultOf(held.when(absent)).outcome.message).toBe('AT_O_20261122_000017 detector 94 is not ingested')
  })

  test('a job told to skip does not wait for an answer longer than 5 s', () => {
    const held = job({ readiness: { policy: 'skip' } })
    expect(held.timers).toEqual({ patience: 5_000 })
    expect(resultOf(held.after('patience')).outcome.kind).toBe('skipped')
  })
})

describe('job: running', () => {
  test('with its slot the order to start goes out, complete, and the time limit begins', () => {
    expect(starting.state).toBe('active.starting')
    expect(starting.timers).toEqual({ timeLimit: 60_000 })
    expect(starting.emissions).toContainEqual({
      type: 'executor.start',
      jobId: 'j1',
      attempt: 1,
      instance: 'LATISS',
      pipeline: input.pipeline,
      dataId: input.dataId,
      overrides: {},
      configFile: null,
      version: '',
      dataPath: '/data/{obsid}.fits',
      members: null,
    })
  })

  test('one that may be handed over before a slot is free says how many there are, and its time begins with its process', () => {
    const ordered = retrying(['lost']).context
    const ahead = job({ pipeline: ordered.pipeline, capacity: 2 }).when(grant)
    expect(ahead.emissions).toContainEqual(expect.objectContaining({ type: 'executor.start', capacity: 2 }))
    const waiting = ahead.after('timeLimit')
    expect(waiting.state).toBe('active.starting')
    const begun = waiting.when(started())
    expect(begun).toMatchObject({ state: 'active.running', timers: { timeLimit: 60_000 } })
    expect(begun.emissions).not.toContainEqual(expect.objectContaining({ type: 'executor.start' }))
    expect(begun.when(started()).emissions).toEqual([])
    expect(begun.after('timeLimit').state).toBe('stopping')
    const again = begun.when(lost()).after('backoff').when(grant)
    expect(again.after('timeLimit').state).toBe('active.starting')
    expect(again.when(started(2)).after('timeLimit').state).toBe('stopping')
  })

  test('exit code 0 is success', () => {
    const settled = running.when(exited(0))
    expect(settled).toMatchObject({ state: 'settled', timers: {} })
    expect(resultOf(settled).outcome).toMatchObject({ kind: 'succeeded', code: 'OK', exitCode: 0, usage: USAGE })
  })

  test('another exit code is a failure, told with the last line of stderr', () => {
    const settled = running.when(exit('j1', 1, { exitCode: 3, stderrTail: 'Traceback\nValueError: no stars\n' }))
    expect(resultOf(settled).outcome).toMatchObject({
      kind: 'failed',
      code: 'EXIT_CODE',
      exitCode: 3,
      message: 'quicklook failed with exit code 3: ValueError: no stars',
    })
  })

  test('a signal from elsewhere is a failure that names the signal', () => {
    const settled = running.when(exit('j1', 1, { signal: 'SIGSEGV' }))
    expect(resultOf(settled).outcome).toMatchObject({
      kind: 'failed',
      code: 'SIGNAL',
      signal: 'SIGSEGV',
      message: 'quicklook was ended by SIGSEGV',
    })
  })

  test('a process may end before it was heard to start', () => {
    expect(resultOf(starting.when(exited(0))).outcome.kind).toBe('succeeded')
  })

  test('a program that cannot be started is a failure with its own code', () => {
    expect(resultOf(starting.when(startFailed())).outcome).toMatchObject({
      kind: 'failed',
      code: 'PROGRAM_NOT_FOUND',
      message: 'no /bin/x',
    })
  })

  test('a process nobody can account for is lost, with the evidence', () => {
    expect(resultOf(running.when(lost())).outcome).toMatchObject({ kind: 'lost', message: 'pid 1000 is gone' })
  })

  test('a job over its time limit is told to stop and timed out, whatever its exit code then', () => {
    const over = running.after('timeLimit')
    expect(over.state).toBe('stopping')
    expect(over.emissions).toContainEqual({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 5_000 })
    expect(resultOf(over.when(exited(0))).outcome).toMatchObject({
      kind: 'timedOut',
      code: 'TIME_LIMIT',
      exitCode: 0,
      message: 'quicklook ran longer than its time limit of 60 s and was stopped',
    })
  })

  test('a command may shorten the time limit', () => {
    expect(job({ timeLimitMs: 500 }).when(grant).timers).toEqual({ timeLimit: 500 })
  })

  test.each(['metric', 'dataset', 'progress', 'verdict', 'badReport'] as const)(
    'a %s is passed on while the job runs and while it is stopped, and counted',
    topic => {
      for (const now of [starting, running, stopping]) {
        const heard = now.when(reports[topic])
        expect(heard.emissions).toMatchObject([{ type: 'telemetry', topic, jobId: 'j1', pipeline: 'quicklook' }])
        expect(heard.state).toBe(now.state)
        expect(heard.context.reportsHeard).toBe(1)
      }
    },
  )

  test('the result holds the newest value of each metric, in the order they first came', () => {
    const metric = (name: string, value: number) =>
      ({ type: 'executor.metric', jobId: 'j1', attempt: 1, metric: name, value, unit: 'arcsec' }) as const
    const settled = running.when(metric('psf', 1.4), metric('sky', 20), metric('psf', 1.2), exited(0))
    expect(resultOf(settled).metrics).toEqual([
      { metric: 'psf', value: 1.2, unit: 'arcsec' },
      { metric: 'sky', value: 20, unit: 'arcsec' },
    ])
  })

  test('the result holds a thousand metrics at most, so that it stays one message', () => {
    const many = Array.from({ length: 1_002 }, (_, i) => ({ ...reports.metric, metric: `m${i}` }))
    expect(resultOf(running.when(...many, exited(0))).metrics).toHaveLength(1_000)
  })

  test('a bad verdict does not make a job fail', () => {
    const settled = resultOf(running.when(reports.verdict, exited(0)))
    expect(settled).toMatchObject({ verdict: 'poor seeing', outcome: { kind: 'succeeded' } })
  })

  test('the result holds datasets, times and who asked', () => {
    const settled = running.when(reports.dataset, exited(0))
    expect(resultOf(settled)).toMatchObject({
      jobId: 'j1',
      commandId: 'm1',
      attempt: 1,
      datasets: [{ dataset: 'preview', path: 'preview.png', mime: 'image/png' }],
      times: { accepted: NIGHTFALL, queued: NIGHTFALL, started: NIGHTFALL + 2, settled: NIGHTFALL + 4 },
    })
  })
})

describe('job: ended from outside', () => {
  test.each([
    ['held for jobs', job(after('a'))],
    ['held for data', job({ readiness: { policy: 'skip' } })],
    ['queued', job()],
    ['backing off', retrying([1]).when(grant, exited(1))],
  ])('a job that is %s and aborted settles at once', (_, now) => {
    const settled = now.when(abort)
    expect(settled).toMatchObject({ state: 'settled', timers: {} })
    expect(resultOf(settled).outcome).toMatchObject({
      kind: 'aborted',
      message: 'the job was stopped: aborted by operator',
    })
    expect(acksOf(settled)).toEqual([ACK.COMPLETE])
  })

  test.each([
    ['starting', starting],
    ['running', running],
  ])('a job that is %s and aborted is stopped, and aborted whatever its exit code', (_, now) => {
    const stopped = now.when(abort)
    expect(stopped.state).toBe('stopping')
    expect(stopped.emissions.map(({ type }) => type)).toContain('executor.stop')
    expect(acksOf(stopped)).toEqual([ACK.COMPLETE])
    for (const end of [exited(0), exited(9), exit('j1', 1, { signal: 'SIGKILL' }), lost(), startFailed()])
      expect(resultOf(stopped.when(end)).outcome.kind).toBe('aborted')
  })

  test('the abort of a whole queue is acknowledged to nobody', () => {
    const stopped = running.when({ ...abort, caller: null })
    expect(acksOf(stopped)).toEqual([])
    expect(stopped.state).toBe('stopping')
  })

  test('the first reason wins: an abort during the stop for the time limit is acknowledged and changes nothing', () => {
    const settled = running.after('timeLimit').when(abort)
    expect(acksOf(settled)).toEqual([ACK.COMPLETE])
    expect(resultOf(settled.when(exited(0))).outcome.kind).toBe('timedOut')
  })

  test('a job that was aborted is not tried again, although its time limit came first', () => {
    const stopped = retrying(['timedOut']).when(grant, started()).after('timeLimit').when(abort)
    expect(stopped.when(exited(0)).state).toBe('settled')
    expect(resultOf(stopped.when(exited(0))).outcome.kind).toBe('timedOut')
  })

  test('a process may be heard to start after it was told to stop', () => {
    const heard = starting.when(abort, started())
    expect(heard.state).toBe('stopping')
    expect(heard.context.times.started).toBe(NIGHTFALL + 3)
  })

  test('the outcome of a stopped job holds what the process used', () => {
    expect(resultOf(stopping.when(exit('j1', 1, { signal: 'SIGTERM' }))).outcome).toMatchObject({
      kind: 'aborted',
      signal: 'SIGTERM',
      usage: USAGE,
    })
  })
})

describe('job: trying again', () => {
  test.each([
    [7, exited(7)],
    ['signal', exit('j1', 1, { signal: 'SIGKILL' })],
    ['lost', lost()],
    ['startFailed', startFailed()],
  ] as const)(
    'an ending of class %s is tried again where the pipeline says so, and not where it does not',
    (on, end) => {
      expect(retrying([on]).when(grant, started(), end).state).toBe('backingOff')
      expect(retrying([]).when(grant, started(), end).state).toBe('settled')
    },
  )

  test('a job over its time limit is tried again where the pipeline says so', () => {
    expect(retrying(['timedOut']).when(grant, started()).after('timeLimit').when(exited(0)).state).toBe('backingOff')
  })

  test('the backoff doubles with every attempt, the slot is free meanwhile, and after the last the job settles', () => {
    let now = retrying([1]).when(grant, exited(1))
    expect(now.timers).toEqual({ backoff: 1_000 })
    expect(now.emissions).toContainEqual({ type: 'tell', to: 'queue', message: { type: 'job.yielded', jobId: 'j1' } })
    now = now.after('backoff')
    expect(now).toMatchObject({ state: 'queued', context: { attempt: 2 } })
    now = now.when(grant, exited(1, 2))
    expect(now.timers).toEqual({ backoff: 2_000 })
    now = now.after('backoff').when(grant, exited(1, 3))
    expect(now.state).toBe('settled')
    expect(resultOf(now)).toMatchObject({ attempt: 3, outcome: { kind: 'failed', exitCode: 1 } })
  })

  test('success on the second attempt is success, with nothing left of the first', () => {
    const settled = retrying([1])
      .when(grant, started(), reports.metric, exited(1))
      .after('backoff')
      .when(grant, started(2), exited(0, 2))
    expect(resultOf(settled)).toMatchObject({ attempt: 2, metrics: [], outcome: { kind: 'succeeded' } })
  })

  test('a report of an earlier attempt is not heard', () => {
    const second = retrying([1]).when(grant, started(), exited(1)).after('backoff').when(grant)
    for (const late of [started(1), exited(0, 1), lost(1), startFailed(1), ...Object.values(reports)]) {
      const heard = second.when(late)
      expect(heard).toMatchObject({ state: 'active.starting', emissions: [] })
      expect(heard.context).toBe(second.context)
    }
  })
})

describe('job: settled', () => {
  test('a settled job hears nothing any more and its output says how it ended', () => {
    const settled = running.when(exited(0))
    const deaf = settled.when(exited(1), abort, grant, lost())
    expect(deaf.emissions).toEqual([])
    expect(deaf.output).toBe(settled.output)
    expect((settled.output as JobOutput).outcome.kind).toBe('succeeded')
  })

  test('the result is said once, before the state', () => {
    const said = running.when(exited(0)).emissions.flatMap(one => (one.type === 'event' ? [one.topic] : []))
    expect(said).toEqual(['jobResult', 'jobState'])
  })

  test('the result of a job whose machine broke is a failure INTERNAL', () => {
    expect(brokenResult(running.context)).toMatchObject({ jobId: 'j1', outcome: { kind: 'failed', code: 'INTERNAL' } })
  })

  test('every state on the way is said', () => {
    const said = [job(), starting, running, stopping].flatMap(({ emissions }) => statesSaid(emissions))
    expect(said).toEqual(['queued', 'running', 'stopping'])
    expect(statesSaid(job(after('a')).emissions)).toEqual(['held'])
    expect(statesSaid(retrying([1]).when(grant, exited(1)).emissions)).toEqual(['backingOff'])
  })

  test('failed for good it goes on with its fall-back, with the overrides that one knows, and settles as that one ends', () => {
    const plainer = aPipeline('plainer', {
      overrides: { threshold: { type: 'number', default: null, minimum: null, maximum: null } },
    })
    const falling = job({ fallbacks: [plainer], overrides: { threshold: 3, other: 1 } }).when(grant, exited(1))
    expect(falling).toMatchObject({
      state: 'queued',
      context: { attempt: 2, tries: 1, fellBackFrom: ['quicklook'], asked: { overrides: { threshold: 3 } } },
    })
    const settled = falling.when(grant, { ...exited(0), attempt: 2 })
    expect(resultOf(settled)).toMatchObject({
      pipeline: 'plainer',
      fellBackFrom: ['quicklook'],
      outcome: { kind: 'succeeded' },
    })
  })

  test('a fall-back is not said to have used a version or a file it does not know; a retry begins with what was asked for', () => {
    const plainer = aPipeline('plainer', { versions: [], configFiles: [] })
    const falling = job({ fallbacks: [plainer], version: 'w_1', configFile: 'a.yaml', overrides: { snr: 3 } }).when(
      grant,
      exited(1),
    )
    const settled = falling.when(grant, { ...exited(1), attempt: 2 })
    expect(falling.when(grant).emissions).toMatchObject([{ type: 'executor.start', version: '', configFile: null }])
    expect(resultOf(settled)).toMatchObject({ pipeline: 'plainer', version: '' })
    expect(settled.emissions).toContainEqual(
      expect.objectContaining({
        to: 'shelf',
        message: expect.objectContaining({
          item: expect.objectContaining({ version: 'w_1', configFile: 'a.yaml', overrides: { snr: 3 } }) as unknown,
        }) as unknown,
      }),
    )
  })

  test('a job that ends without success goes on the shelf under the pipeline that was asked for; one that succeeds does not', () => {
    const shelved = (one: Given<'job'>) =>
      one.emissions.flatMap(said =>
        said.type === 'tell' && said.message.type === 'shelf.keep' ? [said.message.item] : [],
      )
    expect(shelved(running.when(exited(1)))).toMatchObject([{ jobId: 'j1', pipeline: 'quicklook', outcome: 'failed' }])
    expect(shelved(running.when(exited(0)))).toEqual([])
    expect(shelved(job({ members: [] }).when(grant, exited(1)))).toEqual([])
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('job')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('job')).toEqual([])
  })
})

const who = { jobId: 'j1', attempt: 1 } as const
const reports = {
  metric: { type: 'executor.metric', ...who, metric: 'psf', value: 1.2, unit: 'arcsec' },
  dataset: { type: 'executor.dataset', ...who, dataset: 'preview', path: 'preview.png', mime: 'image/png' },
  progress: { type: 'executor.progress', ...who, fraction: 0.4, note: 'stars' },
  verdict: { type: 'executor.verdict', ...who, verdict: 'poor seeing' },
  badReport: { type: 'executor.badReport', ...who, reason: 'line 3 is not JSON' },
} as const satisfies Record<string, ExecutorReport>

function resultOf({ emissions }: Given<'job'>): JobResult {
  const results = emissions.flatMap(one => (one.type === 'event' && one.topic === 'jobResult' ? [one.body] : []))
  expect(results).toHaveLength(1)
  const [result] = results
  if (!result) throw new Error('no result was said')
  return result
}

function acksOf({ emissions }: Given<'job'>): number[] {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body.ack] : []))
}

function statesSaid(emissions: readonly Emission[]): string[] {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'jobState' ? [one.body.state] : []))
}
