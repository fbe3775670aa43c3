import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'
import { FULL, INIT, PIPELINE, configurationOf, folder, problemOf, root, withInit, withPipeline } from './folder.ts'

const SHIPPED = fileURLToPath(new URL('../../config', import.meta.url))

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
