import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadSettings, type Sources } from '../../src/settings/load.ts'
import { LEAVES } from '../../src/settings/schema.ts'
import { showSettings } from '../../src/settings/show.ts'
import { rejection } from '../bus/eventually.ts'

/* The settings of a process: three layers, each value with where it came from. */

function written(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-settings-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, 'settings.yaml')
  writeFileSync(path, text)
  return path
}

const load = async (sources: Sources) => await loadSettings({ environment: {}, ...sources })
const refusal = async (sources: Sources) => String(await rejection(load(sources)))
const flag = (key: string, name: string, value: unknown) => ({ key, flag: name, value })

test('an option is above the environment, the environment above the file, the file above the default', async () => {
  const file = written('instance: FILE\nsite: file\ndataDir: /file\nnats:\n  servers: [nats://file:4222]\n')
  const { settings, origins } = await load({
    file,
    environment: { LSST_SITE: 'environment', OCPS_DATA_DIR: '/environment' },
    flags: [flag('dataDir', '--data', '/option')],
  })
  expect(settings).toMatchObject({
    instance: 'FILE',
    site: 'environment',
    dataDir: '/option',
    nats: { servers: ['nats://file:4222'] },
    promise: null,
  })
  expect(Object.fromEntries(origins)).toMatchObject({
    instance: file,
    site: 'environment LSST_SITE',
    dataDir: '--data',
    'nats.servers': file,
    promise: 'default',
  })
})

test('the file may be named by the environment; an empty variable is not set', async () => {
  const file = written('site: summit\n')
  const { settings, origins } = await load({ environment: { OCPS_SETTINGS: file, LSST_SITE: '' } })
  expect(settings.site).toBe('summit')
  expect(origins.get('site')).toBe(file)
})

test('several servers stand in a list in a file, and with commas between them in a variable', async () => {
  const servers = ['nats://a:4222', 'tls://b:4223']
  expect((await load({ file: written(`nats: { servers: [${servers.join(', ')}] }`) })).settings.nats.servers).toEqual(
    servers,
  )
  expect((await load({ environment: { NATS_URL: servers.join(',') } })).settings.nats.servers).toEqual(servers)
})

test('a path in a file is taken from the directory of that file, others from where the process was started', async () => {
  const file = written('nats: { tls: { caFile: keys/ca.pem } }\n')
  const { nats, dataDir } = (await load({ file, environment: { OCPS_NATS_CREDS: 'ocps.creds' } })).settings
  expect(nats.tls.caFile).toBe(join(file, '../keys/ca.pem'))
  expect(nats.credentialsFile).toBe(resolve('ocps.creds'))
  expect(dataDir).toBe(resolve('.ocps'))
})

test('a way to log in replaces those of the layers below, and two in one layer are refused by name', async () => {
  const file = written('nats: { credentialsFile: /a.creds }\n')
  const nkey = { OCPS_NATS_NKEY: '/a.nk' }
  expect((await load({ file, environment: nkey })).settings.nats).toMatchObject({
    credentialsFile: null,
    nkeyFile: '/a.nk',
  })
  const inUrl = await load({ file, environment: nkey, flags: [flag('nats.servers', '--url', 'nats://u:p@host')] })
  expect(inUrl.settings.nats).toMatchObject({ credentialsFile: null, nkeyFile: null })
  const both = await refusal({ environment: { ...nkey, OCPS_NATS_CREDS: '/a.creds' } })
  expect(both).toContain('nats.credentialsFile (environment OCPS_NATS_CREDS) and nats.nkeyFile (environment OCPS_NATS')
})

test.each([
  ['nats: { serverz: [] }', 'nats.serverz: unknown field'],
  ['promise: always', 'promise: '],
  ['nats: { servers: [http://host] }', 'nats.servers.0: "http://host" is not of the form nats://host:port'],
  ['inspector: { port: 70000 }', 'inspector.port: a port is a number from 0 to 65535'],
  ['- a list', 'must hold keys and values'],
  ['{', 'is not YAML'],
])('a file with %s is refused, naming the file, the key and what was expected', async (text, expected) => {
  const file = written(text)
  const said = await refusal({ file })
  expect(said).toContain(file)
  expect(said).toContain(expected)
})

test('a mistake in a variable or an option names it', async () => {
  expect(await refusal({ environment: { OCPS_PROMISE: 'always' } })).toContain('OCPS_PROMISE: promise: ')
  expect(await refusal({ environment: { OCPS_ALLOW_OLD_SERVER: 'perhaps' } })).toContain('OCPS_ALLOW_OLD_SERVER: allow')
  expect(await refusal({ flags: [flag('inspector.port', '--inspector', '70000')] })).toContain(
    '--inspector 70000: a port is a number from 0 to 65535',
  )
  expect(await refusal({ file: '/nowhere.yaml' })).toContain('/nowhere.yaml cannot be read (ENOENT)')
})

test('a file holds no password: a URL that does is refused without being repeated', async () => {
  const said = await refusal({ file: written('nats: { servers: ["nats://ocps:hush@host"] }\n') })
  expect(said).toContain('nats.servers: a URL without a password or token is expected')
  expect(said).not.toContain('hush')
})

test('no password is in a refusal, or in what is shown', async () => {
  for (const sources of [
    { environment: { NATS_URL: 'http://ocps:hush@host' } },
    { flags: [flag('nats.servers', '--url', 'http://ocps:hush@host')] },
  ]) {
    const said = await refusal(sources)
    expect(said).toContain('is not of the form')
    expect(said).not.toContain('hush')
  }
  const shown = showSettings(await load({ environment: { NATS_URL: 'nats://ocps:hush@a,nats://token@b' } }))
  expect(shown).toContainEqual({
    key: 'nats.servers',
    value: ['nats://…@a', 'nats://…@b'],
    origin: 'environment NATS_URL',
  })
})

test('what parts are given stands in the file below their kind and name, and passwords in it are not shown', async () => {
  const file = written('sinks: { archive: { url: "http://ocps:hush@host", keep: 3 }, nats: false }\n')
  const loaded = await load({ file })
  expect(loaded.settings.sinks).toEqual({ archive: { url: 'http://ocps:hush@host', keep: 3 }, nats: false })
  expect(showSettings(loaded)).toContainEqual({
    key: 'sinks',
    value: { archive: { url: 'http://…@host', keep: 3 }, nats: false },
    origin: file,
  })
  expect(await refusal({ file: written('sinks: { archive: 7 }\n') })).toContain('sinks.archive')
})

test('every key has a sentence, and all but those of parts a variable of their own', () => {
  for (const { key, about } of LEAVES) expect(about, key).not.toBe('')
  const variables = LEAVES.flatMap(({ env }) => env ?? [])
  expect(LEAVES.flatMap(({ key, env }) => (env === null ? [key] : []))).toEqual([
    'doors',
    'locators',
    'executors',
    'sinks',
  ])
  expect(new Set(variables).size).toBe(variables.length)
})
