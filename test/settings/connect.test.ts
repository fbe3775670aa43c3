import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { connectOcps, OcpsError } from '../../src/client/index.ts'
import { atServer, connect, justUrl, NATS_VARIABLES, toEnvironment } from '../../src/settings/connect.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { natsSchema } from '../../src/settings/schema.ts'
import { rejection } from '../bus/eventually.ts'
import { buildIfMissing, end, linesOf, nextLine, ocps, start } from '../cli/run.ts'
import { needs } from '../needs.ts'
import { certificate, folder, newUser, startServer } from './servers.ts'

/* A service and its clients at servers that do not let everybody in. */

const SLOW_MS = 90_000
const PASSWORD = 'S3cret-4-the-night'

beforeAll(buildIfMissing, SLOW_MS)

/** Serves by a settings file, and asks in each way there is; returns what the instance says of its server. */
async function serveAndAsk(
  cwd: string,
  nats: object,
  client: Partial<Parameters<typeof connectOcps>[0]>,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const file = join(cwd, 'settings.yaml')
  writeFileSync(file, stringify({ instance: 'TEST', dataDir: 'data', nats }))
  const child = start(['serve', '--settings', file, '--state', 'enabled', '--json', '--inspector', '0'], { cwd })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGTERM')
  })
  const banner = JSON.parse(await nextLine(linesOf(child))) as { state: string; inspector: string }
  expect(banner).toMatchObject({ instance: 'TEST', state: 'ENABLED', workDir: join(cwd, 'data', 'work') })
  // The inspector is a child of the service: it reaches the journal through what it was given.
  await fetch(banner.inspector)

  const elsewhere = folder()
  const byFile = await ocps(['status', '--settings', file, '--json'], { cwd: elsewhere })
  expect(byFile.stderr).toBe('')
  expect(JSON.parse(byFile.stdout)).toMatchObject({ summaryState: 'ENABLED' })
  const byEnvironment = await ocps(['status', '-i', 'TEST', '--json'], { cwd: elsewhere, env: environment })
  expect(byEnvironment.stderr).toBe('')
  // Beside the service the note says where, and the environment says how to log in.
  const { NATS_URL: _, ...keys } = environment
  if (Object.keys(keys).length > 0)
    expect((await ocps(['jobs', '-i', 'TEST', '--json'], { cwd, env: keys })).stderr).toBe('')

  const script = await connectOcps({ instance: 'TEST', ...client })
  onTestFinished(() => script.close())
  expect(await script.state()).toBe('ENABLED')

  const stranger = await ocps(['status', '-i', 'TEST', '--url', String(client.url).replace(/\/\/.*@/, '//')], {
    cwd: elsewhere,
  })
  expect(stranger.code).toBe(4)
}

describe('a service, its inspector and its clients reach a server', { timeout: SLOW_MS }, () => {
  test('that wants a user and a password', async () => {
    const cwd = folder()
    const port = await startServer(cwd, `authorization { user: ocps, password: ${JSON.stringify(PASSWORD)} }`)
    const url = `nats://127.0.0.1:${port}`
    writeFileSync(join(cwd, 'password'), `${PASSWORD}\n`, { mode: 0o600 })
    const withPassword = `nats://ocps:${PASSWORD}@127.0.0.1:${port}`
    await serveAndAsk(
      cwd,
      { servers: [url], user: 'ocps', passwordFile: 'password' },
      { url: withPassword },
      { NATS_URL: withPassword },
    )
    const holders = readdirSync(cwd, { recursive: true, withFileTypes: true })
      .filter(one => one.isFile() && readFileSync(join(one.parentPath, one.name)).includes(PASSWORD))
      .map(({ name }) => name)
    expect(holders.toSorted()).toEqual(['password', 'server.conf'])
  })

  test('that wants an nkey', async () => {
    const cwd = folder()
    const { seed, publicKey } = newUser()
    const port = await startServer(cwd, `authorization { users: [{ nkey: ${publicKey} }] }`)
    const url = `nats://127.0.0.1:${port}`
    const nkeyFile = join(cwd, 'ocps.nk')
    writeFileSync(nkeyFile, `${seed}\n`, { mode: 0o600 })
    await serveAndAsk(
      cwd,
      { servers: [url], nkeyFile: 'ocps.nk' },
      { url, nkeyFile },
      { NATS_URL: url, OCPS_NATS_NKEY: nkeyFile },
    )
  })
})

const withOpenssl = needs('openssl')
withOpenssl(
  'a service, its inspector and its clients reach a server with TLS that asks who they are',
  { timeout: SLOW_MS },
  async () => {
    const cwd = folder()
    const server = certificate(cwd, 'server')
    const ours = certificate(cwd, 'ours')
    const port = await startServer(
      cwd,
      `tls { cert_file: "${server.cert}", key_file: "${server.key}", ca_file: "${ours.cert}", verify: true }`,
    )
    const url = `tls://localhost:${port}`
    await serveAndAsk(
      cwd,
      { servers: [url], tls: { caFile: 'server.pem', certFile: 'ours.pem', keyFile: 'ours.key' } },
      { url, tls: { caFile: server.cert, certFile: ours.cert, keyFile: ours.key } },
      { NATS_URL: url, OCPS_NATS_CA: server.cert, OCPS_NATS_CERT: ours.cert, OCPS_NATS_KEY: ours.key },
    )
    const nats = natsSchema.parse({ servers: [url], tls: { certFile: server.cert, keyFile: ours.key } })
    expect(String(await rejection(connect({ nats }, 'test')))).toContain('is not the private key')
  },
)

describe('a file that cannot be used is said before a server is asked', () => {
  const nats = (given: object) => natsSchema.parse({ servers: ['nats://127.0.0.1:1'], ...given })
  const said = async (given: object) => String(await rejection(connect({ nats: nats(given) }, 'test')))

  test('because it is not there, or is no file', async () => {
    expect(await said({ credentialsFile: '/nowhere.creds' })).toContain(
      'nats.credentialsFile: there is no file /nowhere.creds; correct the path',
    )
    expect(await said({ nkeyFile: '/' })).toContain('nats.nkeyFile: the file / cannot be read (EISDIR)')
  })

  test('because it holds something else, which is not repeated', async () => {
    const path = join(folder(), 'key')
    writeFileSync(path, `${PASSWORD}\n`)
    const all = [
      [{ credentialsFile: path }, `nats.credentialsFile: ${path} is no credentials file; write it again`],
      [{ nkeyFile: path }, `nats.nkeyFile: ${path} does not hold an nkey seed`],
      [{ tls: { caFile: path } }, `nats.tls.caFile: ${path} holds no certificate`],
      [{ passwordFile: path }, 'nats.user and nats.passwordFile belong together'],
      [{ tls: { certFile: path } }, 'nats.tls.certFile and nats.tls.keyFile belong together'],
    ] as const
    for (const [given, sentence] of all) {
      const refusal = await said(given)
      expect(refusal).toContain(sentence)
      expect(refusal).not.toContain(PASSWORD)
    }
  })

  test('and a credentials file and an nkey that are sound lead on to the server', async () => {
    const path = join(folder(), 'ocps.creds')
    const { seed } = newUser()
    writeFileSync(
      path,
      `-----BEGIN NATS USER JWT-----\neyJhbGciOiJlZDI1NTE5In0.e30.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    )
    expect(await said({ credentialsFile: path })).toContain('No NATS server answers')
    const nkeyFile = join(folder(), 'ocps.nk')
    writeFileSync(nkeyFile, seed)
    expect(await said({ nkeyFile })).toContain('No NATS server answers')
  })

  test('and a script hears of it as an OcpsError', async () => {
    const error = await rejection(connectOcps({ instance: 'TEST', url: 'nats://127.0.0.1:1', nkeyFile: '/nowhere.nk' }))
    expect(error).toBeInstanceOf(OcpsError)
    expect(error).toMatchObject({ kind: 'BAD_REQUEST', message: expect.stringContaining('/nowhere.nk') })
  })
})

test('one that does not answer is passed over for another server of the list', async () => {
  const port = await startServer(folder(), '')
  const nats = natsSchema.parse({ servers: ['nats://127.0.0.1:1', `nats://127.0.0.1:${port}`] })
  const bus = await connect({ nats }, 'test')
  onTestFinished(() => bus.close())
  expect(bus.server.version).toMatch(/^\d/)
})

test('answers arrive below the inbox prefix that was set, and nowhere else', async () => {
  const port = await startServer(
    folder(),
    'authorization { users: [{ user: a, password: b, permissions: { subscribe: ["ask", "_MINE.>"], publish: ">" } }] }',
  )
  const nats = natsSchema.parse({ servers: [`nats://a:b@127.0.0.1:${port}`], inboxPrefix: '_MINE' })
  const bus = await connect({ nats }, 'test')
  onTestFinished(() => bus.close())
  const asked = new Promise(resolve =>
    bus.subscribe('ask', ({ reply }) => (bus.publish(reply ?? '', ''), resolve(reply))),
  )
  await bus.request('ask', '', { timeoutMs: 30_000 })
  expect(await asked).toMatch(/^_MINE\./)
})

test('what a child gets by its environment is what its parent has, and nothing of the parent’s environment beside it', async () => {
  const { nats } = (
    await loadSettings({
      environment: {
        NATS_URL: 'nats://a:1,nats://b:2',
        OCPS_NATS_CREDS: '/c',
        OCPS_NATS_CA: '/ca',
        OCPS_NATS_CERT: '/cert',
        OCPS_NATS_KEY: '/key',
        OCPS_NATS_TLS_FIRST: '1',
        OCPS_NATS_INBOX_PREFIX: '_MINE',
      },
    })
  ).settings
  const child = await loadSettings({ environment: { ...toEnvironment(nats) } })
  expect(child.settings.nats).toEqual(nats)
  const own = toEnvironment(justUrl('nats://token@127.0.0.1:1'))
  expect(Object.keys(own).toSorted()).toEqual(NATS_VARIABLES.toSorted())
  expect(Object.entries(own).filter(([, value]) => value !== undefined)).toEqual([
    ['NATS_URL', 'nats://token@127.0.0.1:1'],
  ])
})

test('the keys of one server go to another, unless its URL says how to log in', () => {
  const nats = natsSchema.parse({ servers: ['nats://a'], nkeyFile: '/n', tls: { caFile: '/ca' } })
  expect(atServer(nats, 'nats://b')).toEqual({ ...nats, servers: ['nats://b'] })
  expect(atServer(nats, 'nats://u:p@b')).toEqual({ ...nats, servers: ['nats://u:p@b'], nkeyFile: null })
})
