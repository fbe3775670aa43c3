import { describe, expect, test } from 'vitest'
import { inputPath } from '../../machines/domain/located.ts'
import { checkTemplate, commandLine, placeholders } from '../../src/executor/commandLine.ts'
import { environment, ownEnvironment } from '../../src/executor/environment.ts'
import { order } from './world.ts'

const around = {
  inputs: { input: { ok: '/data/LATISS/20261122/17/AT_O_20261122_000017.fits' }, members: [] },
  pipelinesDir: '/opt/pipelines',
  directory: '/work/j1',
}

describe('a command line', () => {
  test('has each placeholder replaced inside its own word', () => {
    const words = ['{node}', '{pipelines}/quicklook.mjs', '--in={input}', '{jobId}-{obsid}', '{workDir}', '[{version}]']
    expect(commandLine(order(words), around)).toEqual({
      ok: [
        process.execPath,
        '/opt/pipelines/quicklook.mjs',
        '--in=/data/LATISS/20261122/17/AT_O_20261122_000017.fits',
        'j1-AT_O_20261122_000017',
        '/work/j1',
        '[]',
      ],
    })
  })

  test('never reads a value again, and never splits it', () => {
    const overrides = { title: '{input} $(reboot); "x" `y`\n\'z\'' }
    expect(commandLine(order(['echo', '{override.title}'], { overrides }), around)).toEqual({
      ok: ['echo', overrides.title],
    })
  })

  test('takes an override, else its default', () => {
    const rules = { overrides: { sigma: { type: 'number', default: 5, minimum: null, maximum: null } } } as const
    expect(commandLine(order(['p', '{override.sigma}'], {}, rules), around)).toEqual({ ok: ['p', '5'] })
    expect(commandLine(order(['p', '{override.sigma}'], { overrides: { sigma: 3 } }, rules), around)).toEqual({
      ok: ['p', '3'],
    })
  })

  test.each([
    ['{detektor}', 'Pipeline quicklook: {detektor} in "{detektor}" is unknown; correct the configuration.'],
    ['{detector}', 'Pipeline quicklook: {detector} in "{detector}" has no value for this job.'],
    ['{configFile}', 'Pipeline quicklook: {configFile} in "{configFile}" has no value for this job.'],
    [
      '{override.toString}',
      'Pipeline quicklook: {override.toString} in "{override.toString}" is unknown; correct the configuration.',
    ],
    ['a\0b', 'Pipeline quicklook: "a\0b" would hold a NUL byte; no argument can.'],
  ])('with %j is refused in one sentence', (word, problem) => {
    expect(commandLine(order(['p', word]), around)).toEqual({ problem })
  })

  test('leaves words out together where one of their placeholders has no value, and has defaults', () => {
    const words = ['p', ['--config', '{configFile}'], ['--d={detector}'], ['--tag', '{version}'], '{group:-alone}']
    expect(commandLine(order(words), around)).toEqual({ ok: ['p', 'alone'] })
    const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: 'G#1', detector: 94 }
    const full = order(words, { configFile: 'fast.yaml', version: 'w_1', dataId })
    expect(commandLine(full, around)).toEqual({
      ok: ['p', '--config', 'fast.yaml', '--d=94', '--tag', 'w_1', 'G#1'],
    })
    expect(commandLine(order(['p', '{version:-w_latest}']), around)).toEqual({ ok: ['p', 'w_latest'] })
    expect(commandLine(order(['p', ['{detektor}']]), around)).toHaveProperty('problem')
  })

  test('leaves braces that are no placeholder alone', () => {
    expect(placeholders('{"a": {b}} {} { c } {override.x-y}')).toEqual(['b', 'override.x-y'])
    expect(commandLine(order(['p', '{"a": 1}']), around)).toEqual({ ok: ['p', '{"a": 1}'] })
  })
})

describe('a template', () => {
  test('with a name nobody knows is refused when the configuration is read, and the known ones are listed', () => {
    expect(checkTemplate('{input}', { command: { overrides: [] } })).toBeNull()
    expect(checkTemplate('{override.sigma}', { command: { overrides: ['sigma'] } })).toBeNull()
    expect(checkTemplate('{override.sigma}', { command: { overrides: [] } })).toMatch(
      /uses \{override.sigma\}, which is unknown/u,
    )
    expect(checkTemplate('/data/{input}', 'dataPath')).toMatch(/use one of \{instrument\} \{dayObs\} \{seqNum\}/u)
  })
})

describe('the path of the data', () => {
  const dataId = { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: 94 }
  test('is made of the dataId', () => {
    expect(inputPath(dataId, '/d/{dayObs}/{detector}/{obsid}.fits')).toEqual({
      ok: '/d/20261122/94/AT_O_20261122_000017.fits',
    })
  })

  test.each(['../../etc/passwd', 'a/b', '..', ''])('refuses an obsid such as %j', obsid => {
    expect(inputPath({ ...dataId, obsid }, '/d/{obsid}')).toHaveProperty('problem')
  })

  test('says so when the day cannot be read from the obsid', () => {
    expect(inputPath({ ...dataId, obsid: 'dark' }, '/d/{dayObs}')).toEqual({
      problem: '{dayObs} cannot be read from obsid "dark"; it should end like _20261122_000017.',
    })
  })
})

describe('the environment of a job', () => {
  test('holds nothing of OCPS but the list', () => {
    const own = { PATH: '/bin', LC_ALL: 'C', LC_secret: 'x', NATS_PASSWORD: 'x', HOME: '/h', NODE_OPTIONS: 'x' }
    expect([...ownEnvironment(own).shared].map(([name]) => name)).toEqual(['PATH', 'LC_ALL', 'HOME'])
  })

  test('tells the job about itself, and no pipeline can lie about that', () => {
    const built = environment(
      order(['p'], { overrides: { a: 1 } }, { env: { OCPS_JOB_ID: 'j9', X: 'y' } }),
      around,
      ownEnvironment({}),
    )
    expect(built).toHaveProperty('ok')
    expect('ok' in built ? built.ok : []).toEqual(
      expect.arrayContaining([
        'OCPS_JOB_ID=j1',
        'X=y',
        'OCPS_OVERRIDES={"a":1}',
        'OCPS_DETECTOR=',
        'OCPS_WORK_DIR=/work/j1',
      ]),
    )
  })

  test('refuses a variable that cannot be one', () => {
    expect(environment(order(['p'], {}, { env: { 'A=B': 'c' } }), around, ownEnvironment({}))).toHaveProperty('problem')
  })
})
