import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AckBody } from '../../machines/domain/announcements.ts'
import { startService, type Service } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { optionsFor, startInstance, type Gate, type Running } from './instance.ts'
import { connectWire, must, type Fields, type Sending, type Wire } from './wire.ts'

/*
 * processData and abortJob as a script sees them: what OCPS' `execute`, `abort_job` and `job_result` promised (csc.md
 * §2), with our names. Real processes; one instance answers at once (async), the other when the processing is complete
 * (sync).
 */
let running: Running
let sync: { service: Service; wire: Wire }
let exposure = 0

const cleanUp = cleanUpAfterAll()

beforeAll(async () => {
  running = await startInstance()
  cleanUp(() => running.stop())
  const options = optionsFor(running.place, {
    instance: 'SYNC',
    natsUrl: running.service.natsUrl,
    dataDir: join(running.place.dir, 'sync'),
    configurationOverride: 'sync.yaml',
  })
  const service = await startService(options)
  cleanUp(() => service.stop())
  sync = { service, wire: await connectWire(running.service.natsUrl, 'SYNC') }
  cleanUp(() => sync.wire.close())
})

const nextObsid = () => `AT_O_20261122_${String(++exposure).padStart(6, '0')}`
const job = (pipeline: string, more: object = {}) => ({ dataId: { obsid: nextObsid() }, pipeline, ...more })
const hold = (gate: Gate, more: object = {}) => job('hold', { overrides: { gate: gate.path }, ...more })

/** Accepted; the one job it made. */
async function submit(body: object, how?: Sending): Promise<string> {
  const ack = await running.wire.command('processData', body, how)
  expect(ack).toMatchObject({ ack: 303, error: 0, code: null })
  return must(ack.jobIds[0])
}

const isIn = (jobId: string, state: string) =>
  running.wire.event('jobState', body => body['jobId'] === jobId && body['state'] === state)
const states = (jobId: string) => running.wire.events('jobState', jobId).map(body => body['state'])
const outcome = (result: Fields) => result['outcome'] as Fields

describe('processData', () => {
  it('45 S: of two long jobs sent at once both run before either ends', async () => {
    const gate = running.place.gate()
    const [one, two] = await Promise.all([submit(hold(gate)), submit(hold(gate))])
    await Promise.all([isIn(one, 'running'), isIn(two, 'running')])
    expect(running.wire.events('jobResult', one)).toEqual([])
    expect(running.wire.events('jobResult', two)).toEqual([])
    gate.open()
    expect(outcome(await running.wire.result(one))).toMatchObject({ kind: 'succeeded' })
    expect(outcome(await running.wire.result(two))).toMatchObject({ kind: 'succeeded' })
  })

  it('51 S: a job over its time limit is answered TIMEOUT (-304), an aborted one ABORTED (-303), a failed one FAILED (-302)', async () => {
    const { wire } = sync
    expect(await wire.command('processData', job('brief'))).toMatchObject({ ack: -304, error: 1, code: 'TIME_LIMIT' })
    const asked = wire.send('processData', job('endless'))
    const [jobId] = (await asked.first).jobIds
    await wire.event('jobState', body => body['jobId'] === jobId && body['state'] === 'running')
    expect(await wire.command('abortJob', { jobId })).toMatchObject({ ack: 303 })
    expect(await asked.final).toMatchObject({ ack: -303, error: 1, code: 'ABORTED' })
    const failed = await wire.command('processData', job('fail'))
    expect(failed).toMatchObject({ ack: -302, error: 1, code: 'EXIT_CODE' })
    expect(failed.result).toContain('the dome is closed')
  })

  it('61 O: in synchronous mode INPROGRESS names the job and a timeout, then its result is said, then COMPLETE', async () => {
    const { wire } = sync
    const from = wire.heard.length
    const asked = wire.send('processData', job('true'))
    const first = await asked.first
    expect(first).toMatchObject({ ack: 301, error: 0, timeout: 2 })
    expect(first.jobIds).toHaveLength(1)
    expect(await asked.final).toMatchObject({ ack: 303, error: 0, result: 'Done', jobIds: first.jobIds })
    const order = wire.heard.slice(from).flatMap(({ subject, body }) => {
      if (!subject.startsWith('ocps.')) return [String((body as unknown as AckBody).ack)]
      return subject.includes('.evt.jobResult.') ? ['jobResult'] : []
    })
    expect(order).toEqual(['301', 'jobResult', '303'])
    // In synchronous mode a second command is refused while one is processed.
    const gate = running.place.gate()
    const long = wire.send('processData', hold(gate))
    await long.first
    expect(await wire.command('processData', job('true'))).toMatchObject({ ack: -302, code: 'BUSY' })
    gate.open()
    expect(await long.final).toMatchObject({ ack: 303 })
  })

  it('63 O: a pipeline that does not exist is refused, and no job is made', async () => {
    const { wire } = running
    await wire.quiet()
    const before = wire.events('jobState').length
    const ack = await wire.command('processData', job('nowhere'))
    expect(ack).toMatchObject({ ack: -302, error: 1, code: 'UNKNOWN_PIPELINE', jobIds: [] })
    expect(ack.result).toMatch(/no pipeline nowhere; the configuration has .*true/)
    await wire.quiet()
    expect(wire.events('jobState')).toHaveLength(before)
  })

  it('65 O: a job is said under its id, with the id of its command in the result, before its result', async () => {
    const { wire } = running
    const from = wire.heard.length
    const jobId = await submit(job('true'), { id: 'script-7.1' })
    expect(await wire.result(jobId)).toMatchObject({ jobId, commandId: 'script-7.1', pipeline: 'true', attempt: 1 })
    const order = wire.heard
      .slice(from)
      .flatMap(({ subject }) => (subject.endsWith(`.${jobId}`) ? [subject.split('.')[3]] : []))
    expect(order.indexOf('jobState')).toBeLessThan(order.indexOf('jobResult'))
    expect(order.filter(topic => topic === 'jobResult')).toHaveLength(1)
    expect(states(jobId)).toEqual(['queued', 'running', 'settled'])
  })

  it('67 O: a job runs after its prerequisites: at once when they ended, later when one runs, never when one failed', async () => {
    const ended = [await submit(job('true')), await submit(job('true'))]
    for (const jobId of ended) await running.wire.result(jobId)
    const after = await submit(job('true', { after: ended }))
    expect(outcome(await running.wire.result(after))).toMatchObject({ kind: 'succeeded' })

    const gate = running.place.gate()
    const first = await submit(hold(gate))
    await isIn(first, 'running')
    const waits = await submit(job('true', { after: [first] }))
    await isIn(waits, 'held')
    // Slots are free: a job that came later and waits for nothing ends meanwhile.
    const later = await submit(job('true'))
    expect(outcome(await running.wire.result(later))).toMatchObject({ kind: 'succeeded' })
    expect(await running.wire.query('job', { jobId: waits })).toMatchObject({ state: 'held' })
    expect(states(waits)).toEqual(['held'])
    gate.open()
    expect(outcome(await running.wire.result(waits))).toMatchObject({ kind: 'succeeded' })
    const [started, settled] = [
      times(await running.wire.result(waits))['started'],
      times(await running.wire.result(first))['settled'],
    ]
    expect(Number(started)).toBeGreaterThanOrEqual(Number(settled))

    const failed = await submit(job('fail'))
    const skipped = await submit(job('true', { after: [failed] }))
    const anyway = await submit(job('true', { after: [{ jobId: failed, requires: 'settled' }] }))
    const result = await running.wire.result(skipped)
    expect(outcome(result)).toMatchObject({
      kind: 'skipped',
      code: 'PREREQUISITE_FAILED',
      message: expect.stringContaining(failed) as unknown,
    })
    expect(times(result)).toMatchObject({ started: null })
    expect(outcome(await running.wire.result(anyway))).toMatchObject({ kind: 'succeeded' })
  })

  it('69 B: a prerequisite with a space in it, or one nobody knows, is refused by name and not silently missed', async () => {
    const known = await submit(job('true'))
    const spaced = await running.wire.command('processData', job('true', { after: [known, ` ${known}`] }))
    expect(spaced).toMatchObject({
      ack: -302,
      code: 'MALFORMED',
      result: expect.stringContaining('after.1') as unknown,
    })
    const unknown = await running.wire.command('processData', job('true', { after: [known, '20010101-000001'] }))
    expect(unknown).toMatchObject({
      ack: -302,
      code: 'UNKNOWN_JOB',
      result: expect.stringContaining('20010101-000001') as unknown,
    })
  })

  it('71 D: an obsid processes that exposure, detectors those detectors, and a group its own exposures and not those of group "#2"', async () => {
    const { wire } = running
    const obsid = nextObsid()
    const whole = await submit({ dataId: { obsid }, pipeline: 'data' })
    expect(await wire.result(whole)).toMatchObject({ verdict: `${obsid}  ` })
    const ack = await wire.command('processData', { dataId: { obsid, detector: [3, 94] }, pipeline: 'data' })
    const results = await Promise.all(ack.jobIds.map(jobId => wire.result(jobId)))
    expect(results.map(({ verdict }) => verdict)).toEqual([`${obsid} 3 `, `${obsid} 94 `])

    const group = '2026-11-22T22:59:05.721'
    const [one, two, other] = [nextObsid(), nextObsid(), nextObsid()]
    for (const [id, member] of [
      [group, one],
      [group, two],
      [`${group}#2`, other],
    ] as const)
      await submit({ dataId: { obsid: member }, pipeline: 'data', group: id })
    expect(await wire.command('processData', { dataId: { group }, pipeline: 'stack' })).toMatchObject({
      ack: 303,
      jobIds: [],
    })
    const result = await wire.event('groupResult', body => body['group'] === group)
    expect(result).toMatchObject({ outcome: 'complete', revision: 1, metrics: [{ metric: 'stack.members', value: 2 }] })
    expect(new Set((result['members'] as Fields[]).map(({ identity }) => identity))).toEqual(new Set([one, two]))
    expect(await wire.query('group', { group: `${group}#2` })).toMatchObject({ state: 'open', accepted: 1 })
    expect(await wire.command('closeGroup', { group: `${group}#2`, pipeline: 'stack' })).toMatchObject({ ack: 303 })
    const second = await wire.event('groupResult', body => body['group'] === `${group}#2`)
    expect(second).toMatchObject({ outcome: 'complete', metrics: [{ metric: 'stack.members', value: 1 }] })
    expect((second['members'] as Fields[]).map(({ identity }) => identity)).toEqual([other])
  })

  it('73 D: with room for four, four of six jobs run and two wait; each end is said by itself', async () => {
    const { wire } = running
    const gates = Array.from({ length: 6 }, () => running.place.gate())
    const ids: string[] = []
    for (const gate of gates) ids.push(await submit(hold(gate)))
    await Promise.all(ids.slice(0, 4).map(jobId => isIn(jobId, 'running')))
    await wire.quiet()
    expect(ids.slice(4).map(states)).toEqual([['queued'], ['queued']])
    expect(await wire.query('state')).toMatchObject({ queue: { running: 4, waiting: 2 } })
    gates[2]?.open()
    expect(outcome(await wire.result(ids[2]))).toMatchObject({ kind: 'succeeded' })
    await isIn(must(ids[4]), 'running')
    expect(states(must(ids[5]))).toEqual(['queued'])
    for (const gate of gates) gate.open()
    for (const jobId of ids) expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
  })

  it('75 D: the version asked for reaches the pipeline and is reported in the result', async () => {
    const jobId = await submit(job('version', { version: 'w_2025_01' }))
    expect(await running.wire.result(jobId)).toMatchObject({ version: 'w_2025_01', verdict: 'w_2025_01' })
  })

  it.each([
    '"\'`',
    'back\\slash\\n',
    'line\nbreak\ttab',
    '; touch injected; #',
    '$(touch injected) ${HOME} `id`',
    '| & > <',
    '{obsid} {override.word}',
    '-rf',
    'd\u00e9tecteur \u2603',
  ])('77 B: the override %j reaches the program as it is, in one word, and no shell sees it', async word => {
    const jobId = await submit(job('words', { overrides: { word } }))
    expect(outcome(await running.wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
    const directory = join(running.service.workDir, jobId)
    expect(readFileSync(join(directory, 'word.txt'), 'utf8')).toBe(word)
    expect(existsSync(join(directory, 'injected'))).toBe(false)
  })

  it('79 B: while a job runs, INPROGRESS is said again before each promise runs out', async () => {
    const gate = running.place.gate()
    const { wire } = sync
    const asked = wire.send('processData', hold(gate))
    const arrivals: number[] = []
    await eventually('three renewals', () => {
      while (arrivals.length < asked.acks.length) arrivals.push(performance.now())
      return asked.acks.length >= 4
    })
    expect(asked.acks.every(({ ack, timeout }) => ack === 301 && timeout === 2)).toBe(true)
    const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0))
    // Promised are 2 s; what is measured includes how late this process looks.
    expect(Math.max(...gaps)).toBeLessThan(2_000)
    gate.open()
    expect(await asked.final).toMatchObject({ ack: 303 })
  })

  it('81 D: a pipeline that succeeds on poor data has succeeded, and its verdict travels apart', async () => {
    const jobId = await submit(job('poor'))
    expect(await running.wire.result(jobId)).toMatchObject({
      outcome: { kind: 'succeeded', code: 'OK', exitCode: 0 },
      verdict: 'poor seeing',
    })
  })

  it('83 B: every result has the same fields, however the job ended, and always its jobId', async () => {
    const { wire } = running
    const aborted = await submit(job('endless'))
    await isIn(aborted, 'running')
    await wire.command('abortJob', { jobId: aborted })
    const failed = await submit(job('fail'))
    const jobs = {
      succeeded: await submit(job('true')),
      failed,
      aborted,
      skipped: await submit(job('true', { after: [failed] })),
      timedOut: await submit(job('brief')),
      'failed to start': await submit(job('missing')),
    }
    const shapes = new Set<string>()
    for (const [how, jobId] of Object.entries(jobs)) {
      const result = await wire.result(jobId)
      expect(result).toMatchObject({ jobId, outcome: { kind: how.split(' ')[0] } })
      expect(outcome(result)['message']).toMatch(/\S/)
      shapes.add(JSON.stringify([Object.keys(result), Object.keys(outcome(result)), Object.keys(times(result))]))
    }
    expect([...shapes]).toHaveLength(1)
    expect(await wire.query('job', { jobId: failed })).toMatchObject({
      state: 'settled',
      jobId: failed,
      outcome: { exitCode: 7 },
    })
  })
})

describe('abortJob', () => {
  it('85 O: a running job that is aborted is acknowledged, ends, and says that it was aborted', async () => {
    const { wire } = running
    const jobId = await submit(job('endless'))
    await isIn(jobId, 'running')
    expect(await wire.command('abortJob', { jobId })).toMatchObject({ ack: 303 })
    const result = await wire.result(jobId)
    expect(outcome(result)).toMatchObject({
      kind: 'aborted',
      code: 'ABORTED',
      signal: 'SIGTERM',
      usage: { survivors: 0 },
    })
    expect(await wire.command('abortJob', { jobId })).toMatchObject({ ack: -302, code: 'ALREADY_SETTLED' })
    expect(wire.events('jobResult', jobId)).toHaveLength(1)
  })

  it('87 O: a job nobody knows is refused with its id in the sentence', async () => {
    const ack = await running.wire.command('abortJob', { jobId: '20261122-999999' })
    expect(ack).toMatchObject({ ack: -302, error: 1, code: 'UNKNOWN_JOB' })
    expect(ack.result).toContain('20261122-999999')
  })

  it('89 B: a job that waits in the queue or for another job and is aborted never starts', async () => {
    const { wire } = running
    const gate = running.place.gate()
    const busy: string[] = []
    for (let slot = 0; slot < 4; slot += 1) busy.push(await submit(hold(gate)))
    for (const jobId of busy) await isIn(jobId, 'running')
    const queued = await submit(job('true'))
    const held = await submit(job('true', { after: [must(busy[0])] }))
    for (const jobId of [queued, held]) expect(await wire.command('abortJob', { jobId })).toMatchObject({ ack: 303 })
    gate.open()
    for (const jobId of busy) expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
    for (const jobId of [queued, held]) {
      const result = await wire.result(jobId)
      expect(outcome(result)).toMatchObject({ kind: 'aborted' })
      expect(times(result)).toMatchObject({ started: null })
      expect(states(jobId)).not.toContain('running')
      expect(existsSync(join(running.service.workDir, jobId))).toBe(false)
    }
  })

  it('93 B: commands refused meanwhile, and disable and enable, leave a running job alone', async () => {
    const { wire } = running
    const gate = running.place.gate()
    const jobId = await submit(hold(gate))
    await isIn(jobId, 'running')
    expect(await wire.command('start', { configurationOverride: 'nowhere.yaml' })).toMatchObject({ ack: -302 })
    expect(await wire.command('disable')).toMatchObject({ ack: 303 })
    expect(await wire.command('start', { configurationOverride: 'nowhere.yaml' })).toMatchObject({ ack: -302 })
    expect(await wire.command('enable')).toMatchObject({ ack: 303 })
    expect(await wire.query('job', { jobId })).toMatchObject({ state: 'running', attempt: 1 })
    gate.open()
    expect(outcome(await wire.result(jobId))).toMatchObject({ kind: 'succeeded' })
    expect(states(jobId)).toEqual(['queued', 'running', 'settled'])
  })
})

describe('groups', () => {
  it.each(['2026-11-22T23:10:00.000', '2026-11-22T23:10:00.000#1', 'a:b.c-d_e#2', 'x+1', 'G'.repeat(64)])(
    '95 D: the group id %s comes back unchanged in events, results, questions and the environment of a pipeline',
    async id => {
      const { wire } = running
      const group = id
      const jobId = await submit(job('data', { group }))
      const result = await wire.result(jobId)
      expect(result).toMatchObject({
        dataId: { group },
        verdict: expect.stringMatching(new RegExp(` ${escaped(group)}$`)) as unknown,
      })
      expect(await wire.query('group', { group })).toMatchObject({ group, accepted: 1 })
      expect(await wire.command('closeGroup', { group })).toMatchObject({ ack: 303 })
      await wire.event('groupResult', body => body['group'] === group)
      const hex = (one: string) => `=${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
      const token = group.replaceAll(/[^A-Za-z0-9_-]/g, hex)
      expect(wire.events('groupResult', token)).toMatchObject([{ group, outcome: 'complete' }])
      expect(wire.events('groupState', token).every(body => body['group'] === group)).toBe(true)
    },
  )
})

function times(result: Fields): Fields {
  return result['times'] as Fields
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
