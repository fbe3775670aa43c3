import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { connectOcps } from '../../src/client/index.ts'
import { writeRecording } from '../../src/journal/recording.ts'
import { buildIfMissing, ocps } from '../cli/run.ts'
import { startRealService } from '../client/realService.ts'
import { aPipeline } from '../harness.ts'
import { simulate } from '../scenarios/simulate.ts'
import { aFolder } from './folder.ts'

// Each runs several processes; the bound is for a machine that is busy with other tests.
vi.setConfig({ testTimeout: 120_000 })
beforeAll(buildIfMissing)

/** Recorded in memory, where pipelines are named as in the real instance's configuration. */
const night = () =>
  simulate({
    configuration: {
      slots: 1,
      pipelines: {
        look: aPipeline('look'),
        fail: aPipeline('fail'),
        combine: aPipeline('combine', { scope: 'group' }),
      },
    },
    script: ({ pipeline }) => ({ runs: 100, exitCode: pipeline.name === 'fail' ? 3 : 0 }),
    asked: [
      { at: 0, name: 'start' },
      { at: 0, name: 'enable' },
      { at: 1_000, name: 'processData', id: 'a', body: { dataId: { obsid: 'E1' }, pipeline: 'look', group: 'g' } },
      {
        at: 1_050,
        name: 'processData',
        id: 'b',
        body: night => ({
          dataId: { obsid: 'E2' },
          pipeline: 'look',
          group: 'g',
          after: [night.acks('a')[0]?.jobIds[0] ?? 'none'],
        }),
      },
      { at: 1_100, name: 'processData', id: 'c', body: { dataId: { obsid: 'E3' }, pipeline: 'unknown' } },
      { at: 2_000, name: 'processData', id: 'd', body: { dataId: { group: 'g' }, pipeline: 'combine' } },
    ],
  })

test('the commands of a recording are sent to an instance that runs, and jobs they name are those of that instance', async () => {
  const folder = await aFolder()
  const path = join(folder, 'night.ndjson.gz')
  await writeRecording(await night(), path)
  const real = await startRealService()
  const client = await connectOcps({ instance: 'TEST', url: real.service.natsUrl })
  const replay = (...more: string[]) =>
    ocps(['replay', path, '--onto', real.service.natsUrl, '--instance', 'TEST', '--speed', 'max', '--json', ...more], {
      cwd: folder,
    })
  try {
    const ran = await replay('--only-data')
    expect(ran.stderr).toBe('')
    expect(JSON.parse(ran.stdout)).toMatchObject({
      sent: 4,
      accepted: 3,
      jobs: 2,
      refused: { UNKNOWN_PIPELINE: 1 },
      otherwise: [],
    })
    expect(ran.code).toBe(0)
    // The same commands under new ids: E2 ran after the job of E1 of this instance, and both were combined.
    await expect.poll(async () => (await client.group('g')).state, { timeout: 20_000 }).toBe('gathered')

    const lifecycle = await replay()
    expect(lifecycle.code).toBe(1)
    const { sent, otherwise } = JSON.parse(lifecycle.stdout)
    expect(sent).toBe(6)
    expect(otherwise).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ command: 'start', recorded: 'accepted', now: 'WRONG_STATE' }),
        expect.objectContaining({ command: 'enable', recorded: 'accepted', now: 'WRONG_STATE' }),
      ]),
    )
  } finally {
    await client.close()
    await real.stop()
  }
})

test('where no instance of that name runs, it says so', async () => {
  const folder = await aFolder()
  const path = join(folder, 'night.ndjson')
  await writeRecording(await night(), path)
  const ran = await ocps(['replay', path, '--onto', 'nats://127.0.0.1:9', '--speed', 'max'], { cwd: folder })
  expect(ran.code).toBe(4)
  expect(ran.stderr).toMatch(/^ocps: .*127\.0\.0\.1:9/)
})
