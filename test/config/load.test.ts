import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'

const SHIPPED = fileURLToPath(new URL('../../config', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'ocps-config-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const INIT = `mode: async
slots: 2
queueDepth: 100
order: fifo
ackTimeout: 60
groups: { policy: partial, patience: 300, late: regather, linger: 3600, pipeline: null }
dataPath: ""
`
const PIPELINE = `description: a test
scope: exposure
command: [/bin/true, "{obsid}"]
timeLimit: 60
`
const FULL = `description: a test
scope: detector
command: [/bin/true, "{override.snr}"]
env: { A: "1" }
passEnv: [LSST_*, DAF_BUTLER_REPO]
timeLimit: 1.5
grace: 2
slots: 2
outputMax: 1000
retries: { attempts: 3, backoff: 0.5, on: [7, signal] }
overrides: { snr: { type: number, default: 5, minimum: 1, maximum: 50 }, mode: { type: string } }
configFiles: [fast.yaml]
`

let serial = 0

/**
 * A configuration folder of its own, and how to read it. The files given replace or join `_init.yaml` and one pipeline.
 */
function folder(files: Readonly<Record<string, string>> = {}, site = 'summit') {
  const dir = join(root, `c${++serial}`)
  for (const [name, text] of Object.entries({ '_init.yaml': INIT, 'pipelines/quicklook.yaml': PIPELINE, ...files })) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
  return createConfigurationSource({ dir, site, instance: 'LATISS', checkTemplate })
}

function configurationOf(source: ReturnType<typeof folder>, override = ''): Configuration {
  const read = source.load(override)
  if (!read.ok) throw new Error(read.problem)
  return read.configuration
}

function problemOf(source: ReturnType<typeof folder>, override = ''): string {
  const read = source.load(override)
  if (read.ok) throw new Error('the configuration was accepted')
  return read.problem
}

const withInit = (from: string, to: string) => folder({ '_init.yaml': INIT.replace(from, to) })
const withPipeline = (from: string, to: string) => folder({ 'pipelines/quicklook.yaml': FULL.replace(from, to) })

describe('configuration: pools', () => {
  test('there is none but that of `slots` unless given', () => {
    expect(configurationOf(folder()).pools).toEqual({})
    expect(configurationOf(folder()).pipelines['quicklook']).not.toHaveProperty('pool')
    const named = folder({ 'pipelines/quicklook.yaml': `${PIPELINE}pool: default\n` })
    expect(configurationOf(named).pipelines['quicklook']).not.toHaveProperty('pool')
  })

  test('a pipeline carries the runner of its pool, as the uppermost layer has it', () => {
    const source = folder({
      '_init.yaml': `${INIT}pools: { heavy: { slots: 3 }, light: { slots: 5, runner: none } }\n`,
      'night.yaml': 'pools: { heavy: { runner: { prefix: [nice, -n, "10"] } } }\n',
      'pipelines/quicklook.yaml': `${PIPELINE}pool: heavy\n`,
    })
    const prefixed = { kind: 'prefix', argv: ['nice', '-n', '10'] }
    expect(configurationOf(source).pipelines['quicklook']?.pool).toEqual({
      name: 'heavy',
      slots: 3,
      runner: { kind: 'none' },
    })
    expect(configurationOf(source, 'night.yaml')).toMatchObject({
      pools: { heavy: { slots: 3, runner: prefixed }, light: { slots: 5, runner: { kind: 'none' } } },
      pipelines: { quicklook: { pool: { name: 'heavy', slots: 3, runner: prefixed } } },
    })
  })
})

describe('configuration: layers', () => {
  test('one file is enough, and its seconds are milliseconds inside', () => {
    expect(configurationOf(folder())).toMatchObject({
      instrument: 'LATISS',
      mode: 'async',
      slots: 2,
      prefetch: 0,
      queueDepthMax: 100,
      ackTimeoutMs: 60_000,
      groups: { policy: 'partial', patienceMs: 300_000, lingerMs: 3_600_000, pipeline: null },
    })
  })

  test('the site goes over the first layer, the override over both; what they do not name stays', () => {
    const source = folder({
      '_summit.yaml': 'slots: 4\nprefetch: 2\nqueueDepth: 7\ngroups: { patience: 10 }\n',
      '_base.yaml': 'slots: 99\n',
      'night.yaml': 'slots: 8\ngroups: { policy: skip }\ninstrument: LSSTComCam\n',
    })
    expect(configurationOf(source)).toMatchObject({ slots: 4, prefetch: 2, queueDepthMax: 7, instrument: 'LATISS' })
    expect(configurationOf(source, 'night.yaml')).toMatchObject({
      slots: 8,
      queueDepthMax: 7,
      instrument: 'LSSTComCam',
      groups: { policy: 'skip', patienceMs: 10_000, late: 'regather' },
    })
  })

  test('what views show is complete inside, and an override names its own', () => {
    const source = folder({
      '_summit.yaml': 'display: [{ view: newest, dataset: preview }]\n',
      'night.yaml': 'display: [{ view: centre, dataset: residual, instrument: LSSTCam, detector: 94 }]\n',
    })
    expect(configurationOf(source).display).toEqual([
      { view: 'newest', dataset: 'preview', instrument: null, detector: null },
    ])
    expect(configurationOf(source, 'night.yaml').display).toEqual([
      { view: 'centre', dataset: 'residual', instrument: 'LSSTCam', detector: 94 },
    ])
    expect(configurationOf(folder()).display).toEqual([])
  })

  test('what was read is said, in order, with the version of the content', () => {
    const files = { '_summit.yaml': 'slots: 4\n', 'night.yaml': 'slots: 8\n' }
    const read = folder(files).load('night.yaml')
    expect(read).toMatchObject({
      ok: true,
      applied: { configurations: '_init.yaml,_summit.yaml,night.yaml', schemaVersion: 'v1', otherInfo: '' },
    })
    const same = folder(files)
    expect(read.ok && read.applied.version).toBe(same.available().version)
    expect(same.available().version).not.toBe(folder({ ...files, 'night.yaml': 'slots: 9\n' }).available().version)
  })

  test('a site without a layer of its own, or no site, is the first layer alone', () => {
    for (const site of ['', 'elsewhere'])
      expect(folder({}, site).load('')).toMatchObject({ applied: { configurations: '_init.yaml' } })
  })

  test('an empty layer and a metadata block change nothing', () => {
    expect(configurationOf(folder({ '_summit.yaml': '# nothing yet\n' })).slots).toBe(2)
    expect(configurationOf(folder({ '_summit.yaml': 'metadata: { name: ocps }\nslots: 3\n' })).slots).toBe(3)
  })

  test('the overrides there are, are named in order; layers and pipelines are none', () => {
    const source = folder({ 'b.yaml': '', 'a.yaml': '', 'c.yml': '', 'notes.txt': '', '_summit.yaml': '' })
    expect(source.available().overrides).toBe('a.yaml,b.yaml')
    expect(source.available().url).toMatch(/^file:\/\//)
  })

  test('a file added later is available without a restart', () => {
    const source = folder()
    const before = source.available()
    expect(before.overrides).toBe('')
    writeFileSync(join(fileURLToPath(before.url), 'late.yaml'), 'slots: 1\n')
    expect(source.available().overrides).toBe('late.yaml')
    expect(configurationOf(source, 'late.yaml').slots).toBe(1)
  })
})

describe('configuration: a mistake is one sentence naming file, key and what was expected', () => {
  test.each([
    ['an override that is not there', folder({ 'night.yaml': '' }), 'day.yaml', ['day.yaml', 'night.yaml']],
    ['a layer named as an override', folder(), '_init.yaml', ['_init.yaml', 'cannot be named in start']],
    ['a path as an override', folder(), '../x.yaml', ['../x.yaml']],
    ['YAML that is none', folder({ 'night.yaml': 'slots: [1\n' }), 'night.yaml', ['night.yaml is not YAML', 'line']],
    ['a key twice', folder({ 'night.yaml': 'slots: 1\nslots: 2\n' }), 'night.yaml', ['night.yaml is not YAML']],
    ['a list at the top', folder({ 'night.yaml': '- slots\n' }), 'night.yaml', ['night.yaml', 'keys and values']],
    [
      'a view no subject can name',
      folder({ 'night.yaml': 'display: [{ view: a.b, dataset: preview }]\n' }),
      'night.yaml',
      ['night.yaml', 'display.0.view', 'letters'],
    ],
    [
      'an interest in nothing',
      folder({ 'night.yaml': 'display: [{ view: newest }]\n' }),
      'night.yaml',
      ['night.yaml', 'display.0.dataset'],
    ],
    ['a key nobody knows', folder({ 'night.yaml': 'slotz: 1\n' }), 'night.yaml', ['night.yaml', 'slotz', 'unknown']],
    [
      'a key nobody knows deep inside',
      folder({ 'night.yaml': 'groups: { size: 1 }\n' }),
      'night.yaml',
      ['night.yaml', 'groups.size'],
    ],
    ['a wrong type', folder({ 'night.yaml': 'slots: many\n' }), 'night.yaml', ['night.yaml', 'slots', 'number']],
    ['a wrong word', folder({ 'night.yaml': 'order: lifo\n' }), 'night.yaml', ['night.yaml', 'order', 'newestFirst']],
    ['a negative prefetch', folder({ 'night.yaml': 'prefetch: -1\n' }), 'night.yaml', ['night.yaml', 'prefetch']],
    [
      'a pool that has the name of the one there is',
      folder({ 'night.yaml': 'pools: { default: { slots: 2 } }\n' }),
      'night.yaml',
      ['night.yaml: pools.default', 'give this one another name'],
    ],
    [
      'a pool without slots',
      folder({ 'night.yaml': 'pools: { heavy: { runner: none } }\n' }),
      'night.yaml',
      ['night.yaml: pools.heavy.slots'],
    ],
    [
      'a runner nobody knows',
      folder({ 'night.yaml': 'pools: { heavy: { slots: 1, runner: magic } }\n' }),
      'night.yaml',
      ['night.yaml: pools.heavy.runner', 'none'],
    ],
    [
      'an empty prefix',
      folder({ 'night.yaml': 'pools: { heavy: { slots: 1, runner: { prefix: [] } } }\n' }),
      'night.yaml',
      ['night.yaml: pools.heavy.runner.prefix'],
    ],
    ['no slots', folder({ 'night.yaml': 'slots: 0\n' }), 'night.yaml', ['night.yaml', 'slots']],
    [
      'a value where a map stood',
      folder({ 'night.yaml': 'groups: 5\n' }),
      'night.yaml',
      ['night.yaml', 'groups', 'a map is expected'],
    ],
    [
      'a map where a value stood',
      folder({ 'night.yaml': 'slots: { a: 1 }\n' }),
      'night.yaml',
      ['night.yaml', 'slots', 'a value is expected'],
    ],
    ['a value set to nothing', folder({ 'night.yaml': 'slots:\n' }), 'night.yaml', ['night.yaml', 'slots', 'number']],
    ['a missing key', withInit('slots: 2\n', ''), '', ['_init.yaml', 'slots']],
    [
      'a placeholder nobody knows',
      withInit('dataPath: ""', 'dataPath: "/d/{visit}"'),
      '',
      ['_init.yaml', 'dataPath', '{visit}'],
    ],
    [
      'a group pipeline that is not there',
      withInit('pipeline: null', 'pipeline: stack'),
      '',
      ['_init.yaml', 'groups.pipeline', 'stack'],
    ],
    [
      'a group pipeline of another scope',
      withInit('pipeline: null', 'pipeline: quicklook'),
      '',
      ['groups.pipeline', 'scope group'],
    ],
    [
      'a group pipeline named like what every object has',
      withInit('pipeline: null', 'pipeline: constructor'),
      '',
      ['groups.pipeline'],
    ],
    [
      'no folder at all',
      createConfigurationSource({ dir: join(root, 'nowhere'), site: '', instance: 'X', checkTemplate }),
      '',
      ['_init.yaml'],
    ],
  ] as const)('%s', (_, source, override, named) => {
    const problem = problemOf(source, override)
    for (const word of named) expect(problem).toContain(word)
    expect(problem).not.toContain('\n')
  })

  test.each([
    ['a missing command', withPipeline('command: [/bin/true, "{override.snr}"]\n', ''), 'command'],
    ['an empty command', withPipeline('[/bin/true, "{override.snr}"]', '[]'), 'command'],
    ['a command that is one string', withPipeline('[/bin/true, "{override.snr}"]', '/bin/true x'), 'command'],
    ['a placeholder nobody knows', withPipeline('{override.snr}', '{override.depth}'), '{override.depth}'],
    ['a scope nobody knows', withPipeline('scope: detector', 'scope: visit'), 'scope'],
    ['a time limit of 0', withPipeline('timeLimit: 1.5', 'timeLimit: 0'), 'timeLimit'],
    ['a key nobody knows', withPipeline('slots: 2', 'slotz: 2'), 'slotz'],
    ['more slots than there are', withPipeline('slots: 2', 'slots: 3'), 'slots: at most 2 is expected'],
    ['a retry class nobody knows', withPipeline('signal]', 'sometimes]'), 'retries.on'],
    ['a retry of exit code 0', withPipeline('[7,', '[0,'), 'retries.on'],
    ['a default of another type', withPipeline('default: 5', 'default: five'), 'overrides.snr.default'],
    ['an environment name with a dash', withPipeline('A: "1"', 'A-B: "1"'), 'env'],
    ['a variable to pass on with a dash', withPipeline('DAF_BUTLER_REPO', 'A-B'), 'passEnv.1: expected'],
    [
      'a variable to pass on that OCPS logs in with',
      withPipeline('DAF_BUTLER_REPO', 'NATS_URL'),
      'passEnv.1: this variable belongs to OCPS and is never passed on',
    ],
    ['a path as a configuration file', withPipeline('fast.yaml', '../fast.yaml'), 'configFiles'],
    ['a file that is a list', withPipeline(FULL, '- a\n'), 'keys and values'],
  ] as const)('in a pipeline: %s', (_, source, named) => {
    const problem = problemOf(source)
    expect(problem).toContain('quicklook.yaml')
    expect(problem).toContain(named)
    expect(problem).not.toContain('\n')
  })

  test('a pipeline with a wish for more slots than its pool has, with the layer that says so', () => {
    const files = {
      'pipelines/quicklook.yaml': `${FULL}pool: heavy\n`,
      '_init.yaml': `${INIT}pools: { heavy: { slots: 3 } }\n`,
      'night.yaml': 'pools: { heavy: { slots: 1 } }\n',
    }
    expect(configurationOf(folder(files)).pipelines['quicklook']).toMatchObject({ slots: 2 })
    expect(problemOf(folder(files), 'night.yaml')).toBe(
      'pipelines/quicklook.yaml: slots: at most 1 is expected, for that is pools.heavy.slots in night.yaml; a job that needs 2 would wait for ever',
    )
  })

  test('a pipeline in a pool that is not there, with those that are', () => {
    const files = { 'pipelines/quicklook.yaml': `${PIPELINE}pool: heavy\n` }
    expect(problemOf(folder(files))).toBe(
      'pipelines/quicklook.yaml: pool: there is no pool heavy; name none, or add it to pools',
    )
    expect(problemOf(folder({ ...files, '_summit.yaml': 'pools: { light: { slots: 3 } }\n' }))).toBe(
      'pipelines/quicklook.yaml: pool: there is no pool heavy; there are default, light (pools in _summit.yaml)',
    )
    expect(problemOf(folder({ 'pipelines/quicklook.yaml': `${PIPELINE}pool: toString\n` }))).toContain('toString')
  })

  test('fewer slots than a pipeline takes, with the layer that says so', () => {
    const source = folder({
      'pipelines/quicklook.yaml': FULL,
      '_summit.yaml': 'slots: 4\n',
      'night.yaml': 'slots: 1\n',
    })
    expect(configurationOf(source).slots).toBe(4)
    expect(problemOf(source, 'night.yaml')).toBe(
      'pipelines/quicklook.yaml: slots: at most 1 is expected, for that is slots in night.yaml; a job that needs 2 would wait for ever',
    )
  })

  test('a pipeline file with a name that is none', () => {
    expect(problemOf(folder({ 'pipelines/a b.yaml': PIPELINE }))).toContain("pipelines/a b.yaml: the file's name")
  })
})

describe('configuration: pipelines', () => {
  test('what a pipeline leaves out is completed', () => {
    expect(configurationOf(folder()).pipelines).toEqual({
      quicklook: {
        name: 'quicklook',
        description: 'a test',
        scope: 'exposure',
        command: ['/bin/true', '{obsid}'],
        needs: ['obsid'],
        versions: [],
        env: {},
        timeLimitMs: 60_000,
        graceMs: 5_000,
        slots: 1,
        outputMaxBytes: 10 * 2 ** 20,
        retries: { attemptsMax: 1, backoffMs: 1_000, on: [] },
        overrides: {},
        configFiles: [],
        fallback: [],
      },
    })
  })

  test('everything a pipeline may say', () => {
    expect(configurationOf(folder({ 'pipelines/quicklook.yaml': FULL })).pipelines['quicklook']).toMatchObject({
      scope: 'detector',
      env: { A: '1' },
      passEnv: ['LSST_*', 'DAF_BUTLER_REPO'],
      timeLimitMs: 1_500,
      graceMs: 2_000,
      slots: 2,
      outputMaxBytes: 1_000,
      retries: { attemptsMax: 3, backoffMs: 500, on: [7, 'signal'] },
      overrides: {
        snr: { type: 'number', default: 5, minimum: 1, maximum: 50 },
        mode: { type: 'string', default: null, minimum: null, maximum: null },
      },
      configFiles: ['fast.yaml'],
    })
  })

  test('what a job must have a value for: neither what has a default nor what may be left out; {input} is what the path needs', () => {
    const command =
      'command: [/bin/true, "{input}", "{override.snr}", "{configFile:-none}", [--detector, "{detector}"]]'
    const needs = (dataPath: string) => {
      const source = folder({
        '_init.yaml': INIT.replace('dataPath: ""', `dataPath: "${dataPath}"`),
        'pipelines/quicklook.yaml': FULL.replace('command: [/bin/true, "{override.snr}"]', command),
      })
      return configurationOf(source).pipelines['quicklook']?.needs
    }
    expect(needs('/data/{dayObs}/{obsid}.fits')).toEqual(['dayObs', 'obsid', 'override.snr'])
    expect(needs('')).toEqual(['input', 'override.snr'])
    expect(problemOf(withPipeline('"{override.snr}"', '[--snr, "{override.srn}"]'))).toContain('{override.srn}')
  })

  test('a pipeline knows the versions it lists; any where its command uses them; none otherwise', () => {
    const versions = (from: string, to: string) =>
      configurationOf(folder({ 'pipelines/quicklook.yaml': FULL.replace(from, to) })).pipelines['quicklook']?.versions
    expect(versions('grace: 2', 'versions: [w_2026_4?, d_*]')).toEqual(['w_2026_4?', 'd_*'])
    expect(versions('"{override.snr}"', '[--tag, "{version}"]')).toEqual(['*'])
    expect(versions('"{override.snr}"', '"setup $OCPS_VERSION"')).toEqual(['*'])
    expect(versions('', '')).toEqual([])
  })

  test('what combines groups that close by themselves must not need what nobody gives it then', () => {
    const source = folder({
      '_init.yaml': INIT.replace('pipeline: null', 'pipeline: stack'),
      'pipelines/stack.yaml':
        'description: s\nscope: group\ncommand: [s, "{configFile}"]\ntimeLimit: 1\nconfigFiles: [a.yaml]\n',
    })
    expect(problemOf(source)).toContain(
      '_init.yaml: groups.pipeline: the command of stack needs {configFile}; name one of a.yaml',
    )
  })

  test('a fall-back is another pipeline over the same kind of data', () => {
    const plain = 'description: plain\nscope: exposure\ncommand: [/bin/true]\ntimeLimit: 1\n'
    const careful = (other: string) =>
      folder({ 'pipelines/plain.yaml': plain, 'pipelines/careful.yaml': `${plain}fallback: [${other}]\n` })
    expect(configurationOf(careful('plain')).pipelines['careful']?.fallback).toEqual(['plain'])
    for (const wrong of ['careful', 'none'])
      expect(careful(wrong).load('')).toMatchObject({
        ok: false,
        problem: expect.stringContaining(`careful.yaml: fallback: ${wrong}`),
      })
  })

  test('a relative path of the data begins where OCPS was started', () => {
    expect(configurationOf(withInit('dataPath: ""', 'dataPath: "data/{obsid}.fits"')).dataPath).toBe(
      join(process.cwd(), 'data/{obsid}.fits'),
    )
  })

  test('a folder without pipelines is accepted: there is nothing to process with', () => {
    const source = folder()
    rmSync(join(fileURLToPath(source.available().url), 'pipelines'), { recursive: true })
    expect(configurationOf(source).pipelines).toEqual({})
  })

  test('what is shipped loads, with its pipelines', () => {
    const source = createConfigurationSource({ dir: SHIPPED, site: '', instance: 'LATISS', checkTemplate })
    const { pipelines, groups } = configurationOf(source)
    expect(Object.keys(pipelines)).toEqual(expect.arrayContaining(['quicklook', 'stack']))
    expect(groups.policy).toBe('partial')
  })

  test('a copy of what is shipped has the same version wherever it lies', () => {
    const copy = join(root, 'copy')
    cpSync(SHIPPED, copy, { recursive: true })
    const at = (dir: string) => createConfigurationSource({ dir, site: '', instance: 'X', checkTemplate }).available()
    expect(at(copy).version).toBe(at(SHIPPED).version)
  })
})
