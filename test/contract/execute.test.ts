import { describe, expect, test } from 'vitest'
import { decodeCommand } from '../../src/contract/decode.ts'
import type { AckBody } from '../../machines/domain/announcements.ts'
import { executeResult } from '../../src/contract/execute.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { isAfter } from '../../src/engine/announcementIds.ts'
import { idOfJobResult } from '../../src/sinks/nats/execute.ts'
import { numberOf } from '../../src/sinks/nats/feed.ts'
import { aConfiguration, aPipeline, createNight, type Night, type NightOptions } from '../harness.ts'
import { listening, problemOf, type OnWire } from './wire.ts'

/*
 * execute and abort_job as scripts for the Python OCPS send them (ts_xml OCPS_Commands): how they are understood, what
 * is refused, and what a night with them sounds like on the wire. Numbers are those of the conformance list.
 */
const OBSID = 'AT_O_20261122_000017'
const QUERY = "instrument='LATISS' AND exposure=2026112200017"
const decode = (body: object, instance = 'LATISS') =>
  decodeCommand('execute', new TextEncoder().encode(JSON.stringify(body)), instance)
const said = (more: object = {}) => ({ pipeline: 'quicklook', data_query: QUERY, ...more })

function understood(body: object, instance?: string) {
  const decoding = decode(body, instance)
  if (!decoding.ok) throw new Error(decoding.refusal.reason)
  return decoding.command
}

function refusal(body: object, instance?: string): string {
  const decoding = decode(body, instance)
  if (decoding.ok) throw new Error(`it was understood: ${JSON.stringify(decoding.command)}`)
  expect(decoding.refusal.code).toBe('MALFORMED')
  return decoding.refusal.reason
}

describe('execute is understood as processData', () => {
  test('with all fields a SAL command has, empty where nothing is said', () => {
    const all = { version: '', config: '', prereq_jobs: '', output_dataset_types: '' }
    expect(understood(said(all))).toEqual({
      type: 'command.processData',
      dataId: { instrument: 'LATISS', obsid: OBSID, group: null },
      detectors: [],
      pipeline: 'quicklook',
      overrides: {},
      configFile: null,
      version: '',
      priority: 0,
      after: [],
      readiness: { policy: 'runNow' },
      timeLimitMs: null,
      groupRules: null,
      askedAs: 'execute',
    })
    expect(understood(said())).toEqual(understood(said(all)))
  })

  test.each([
    [`exposure.obs_id='${OBSID}'`, OBSID, []],
    [`exposure.obs_id = "${OBSID}" and detector in (94)`, OBSID, [94]],
    ["instrument = 'LATISS' AND exposure = 2026112200017 AND detector = 0", OBSID, [0]],
    ['visit=2026112200017', OBSID, []],
    ['day_obs=20261122 AND exposure.seq_num=17', OBSID, []],
    ['exposure IN (2026112200017..2026112200017)', OBSID, []],
    ["instrument='LSSTComCam' AND detector IN (3) AND exposure IN (2026112200017)", 'CC_O_20261122_000017', [3]],
    ["instrument='LSSTCam' AND exposure=2026112299999", 'MC_O_20261122_099999', []],
  ])('the query %s names one exposure', (query, obsid, detectors) => {
    expect(understood(said({ data_query: query }))).toMatchObject({ dataId: { obsid, group: null }, detectors })
  })

  test('an instance that is not named after an instrument is told exposures by their number with the instrument', () => {
    expect(understood(said(), 'summit')).toMatchObject({ dataId: { instrument: 'LATISS', obsid: OBSID } })
    expect(refusal(said({ data_query: 'exposure=2026112200017' }), 'summit')).toBe(
      'execute: data_query: the exposures of summit cannot be told by their number here; name exposure.obs_id',
    )
  })

  test('config holds overrides and one configuration file, in any order, with or without -c', () => {
    const config = `-c isr:doFlat=False threshold=4.5 --config mode="fast" name='5' deep.yaml empty=`
    expect(understood(said({ config }))).toMatchObject({
      overrides: { 'isr:doFlat': false, threshold: 4.5, mode: 'fast', name: '5', empty: '' },
      configFile: 'deep.yaml',
    })
    expect(understood(said({ config: 'a=1 a=2' }))).toMatchObject({ overrides: { a: 2 } })
  })

  test('69: prerequisites are trimmed, and only have to have ended', () => {
    expect(understood(said({ prereq_jobs: ' A, B ' }))).toMatchObject({
      after: [
        { jobId: 'A', requires: 'settled' },
        { jobId: 'B', requires: 'settled' },
      ],
    })
  })

  test('75: the version is passed on', () => {
    expect(understood(said({ version: 'w_2025_01' }))).toMatchObject({ version: 'w_2025_01' })
  })

  test('dataset types to keep are an override that the pipeline has to allow; all of them are what is kept anyway', () => {
    expect(understood(said({ output_dataset_types: 'bias,dark' }))).toMatchObject({
      overrides: { output_dataset_types: 'bias,dark' },
    })
    expect(understood(said({ output_dataset_types: '*' }))).toMatchObject({ overrides: {} })
  })

  test('the pipeline may be named with .yaml', () => {
    expect(understood(said({ pipeline: 'quicklook.yaml' }))).toMatchObject({ pipeline: 'quicklook' })
  })
})

describe('execute is refused by field where it has no meaning here', () => {
  test.each([
    ['nothing', {}, 'pipeline: '],
    ['no query', { pipeline: 'quicklook' }, 'data_query: '],
    ['another field', said({ sync: true }), 'sync: unknown field'],
    ['a path', said({ pipeline: '${DRP_PIPE_DIR}/pipelines/LATISS/quickLook.yaml#isr' }), 'pipeline: "${DRP_PIPE_DIR}'],
    ['a path that climbs', said({ pipeline: '../quicklook.yaml' }), 'pipeline: '],
    ['no pipeline', said({ pipeline: '' }), 'pipeline: '],
    ['an option of pipetask', said({ config: '-j 8' }), 'config: the option "-j" is pipetask\'s'],
    ['an option in the place of an override', said({ config: '-c' }), 'config: the option "-c"'],
    ['a path of a file', said({ config: '/etc/passwd' }), 'config: "/etc/passwd" is neither'],
    ['two files', said({ config: 'a.yaml b.yaml' }), 'config: it names two configuration files, a.yaml and b.yaml'],
    ['an open quotation', said({ config: 'a="b' }), 'config: a quotation mark is not closed'],
    [
      'what Rapid Analysis is sent',
      said({ config: '{"LATISS-FROM-OCS_CWFS": "1,2"}' }),
      'config: a JSON object is for Rapid',
    ],
    ['an override nobody has', said({ config: '__proto__=1' }), 'config: '],
    ['too long an override', said({ config: `a=${'x'.repeat(1_001)}` }), 'config.a: '],
    ['a version with a space', said({ version: 'w 46' }), 'version: '],
    ['job ids without a comma', said({ prereq_jobs: 'A B' }), 'prereq_jobs: "A B" is no job id'],
    ['a comma too many', said({ prereq_jobs: 'A,,B' }), 'prereq_jobs: "" is no job id'],
    ['a number for a text', said({ data_query: 17 }), 'data_query: '],
  ])('%s', (_what, body, reason) => {
    expect(refusal(body)).toContain(`execute: ${reason}`)
  })

  test.each([
    ['', 'equalities joined by AND'],
    ["instrument='LATISS'", 'name the exposure in one way'],
    [`exposure=2026112200017 AND exposure.obs_id='${OBSID}'`, 'name the exposure in one way'],
    ['exposure.seq_num=17', 'name the exposure in one way'],
    ['exposure=17', 'an exposure is a number like 2026112200017'],
    ['exposure=3026112200017', 'an exposure is a number like 2026112200017'],
    ["exposure='2026112200017'", 'exposure is a number'],
    ["exposure.obs_id='../../etc'", 'expected an obsid'],
    [`exposure.obs_id=${OBSID}`, 'equalities joined by AND'],
    ['exposure IN (2026112200017, 2026112200018)', 'it names 2 values of exposureId'],
    ['exposure IN (2026112200001..2026112200999)', 'it names 999 values of exposureId'],
    ['exposure=2026112200017 AND detector IN (0..8)', 'it names 9 detectors, and execute runs one job'],
    ['exposure=2026112200017 AND detector IN ()', 'equalities joined by AND'],
    ['exposure=2026112200017 AND detector=1 AND detector=2', 'detector is given twice'],
    ['exposure=2026112200017 OR detector=1', 'equalities joined by AND'],
    ['exposure>2026112200017', 'it cannot be read from ">2026112200017" on'],
    ['NOT exposure=2026112200017', 'equalities joined by AND'],
    ["exposure=2026112200017 AND band='r'", 'band cannot be asked for'],
    ["exposure=2026112200017 AND constructor='r'", 'constructor cannot be asked for'],
    ['exposure=2026112200017 AND', 'equalities joined by AND'],
    ['exposure=2026112200017 AND detector=99999', 'execute: data_query.detector: '],
    [`exposure.obs_id='${'x'.repeat(65)}'`, 'execute: data_query.obsid: '],
  ])('the query %j', (query, reason) => {
    expect(refusal(said({ data_query: query }))).toContain(reason)
  })

  test.each(['"', '\\', '\n', ';', '$(touch x)', '`id`', "'"])(
    '77: %j in a query, a pipeline or the name of a configuration file is refused; nothing of it is passed on',
    bad => {
      refusal(said({ data_query: `${QUERY} AND detector=0${bad}1` }))
      refusal(said({ pipeline: `quick${bad}look` }))
      refusal(said({ config: `deep${bad}.yaml` }))
    },
  )

  test('77: what an override holds is passed on as it is, and no further than the pipeline allows', () => {
    expect(understood(said({ config: `query="band='r'; $(id)"` }))).toMatchObject({
      overrides: { query: "band='r'; $(id)" },
    })
  })

  test('abort_job needs the id of a job', () => {
    const abort = (body: object) => decodeCommand('abort_job', new TextEncoder().encode(JSON.stringify(body)), 'LATISS')
    expect(abort({ job_id: '20261122-000004' })).toEqual({
      ok: true,
      command: { type: 'command.abortJob', jobId: '20261122-000004', askedAs: 'abort_job' },
    })
    expect(abort({ jobId: 'j' })).toMatchObject({ ok: false, refusal: { code: 'MALFORMED' } })
    expect(abort({ job_id: '../x' })).toMatchObject({ ok: false })
  })
})

describe('a script for the Python OCPS', () => {
  test('61, 65: hears INPROGRESS with the job id, job_id, job_result, and then the last acknowledgement', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    expect(night.acks(id)).toMatchObject([{ ack: 301, jobIds: [jobId], timeout: 60 }])
    expect(JSON.parse(night.acks(id)[0]?.result ?? '')).toEqual({ job_id: jobId })
    await night.succeeds(jobId)
    const wire = await onWire(night)
    expect(wire.flatMap(problemOf)).toEqual([])
    const order = wire.flatMap(({ subject, body }) =>
      subject === `_INBOX.${id}`
        ? [`ack ${(body as AckBody).ack}`]
        : /job_|jobResult/.test(subject)
          ? [subject.split('.').slice(3, 4).join()]
          : [],
    )
    expect(order).toEqual(['job_id', 'ack 301', 'job_result', 'jobResult', 'ack 303'])
    expect(only(wire, `ocps.LATISS.evt.job_id.${jobId}`)).toMatchObject({
      event_name: 'cmd_execute',
      seq_num: Number(jobId.split('-')[1]),
      job_id: jobId,
    })
    const result = only(wire, `ocps.LATISS.evt.job_result.${jobId}`)
    expect(result).toMatchObject({ job_id: jobId, exit_code: 0 })
    expect(readResult(result)).toEqual({
      jobId,
      runId: id,
      phase: 'completed',
      executionDuration: 1,
      errorSummary: { message: '' },
      outcome: { kind: 'succeeded', code: 'OK', exitCode: 0, signal: null },
      verdict: null,
      version: '',
      askedBy: 'script',
      overrides: {},
      configFile: null,
      directory: jobId,
    })
  })

  test('63, 67: an unknown pipeline or prerequisite is refused, and no job is ever heard of', async () => {
    const night = await enabled()
    for (const [body, code] of [
      [said({ pipeline: 'unknown' }), 'UNKNOWN_PIPELINE'],
      [said({ prereq_jobs: 'nobody' }), 'UNKNOWN_JOB'],
    ] as const) {
      const ack = await night.command('execute', body)
      expect(ack).toMatchObject({ ack: -302, error: 1, code, jobIds: [] })
    }
    expect((await onWire(night)).filter(({ subject }) => /job/.test(subject))).toEqual([])
  })

  test('7: in STANDBY and in FAULT both commands are refused', async () => {
    const night = await createNight()
    for (const body of [said(), { job_id: 'j' }]) {
      const name = 'job_id' in body ? 'abort_job' : 'execute'
      const ack = await night.command(name, body)
      expect(ack).toMatchObject({ ack: -302, error: 1, code: 'WRONG_STATE' })
      expect(ack?.result).toContain(`${name} is not allowed in state STANDBY`)
    }
  })

  test('45, 73: two at once are in progress before either ends, one more waits for a slot', async () => {
    const night = await enabled()
    const jobs = [await execute(night), await execute(night), await execute(night)]
    expect(jobs.map(({ id }) => night.acks(id).map(({ ack }) => ack))).toEqual([[301], [301], [301]])
    expect(jobs.map(({ jobId }) => night.state(`job.${jobId}`))).toEqual([
      'active.starting',
      'active.starting',
      'queued',
    ])
  })

  test('67: a job waits for its prerequisite, and runs when that has ended, with success or not', async () => {
    const night = await enabled()
    const first = await execute(night)
    const second = await execute(night, { prereq_jobs: first.jobId })
    expect(night.state(`job.${second.jobId}`)).toBe('held.awaitingJobs')
    await night.started(first.jobId)
    await night.exited(first.jobId, { exitCode: 7, stderrTail: 'the dome is closed' })
    expect(night.state(`job.${second.jobId}`)).toBe('active.starting')
  })

  test('79: the promise is renewed with the same words, and job_id is not said again', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    await night.advance(45_000)
    expect(night.acks(id).map(({ ack, result }) => [ack, result])).toEqual([
      [301, `{"job_id":"${jobId}"}`],
      [301, `{"job_id":"${jobId}"}`],
    ])
    expect((await onWire(night)).filter(({ subject }) => subject.includes('.job_id.'))).toHaveLength(1)
  })

  test.each([
    ['fails', { exitCode: 7, stderrTail: 'the dome is closed' }, 7, -302, 'error'],
    ['is ended by a signal', { signal: 'SIGSEGV' }, 1, -302, 'error'],
  ])(
    'a job that %s says so in its exit code, its result and the acknowledgement',
    async (_how, exit, code, ack, phase) => {
      const night = await enabled()
      const { jobId, id } = await execute(night)
      await night.started(jobId)
      await night.exited(jobId, exit)
      const result = only(await onWire(night), `ocps.LATISS.evt.job_result.${jobId}`)
      expect(result).toMatchObject({ exit_code: code })
      expect(readResult(result)).toMatchObject({ jobId, phase })
      expect(readResult(result).errorSummary.message).toMatch(/^quicklook /)
      expect(night.acks(id).at(-1)).toMatchObject({ ack, error: 1 })
    },
  )

  test('85, 87: a running job is aborted with job_result 255; one nobody knows is refused with its id', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    expect(await night.command('abort_job', { job_id: jobId })).toMatchObject({ ack: 303 })
    await night.exited(jobId, { signal: 'SIGTERM' })
    const result = only(await onWire(night), `ocps.LATISS.evt.job_result.${jobId}`)
    expect(result).toMatchObject({ job_id: jobId, exit_code: 255 })
    expect(readResult(result)).toMatchObject({ jobId, phase: 'aborted' })
    expect(night.acks(id).at(-1)).toMatchObject({ ack: -303 })
    const refused = await night.command('abort_job', { job_id: '20261122-999999' })
    expect(refused).toMatchObject({ ack: -302, code: 'UNKNOWN_JOB' })
    expect(refused?.result).toContain('20261122-999999')
  })

  test('83, 89: a waiting job that is aborted never starts, and its result has the same fields', async () => {
    const night = await enabled()
    const first = await execute(night)
    const second = await execute(night, { prereq_jobs: first.jobId })
    await night.command('abort_job', { job_id: second.jobId })
    await night.succeeds(first.jobId)
    const wire = await onWire(night)
    const results = [first, second].map(({ jobId }) => readResult(only(wire, `ocps.LATISS.evt.job_result.${jobId}`)))
    expect(results.map(({ phase }) => phase)).toEqual(['completed', 'aborted'])
    expect(Object.keys(results[1] ?? {})).toEqual(Object.keys(results[0] ?? {}))
    expect(night.orders().filter(({ type }) => type === 'executor.start')).toHaveLength(1)
  })

  test('91: after a restart a running job still ends with one job_result and the last acknowledgement', async () => {
    const night = await enabled()
    const { jobId, id } = await execute(night)
    await night.started(jobId)
    await night.restart()
    await night.exited(jobId)
    const wire = await onWire(night)
    expect(only(wire, `ocps.LATISS.evt.job_result.${jobId}`)).toMatchObject({ exit_code: 0 })
    expect(night.acks(id).at(-1)).toMatchObject({ ack: 303 })
  })

  test('who dies between job_result and its jobResult says both again, each under the id it had', async () => {
    const night = await enabled()
    const { jobId } = await execute(night)
    await night.succeeds(jobId)
    const isResult = ({ announcement }: Numbered) => announcement.type === 'event' && announcement.topic === 'jobResult'
    const { id } = night.said.find(isResult) ?? { id: '' }
    const lastSaid = numberOf('LATISS', `LATISS:${idOfJobResult(id)}`)
    const before = night.said.length
    await night.restart({ lastSaid })
    expect(night.said.slice(before).find(isResult)).toMatchObject({ id })
    expect(night.said.slice(before).every(one => isAfter(one.id, lastSaid))).toBe(true)
  })

  test('the same message twice is one job, and is answered with its id again', async () => {
    const night = await enabled()
    const first = await execute(night)
    await night.command('execute', said(), { id: first.id })
    expect(night.acks(first.id).map(({ result }) => result)).toEqual(Array(2).fill(`{"job_id":"${first.jobId}"}`))
    expect((await onWire(night)).filter(({ subject }) => subject.includes('.job_id.'))).toHaveLength(1)
  })

  test('a job asked for with processData has no job_result and is answered at once, also beside one that has', async () => {
    const night = await enabled()
    const own = await night.command('processData', { dataId: { obsid: OBSID }, pipeline: 'quicklook' })
    expect(own).toMatchObject({ ack: 303 })
    const { jobId } = await execute(night)
    await night.succeeds(String(own?.jobIds[0]))
    await night.succeeds(jobId)
    const wire = await onWire(night)
    expect(wire.filter(({ subject }) => /\.job_(id|result)\./.test(subject)).map(({ subject }) => subject)).toEqual([
      `ocps.LATISS.evt.job_id.${jobId}`,
      `ocps.LATISS.evt.job_result.${jobId}`,
    ])
  })

  test('in synchronous mode it is the one command in hand', async () => {
    const night = await enabled({ configuration: aConfiguration({ mode: 'sync' }) })
    const { jobId } = await execute(night)
    expect(await night.command('execute', said())).toMatchObject({ ack: -302, code: 'BUSY' })
    await night.succeeds(jobId)
    expect((await execute(night)).jobId).not.toBe(jobId)
  })

  test('a pipeline that allows output_dataset_types is given them', async () => {
    const overrides = { output_dataset_types: { type: 'string', default: '*', minimum: null, maximum: null } } as const
    const pipelines = { quicklook: aPipeline('quicklook', { overrides }) }
    const night = await enabled({ configuration: aConfiguration({ pipelines }) })
    await execute(night, { output_dataset_types: 'bias' })
    expect(night.orders().at(-1)).toMatchObject({ overrides: { output_dataset_types: 'bias' } })
    const other = await enabled()
    expect(await other.command('execute', said({ output_dataset_types: 'bias' }))).toMatchObject({
      code: 'OVERRIDE_NOT_ALLOWED',
    })
  })
})

async function enabled(options: NightOptions = {}): Promise<Night> {
  const night = await createNight(options)
  await night.enable()
  return night
}

async function execute(night: Night, more: object = {}): Promise<{ jobId: string; id: string }> {
  const id = `execute-${night.said.length}`
  const ack = await night.command('execute', said(more), { id })
  const jobId = ack?.jobIds[0]
  if (ack?.ack !== 301 || jobId === undefined) throw new Error(`execute was answered ${JSON.stringify(ack)}`)
  return { jobId, id }
}

/** What a listener heard of all that was said. */
async function onWire(night: Night): Promise<readonly OnWire[]> {
  const wire = await listening()
  for (const one of night.said) {
    wire.say(one)
    await wire.heard()
  }
  return wire.heard()
}

function only(wire: readonly OnWire[], subject: string): unknown {
  const found = wire.filter(one => one.subject === subject)
  if (found.length !== 1) throw new Error(`${subject} was heard ${found.length} times`)
  return found[0]?.body
}

function readResult(body: unknown) {
  return executeResult.parse(JSON.parse((body as { result: string }).result))
}
