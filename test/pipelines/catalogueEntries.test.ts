import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate, commandLine } from '../../src/executor/commandLine.ts'
import { renderExposure } from '../../src/sim/sky.ts'
import { needs } from '../needs.ts'
import { FIELD, ROOT, metric, runPipeline, temporaryFolder } from './support.ts'

/*
 * The shipped catalogue entries that run someone else's program: SExtractor where it is installed, pipetask up to its
 * argv.
 */
const withSourceExtractor = needs('sourceExtractor')

withSourceExtractor('SExtractor measures a simulated field, and its catalogue is one stack can read', () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'frame.fits'), renderExposure(FIELD))
  const ran = runPipeline('sourceExtractor.js', [join(folder, 'frame.fits')], folder)
  expect(ran.stderr).toBe('')
  expect(ran.exitCode).toBe(0)
  expect(metric(ran, 'stars.count')).toBeGreaterThan(20)
  const catalogue = JSON.parse(readFileSync(join(folder, 'catalogue.json'), 'utf8')) as {
    stars: readonly { x: number; y: number }[]
  }
  expect(catalogue.stars.length).toBe(metric(ran, 'stars.count'))
})

test('pipetask is started with the argv a Rubin site would use, every value one word', () => {
  const loaded = createConfigurationSource({
    dir: join(ROOT, 'config'),
    site: '',
    instance: 'LATISS',
    checkTemplate,
  }).load('')
  if (!loaded.ok) throw new Error(loaded.problem)
  const pipeline: Pipeline | undefined = loaded.configuration.pipelines['pipetask']
  if (!pipeline) throw new Error('there is no pipetask entry')
  const line = commandLine(
    {
      type: 'executor.start',
      jobId: '20261122-000042-94',
      attempt: 1,
      instance: 'LATISS',
      pipeline,
      dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null, detector: 94 },
      dataPath: '',
      overrides: { pipeline: '$DRP_PIPE_DIR/pipelines/LATISS/DRP.yaml#step1; rm -rf /' },
      configFile: null,
      version: '',
      members: null,
    },
    { inputs: { input: { problem: 'none' }, members: [] }, pipelinesDir: '/p', directory: '/work/20261122-000042-94' },
  )
  expect('ok' in line && line.ok.join('\n')).toBe(
    [
      'pipetask --long-log --log-level INFO --log-file /work/20261122-000042-94/log.json'.split(' '),
      ['--log-label', 'job=20261122-000042-94,obsid=AT_O_20261122_000017', '--no-log-tty', 'run', '--fail-fast'],
      [
        '-b',
        '/repo/main',
        '-i',
        'LATISS/defaults',
        '-o',
        'u/ocps/20261122-000042-94',
        '--output-run',
        'u/ocps/20261122-000042-94/run',
      ],
      ['-p', '$DRP_PIPE_DIR/pipelines/LATISS/DRP.yaml#step1; rm -rf /'],
      ['-d', "instrument='LATISS' AND exposure.obs_id='AT_O_20261122_000017' AND detector=94"],
      ['-j', '1', '--register-dataset-types', '--summary', '/work/20261122-000042-94/summary.json'],
    ]
      .flat()
      .join('\n'),
  )
})
