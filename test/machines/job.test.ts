// What one machine's tests take of its chart is counted together: they are one test file in parts.
import './jobRunning.ts'
import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { Emission } from '../../machines/domain/messages.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { brokenResult } from '../../machines/jobResult.ts'
import { aPipeline, exit, NIGHTFALL, transitionsNotTaken, USAGE, type Given } from '../harness.ts'
import { tableProblems } from './table.ts'
import {
  abort,
  after,
  exited,
  grant,
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

function acksOf({ emissions }: Given<'job'>): number[] {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body.ack] : []))
}

function statesSaid(emissions: readonly Emission[]): string[] {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'jobState' ? [one.body.state] : []))
}
