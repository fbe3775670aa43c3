import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'
import { FULL, INIT, PIPELINE, configurationOf, folder, problemOf, root, withInit, withPipeline } from './folder.ts'

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
