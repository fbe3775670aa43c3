import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { writeConfiguration } from '../client/realService.ts'
import { buildIfMissing, ocps } from '../cli/run.ts'
import { aFolder } from './folder.ts'

const scenario = (name: string) => new URL(`../scenarios/${name}.ndjson.gz`, import.meta.url).pathname

// Each runs several processes; the bound is for a machine that is busy with other tests.
vi.setConfig({ testTimeout: 120_000 })
beforeAll(buildIfMissing)

test('one value is set: the table shows both nights, and what was supposed is said', async () => {
  const ran = await ocps(['replay', scenario('groupsClose'), '--set', 'groups.policy=fail'], { cwd: await aFolder() })
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(ran.stdout).toMatch(/^ +recorded +what if$/m)
  expect(ran.stdout).toMatch(/^jobs +\d+ +\d+$/m)
  expect(ran.stdout).toMatch(/counted: partial → failed/)
})

test('prefetch can be set where the recorded configuration is older than it, and changes no outcome', async () => {
  const asked = ['replay', scenario('pipelinesFail'), '--json', '--set', 'slots=1']
  const [ahead, not] = [
    await ocps([...asked, '--set', 'prefetch=2'], { cwd: await aFolder() }),
    await ocps(asked, { cwd: await aFolder() }),
  ]
  expect(ahead).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(ahead.stdout).whatIf.outcomes).toEqual(JSON.parse(not.stdout).whatIf.outcomes)
})

test('an override file or a whole directory is the configuration of every start', async () => {
  const folder = await aFolder()
  const config = await writeConfiguration(folder, 'async')
  const other = ['replay', scenario('ordinary'), '--json']
  const byFile = await ocps([...other, '--config', 'night.yaml', '--config-dir', config], { cwd: folder })
  // It has other pipelines than the recording: every job is refused.
  expect(JSON.parse(byFile.stdout)).toMatchObject({ whatIf: { jobs: 0, refused: { UNKNOWN_PIPELINE: 4 } } })
  expect((await ocps([...other, '--config', config], { cwd: folder })).stdout).toBe(byFile.stdout)
})

test('a mistake in a setting or a configuration is one sentence', async () => {
  const folder = await aFolder()
  await mkdir(join(folder, 'config'))
  await writeFile(join(folder, 'config', '_init.yaml'), 'slots: none\n')
  const replay = (...more: string[]) => ocps(['replay', scenario('ordinary'), ...more], { cwd: folder })
  for (const [options, sentence] of [
    [['--set', 'slot=4'], 'there is no such value'],
    [['--set', 'slots=many'], 'a number is expected'],
    [['--set', 'slots=0'], '--set slots: '],
    [['--set', 'prefetch=-1'], '--set prefetch: '],
    [['--set', 'pipelines.detect.slots=2', '--set', 'slots=1'], 'pipeline detect takes 2 slots and there would be 1'],
    [['--set', 'slots'], 'path=value'],
    [['--config', 'config'], '_init.yaml'],
    [['--config', 'nowhere.yaml', '--config-dir', 'config'], 'nowhere.yaml'],
    [['--onto', 'nats://127.0.0.1:9', '--speed', 'fast'], 'A speed is a number above 0'],
  ] as const) {
    const ran = await replay(...options)
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(sentence) })
  }
})
