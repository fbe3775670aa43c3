import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { eventually } from '../bus/eventually.ts'
import { marked, signal } from '../chaos/processes.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'
import { makePlace, type Place } from '../conformance/instance.ts'
import { connectWire, type Wire } from '../conformance/wire.ts'
import { ready, serve, type Server, type Serving, startServer } from './surroundings.ts'

/*
 * `ocps serve` killed at chosen points, with real jobs, and started again. The server is another process; where it is
 * the server that dies, the test says so.
 */
const dataId = (seqNum: number) => ({ obsid: `AT_O_20261122_${String(seqNum).padStart(6, '0')}` })
const shell = (script: string, more: object = {}) => ({
  description: 'for tests',
  scope: 'exposure',
  command: ['/bin/sh', '-c', script, '{override.gate}'],
  overrides: { gate: { type: 'string', default: '' } },
  timeLimit: 60,
  grace: 1,
  ...more,
})
const pipelines = {
  // A metric, then another one when told; ends with a code of its own.
  two: shell(
    `echo '{"metric":"a","value":1}' >&3; while [ ! -e "$0" ]; do sleep 0.02; done; echo '{"metric":"b","value":2}' >&3; exit 3`,
  ),
  short: shell('exec sleep 3600', { timeLimit: 1 }),
  // Writes a line each time it runs.
  once: shell('echo ran >> "$0"'),
  stubborn: shell('while [ ! -e "$0" ]; do sleep 0.02; done', { retries: { attempts: 2, backoff: 0.1, on: ['lost'] } }),
}

let place: Place
let server: Server
let wire: Wire

const cleanUp = cleanUpAfterEach()

async function begin(instance: string, settings: object = {}): Promise<Serving> {
  const here = (place = makePlace(pipelines))
  cleanUp(() => here.remove())
  // A test that failed may have left a job that waits for ever.
  cleanUp(() => marked(join(here.dataDir, 'work')).forEach(({ pid }) => signal(pid, 'SIGKILL')))
  const init = join(place.configDir, '_init.yaml')
  writeFileSync(init, stringify({ ...parse(readFileSync(init, 'utf8')), ...settings }))
  const there = (server = await startServer(place.dir))
  cleanUp(() => there.kill())
  const first = await live(instance)
  const listener = (wire = await connectWire(server.url, instance))
  cleanUp(() => listener.close())
  return first
}

async function live(instance: string): Promise<Serving> {
  const one = serve(place, server.url, instance)
  cleanUp(() => one.end())
  await ready(one)
  return one
}

async function submit(pipeline: string, more: object = {}): Promise<string> {
  const { jobIds, result } = await wire.command('processData', { dataId: dataId(1), pipeline, ...more })
  if (jobIds[0] === undefined) throw new Error(result)
  return jobIds[0]
}

const running = (jobId: string) =>
  wire.event('jobState', body => body['jobId'] === jobId && body['state'] === 'running')
const ledgerDir = () => join(place.dataDir, 'work', '.ledger')
const launcherPids = () => readdirSync(ledgerDir()).map(name => Number(name.split('-')[1]))
const texts = (topic: string, jobId: string) => [
  ...new Set(wire.events(topic, jobId).map(body => JSON.stringify(body))),
]

describe('while OCPS is dead', () => {
  it('a metric is written and a job ends: both are told once, as they were', async () => {
    const first = await begin('METRIC')
    const gate = place.gate()
    const jobId = await submit('two', { overrides: { gate: gate.path } })
    const metrics = () =>
      wire.heard.filter(({ subject }) => subject.includes('.tel.metric.')).map(({ body }) => body['metric'])
    await eventually('the first metric is heard', () => metrics().length === 1)
    await first.end()
    gate.open()
    const ledger = () =>
      readdirSync(ledgerDir())
        .map(name => readFileSync(join(ledgerDir(), name), 'utf8'))
        .join('')
    await eventually('its launcher has written how it ended', () => ledger().includes(`\nE ${jobId} 1 3 `))
    await live('METRIC')
    expect(await wire.result(jobId)).toMatchObject({
      outcome: { kind: 'failed', exitCode: 3 },
      attempt: 1,
      metrics: [{ metric: 'a' }, { metric: 'b' }],
    })
    await eventually('the second metric is heard', () => metrics().length === 2)
    await wire.quiet()
    expect(metrics()).toEqual(['a', 'b'])
    expect(texts('jobResult', jobId)).toHaveLength(1)
  })

  it('time limits and deadlines come due: they fire at the start, in the order in which they were due', async () => {
    const first = await begin('TIMERS')
    const gate = place.gate()
    const member = await submit('hold', { overrides: { gate: gate.path }, group: { id: 'G', deadline: 1.5 } })
    const short = await submit('short')
    await running(short)
    await first.end()
    await live('TIMERS')
    expect(await wire.result(short)).toMatchObject({ outcome: { kind: 'timedOut' } })
    await wire.event('groupState', body => body['group'] === 'G' && body['state'] === 'closing')
    const order = wire.heard
      .filter(({ body }) => (body['jobId'] === short && body['state'] === 'stopping') || body['state'] === 'closing')
      .map(({ body }) => body['state'])
    expect(order).toEqual(['stopping', 'closing'])
    gate.open()
    expect(await wire.result(member)).toMatchObject({ outcome: { kind: 'succeeded' } })
    expect(await wire.event('groupResult', body => body['group'] === 'G')).toMatchObject({
      closedBy: 'deadline',
      revision: 1,
      missing: [],
    })
  })

  it('queued jobs keep their order, and a job that waits for another one still waits', async () => {
    const first = await begin('ORDER')
    const gate = place.gate()
    const holders: string[] = []
    for (let index = 0; index < 4; index += 1) holders.push(await submit('hold', { overrides: { gate: gate.path } }))
    for (const jobId of holders) await running(jobId)
    const after = await submit('true', { after: [holders[0]] })
    const queued: string[] = []
    for (let index = 0; index < 10; index += 1) queued.push(await submit('true'))
    await first.end()
    await live('ORDER')
    gate.open()
    for (const jobId of [...holders, ...queued, after]) await wire.result(jobId)
    const began = wire
      .events('jobState')
      .filter(({ state }) => state === 'running')
      .map(({ jobId }) => String(jobId))
    expect(began.filter(jobId => queued.includes(jobId))).toEqual(queued)
    expect(texts('jobResult', after)).toHaveLength(1)
  })

  it.each(['OCPS is dead', 'the next OCPS is there'])(
    'jobs that were handed over before a slot is free are begun when %s, each once, and none is lost',
    async when => {
      const isDead = when === 'OCPS is dead'
      const instance = isDead ? 'AHEAD-DEAD' : 'AHEAD-THERE'
      const first = await begin(instance, { slots: 1, prefetch: 2 })
      const gate = place.gate()
      const holder = await submit('hold', { overrides: { gate: gate.path } })
      await running(holder)
      const files = ['b', 'c', 'd'].map(name => join(place.dir, name))
      const jobIds: string[] = []
      for (const path of files) jobIds.push(await submit('once', { overrides: { gate: path } }))
      // Two are handed over, the third waits in the queue.
      expect(await wire.query('state')).toMatchObject({ queue: { slots: 1, slotsTaken: 1, ahead: 2, waiting: 1 } })
      expect(files.filter(existsSync)).toEqual([])
      await first.end()
      if (isDead) {
        gate.open()
        await eventually('its launcher has begun both', () => files.slice(0, 2).every(existsSync))
      }
      await live(instance)
      gate.open()
      for (const jobId of [holder, ...jobIds])
        expect(await wire.result(jobId)).toMatchObject({ outcome: { kind: 'succeeded' }, attempt: 1 })
      expect(files.map(path => readFileSync(path, 'utf8'))).toEqual(['ran\n', 'ran\n', 'ran\n'])
    },
  )

  it('the machine is started anew: what ran is lost, and the retry policy decides', async () => {
    const first = await begin('REBOOT')
    const gate = place.gate()
    const [retried, given] = [
      await submit('stubborn', { overrides: { gate: gate.path } }),
      await submit('hold', { overrides: { gate: gate.path } }),
    ]
    const pids = [await running(retried), await running(given)].length
    expect(pids).toBe(2)
    await first.end()
    // As after a power cut: no process is left, and the ledger is of another boot.
    const started = readdirSync(ledgerDir()).flatMap(name =>
      readFileSync(join(ledgerDir(), name), 'utf8')
        .split('\n')
        .filter(line => line.startsWith('S ')),
    )
    for (const pid of launcherPids()) process.kill(pid, 'SIGKILL')
    for (const line of started) process.kill(-Number(line.split(' ')[3]), 'SIGKILL')
    for (const name of readdirSync(ledgerDir())) {
      const path = join(ledgerDir(), name)
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace(/^(L \d+ \d+) \S+/, '$1 11111111-2222-3333-4444-555555555555'),
      )
    }
    await live('REBOOT')
    expect(await wire.result(given)).toMatchObject({
      outcome: { kind: 'lost', message: expect.stringContaining('started anew') },
      attempt: 1,
    })
    gate.open()
    expect(await wire.result(retried)).toMatchObject({ outcome: { kind: 'succeeded' }, attempt: 2 })
  })
})

describe('while nats-server is dead', () => {
  it('running jobs go on, their reports are kept and told, a command sent again is executed once, the heart beats again', async () => {
    const active = await begin('OUTAGE')
    const gate = place.gate()
    const jobId = await submit('two', { overrides: { gate: gate.path } })
    await running(jobId)
    const beats = () => wire.events('heartbeat').length
    await server.kill()
    gate.open()
    // Longer than the lease: it must not matter that it ran out.
    const until = performance.now() + 3_500
    await eventually('the lease has run out', () => performance.now() > until)
    const before = beats()
    server.start()
    // Asked, not listened for: the observer was cut off, too, and may be back later than the result.
    const told = async () => (await wire.query('job', { jobId }).catch(() => ({ result: null })))['result']
    await eventually('the result is there', async () => ((await told()) ?? null) !== null)
    expect(await told()).toMatchObject({
      outcome: { kind: 'failed', exitCode: 3 },
      metrics: [{ metric: 'a' }, { metric: 'b' }],
    })
    await eventually('the heart beats again', () => beats() > before)
    const body = { dataId: dataId(2), pipeline: 'true' }
    const one = await wire.command('processData', body, { id: 'again' })
    const two = await wire.command('processData', body, { id: 'again' })
    expect(two.jobIds).toEqual(one.jobIds)
    expect(active.process.exitCode).toBeNull()
    expect(wire.events('heartbeat').every(({ pid }) => pid === active.pid)).toBe(true)
    expect(texts('jobResult', jobId).length).toBeLessThanOrEqual(1)
  })

  it('no space in the journal: commands are refused with a code, what runs is settled once there is space again', async () => {
    await begin('FULL')
    const gate = place.gate()
    const jobId = await submit('hold', { overrides: { gate: gate.path } })
    await running(jobId)
    const manager = await jetstreamManager(wire.connection)
    const { config, state } = await manager.streams.info('OCPS_FULL_JOURNAL')
    const limit = (max_bytes: number) =>
      manager.streams.update('OCPS_FULL_JOURNAL', { ...config, max_bytes, discard: DiscardPolicy.New })
    await limit(state.bytes)
    expect(await wire.command('processData', { dataId: dataId(2), pipeline: 'true' })).toMatchObject({
      ack: -302,
      code: 'JOURNAL_FULL',
    })
    gate.open()
    // Another refusal, after the job must have ended: it cannot be told yet.
    expect(await wire.command('processData', { dataId: dataId(3), pipeline: 'true' })).toMatchObject({
      code: 'JOURNAL_FULL',
    })
    expect(wire.events('jobResult')).toEqual([])
    await limit(-1)
    expect(await wire.result(jobId)).toMatchObject({ outcome: { kind: 'succeeded' } })
    expect(await wire.command('processData', { dataId: dataId(4), pipeline: 'true' })).toMatchObject({ ack: 303 })
    await wire.quiet()
    expect(texts('jobResult', jobId)).toHaveLength(1)
  })
})
