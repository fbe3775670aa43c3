import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { connectOcps } from '../../src/client/index.ts'
import { buildIfMissing, ocps } from '../cli/run.ts'
import { startRealService } from '../client/realService.ts'
import { aFolder } from './folder.ts'

// A dozen processes and three servers, one after the other, on a machine that is busy with other tests.
const PROCESSES_MS = 120_000

/** record and replay as people use them, over a real instance with real pipelines. */
describe('a night of a real instance', () => {
  let folder: string
  let lines: string[]

  beforeAll(async () => {
    await buildIfMissing()
  })

  test(
    'is recorded while it runs and after it has ended, and replayed identically',
    async () => {
      folder = await aFolder()
      const real = await startRealService()
      try {
        const client = await connectOcps({ instance: 'TEST', url: real.service.natsUrl })
        const [look, fail] = await Promise.all(
          ['look', 'fail'].map(pipeline =>
            client.processData({ dataId: { obsid: `E_${pipeline}` }, pipeline, group: 'pair' }),
          ),
        )
        await Promise.all([look?.result, fail?.result])
        await (await client.closeGroup('pair', { pipeline: 'combine' })).result
        await client.close()

        const live = await run('record', '--instance', 'TEST', '--url', real.service.natsUrl, '--gzip')
        expect(live).toMatchObject({ code: 0, stderr: expect.stringMatching(/recorded \d+ entries of TEST, 1 to \d+/) })
        await real.service.stop()

        const path = join(folder, 'night.ndjson.gz')
        expect(await run('record', '--instance', 'TEST', '--data', real.dataDir, '-o', path)).toMatchObject({ code: 0 })
        lines = gunzipSync(await readFile(path))
          .toString()
          .trim()
          .split('\n')
        const said = join(folder, 'said.ndjson')
        const replayed = await run('replay', path, '--json', '--events', said)
        expect(replayed.stderr).toBe('')
        const answer = JSON.parse(replayed.stdout)
        expect(answer).toMatchObject({ instance: 'TEST', entries: lines.length, difference: null, notCovered: 0 })
        expect(replayed.code).toBe(0)
        expect((await readFile(said, 'utf8')).trim().split('\n')).toHaveLength(answer.announcements)

        await tampered(path)
        await otherRanges(real.dataDir)
      } finally {
        await real.stop()
      }
    },
    PROCESSES_MS,
  )

  async function tampered(path: string): Promise<void> {
    const changed = join(folder, 'changed.ndjson')
    const at = lines.findIndex(line => line.includes('"exitCode":3'))
    await writeFile(changed, lines.map(line => line.replace('"exitCode":3', '"exitCode":0')).join('\n'))
    const different = await run('replay', changed)
    expect(different.code).toBe(1)
    expect(different.stdout).toContain(`different at entry ${at + 1}`)
    expect(different.stdout).toContain('succeeded')

    const broken = join(folder, 'broken.ndjson')
    await writeFile(broken, `${lines.slice(0, 4).join('\n')}\n{"n":5,\n`)
    expect(await run('replay', broken)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^ocps: \S+broken\.ndjson, line 5, is not JSON .*\n$/),
    })
    expect(await run('replay', path, '--instance', 'OTHER')).toMatchObject({ code: 1 })
  }

  async function otherRanges(dataDir: string): Promise<void> {
    const from = ['record', '--instance', 'TEST', '--data', dataDir]
    expect(await run(...from, '--day', '19990101')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('no entry in this range'),
    })
    expect((await run(...from, '--to', '2099-01-01T00:00:00Z')).stdout.trim().split('\n')).toEqual(lines)
    expect(await run(...from, '--from', 'yesterday')).toMatchObject({ code: 2 })
    expect(await run('record', '--instance', 'NOBODY', '--data', dataDir)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no journal of an instance NOBODY'),
    })
  }

  function run(...args: string[]) {
    return ocps(args, { cwd: folder })
  }
})
