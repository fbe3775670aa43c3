import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildIfMissing, ocps } from '../cli/run.ts'
import { folder } from './servers.ts'

/* `ocps settings`, and how the other verbs go by the same document. */

beforeAll(buildIfMissing, 60_000)

test('settings shows each value with where it comes from, and no password', { timeout: 60_000 }, async () => {
  const cwd = folder()
  writeFileSync(join(cwd, 'settings.yaml'), 'instance: LSSTCam\nsite: summit\ndataDir: /var/lib/ocps\n')
  const env = { OCPS_SETTINGS: 'settings.yaml', NATS_URL: 'nats://ocps:hush@a:4222,nats://b:4222', LSST_SITE: 'base' }
  const { code, stdout, stderr } = await ocps(['settings', '--data', 'here', '--inspector', '--json'], { cwd, env })
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject({
    instance: { value: 'LSSTCam', origin: join(cwd, 'settings.yaml') },
    site: { value: 'base', origin: 'environment LSST_SITE' },
    dataDir: { value: join(cwd, 'here'), origin: '--data' },
    'nats.servers': { value: ['nats://…@a:4222', 'nats://b:4222'], origin: 'environment NATS_URL' },
    'nats.credentialsFile': { value: null, origin: 'default' },
    'inspector.port': { value: 8133, origin: '--inspector' },
  })
  const page = await ocps(['settings'], { cwd, env })
  expect(page.stdout).toMatch(/^nats\.servers +nats:\/\/…@a:4222, nats:\/\/b:4222 +environment NATS_URL$/m)
  expect(stdout + page.stdout).not.toContain('hush')
})

test('a mistake in a setting ends every verb with one sentence, before anything is done', {
  timeout: 60_000,
}, async () => {
  const cwd = folder()
  const path = join(cwd, 'settings.yaml')
  writeFileSync(path, 'nats: { server: nats://a }\n')
  for (const args of [['serve'], ['status', '--json']]) {
    const { code, stderr } = await ocps([...args, '--settings', path], { cwd })
    expect([code, stderr]).toEqual([2, `ocps: ${path}: nats.server: unknown field\n`])
  }
  const key = await ocps(['status', '--url', 'nats://127.0.0.1:1', '--nkey', 'nowhere.nk'], { cwd })
  expect([key.code, key.stderr]).toEqual([
    2,
    `ocps: nats.nkeyFile: there is no file ${join(cwd, 'nowhere.nk')}; correct the path, or put the file there\n`,
  ])
})
