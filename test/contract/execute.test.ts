import { describe, expect, test } from 'vitest'
import { decodeCommand } from '../../src/contract/decode.ts'
import { OBSID, QUERY, refusal, said, understood } from './executeGiven.ts'

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
