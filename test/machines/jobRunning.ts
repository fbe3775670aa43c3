import { describe, expect, test } from 'vitest'
import { exit, NIGHTFALL, USAGE } from '../harness.ts'
import { broke, ended, neverWas, outcome } from './endings.ts'
import {
  after,
  exited,
  grant,
  input,
  job,
  lost,
  reports,
  resultOf,
  retrying,
  running,
  startFailed,
  started,
  starting,
  stopping,
} from './jobGiven.ts'

const present = { type: 'data.present', jobId: 'j1' } as const

const absent = { type: 'data.absent', jobId: 'j1' } as const

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
