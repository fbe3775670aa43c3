import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { jetstream } from '@nats-io/jetstream'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { findServer } from '../../src/bus/server-binary.ts'
import { buildIfMissing, type Child, end, linesOf, nextLine, ocps, start } from '../cli/run.ts'
import { eventually } from '../bus/eventually.ts'
import { writeConfiguration } from '../client/realService.ts'

/*
 * A password that OCPS was given is looked for wherever OCPS speaks or writes: on every subject, in every file, in its
 * output, and in the command lines of all its processes. The token of a server of our own is in two files, both for
 * their owner only.
 */
const PASSWORD = 'S3cret-4-the-night'
const SLOW_MS = 90_000

beforeAll(buildIfMissing, SLOW_MS)

describe('no secret is shown', { timeout: SLOW_MS }, () => {
  test.each(['in NATS_URL', 'in --url'])('a password given %s is nowhere', async where => {
    const cwd = await folder()
    const server = await startServer(cwd)
    const url = `nats://ocps:${PASSWORD}@127.0.0.1:${server.port}`
    const ear = await connect({ servers: `127.0.0.1:${server.port}`, user: 'ocps', pass: PASSWORD })
    onTestFinished(() => ear.close())
    const heard: string[] = []
    ear.subscribe('>', {
      callback: (_, message) => void heard.push(`${message.subject} ${message.string()}`),
    })
    await ear.flush()
    const words = ['serve', '--state', 'enabled', '--json', '--inspector', '0', '--data', 'data']
    const env = where === 'in NATS_URL' ? { NATS_URL: url } : {}
    const served = begin([...words, ...(where === 'in --url' ? ['--url', url] : [])], { cwd, env })
    let log = ''
    served.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
    const banner = await nextLine(linesOf(served))
    expect(JSON.parse(banner)).toMatchObject({ natsUrl: `nats://127.0.0.1:${server.port}`, problem: null })

    const asked = { cwd, env: { NATS_URL: url } }
    const said: string[] = []
    for (const args of [
      ['process', 'AT_O_20261122_000017', '-p', 'env', '--wait', '--json'],
      ['status'],
      ['status', '--json'],
      ['server', '--json'],
      ['record'],
      ['explain', 'nothing'],
    ]) {
      const { stdout, stderr } = await ocps(args, asked)
      said.push(stdout, stderr)
    }
    const commandLines = descendants(served.pid ?? 0).map(commandLine)
    expect(commandLines.some(line => line.includes('inspect'))).toBe(true)
    // Without the password the note of this folder leads to the server, and it says what is missing.
    const without = await ocps(['status'], { cwd })
    expect([without.code, without.stderr.includes('refused the credentials')]).toEqual([4, true])
    await eventually('what is logged is heard', () => heard.some(line => line.includes('is ready')))
    const retained = await retainedIn(ear)
    await end(served, 'SIGTERM')
    const odd = await ocps(['status', '--url', `nats:/ocps:${PASSWORD}@127.0.0.1`], { cwd })
    expect(odd.code).not.toBe(0)

    expect(heard.length).toBeGreaterThan(20)
    expect(retained.length).toBeGreaterThan(5)
    expect(said.join('')).toContain('engine.started')
    const everything = {
      heard,
      retained,
      said,
      commandLines,
      rest: [banner, log, odd.stdout, odd.stderr, without.stderr],
    }
    for (const [what, texts] of Object.entries(everything))
      expect(
        texts.filter(text => text.includes(PASSWORD)),
        what,
      ).toEqual([])
    expect(filesWith(cwd, PASSWORD)).toEqual(['server.conf'])
  })

  test('the token of a server of our own is in two files that only their owner reads, and opens it', async () => {
    const cwd = await folder()
    const served = begin(['serve', '--state', 'enabled', '--json', '--inspector', '0'], { cwd })
    let log = ''
    served.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
    const banner = await nextLine(linesOf(served))
    const { natsUrl } = JSON.parse(banner) as { natsUrl: string }
    const note = join('.ocps', 'LATISS.json')
    const { token, url } = JSON.parse(readFileSync(join(cwd, note), 'utf8')) as Record<string, string>
    expect([url, token]).toEqual([natsUrl, expect.stringMatching(/^[0-9a-f]{48}$/)])
    const secret = String(token)
    expect((await ocps(['process', 'AT_O_20261122_000017', '-p', 'env', '--wait'], { cwd })).code).toBe(0)
    const said = await Promise.all([['status'], ['record']].map(args => ocps(args, { cwd })))
    // As it is shown, the address is enough for whoever may read the note.
    expect((await ocps(['status', '--url', natsUrl], { cwd })).code).toBe(0)
    const elsewhere = await ocps(['status', '--url', natsUrl], { cwd: tmpdir() })
    expect([elsewhere.code, elsewhere.stderr.includes('refused the credentials')]).toEqual([4, true])

    const shown = [banner, log, ...said.flatMap(({ stdout, stderr }) => [stdout, stderr])]
    expect([...shown, ...descendants(served.pid ?? 0).map(commandLine)].filter(text => text.includes(secret))).toEqual(
      [],
    )
    const holders = [note, join('.ocps', 'nats', 'nats-server.conf')]
    expect(filesWith(cwd, secret)).toEqual(holders)
    for (const path of holders) expect(statSync(join(cwd, path)).mode & 0o777, path).toBe(0o600)
    for (const path of ['.ocps', join('.ocps', 'nats'), join('.ocps', 'work')])
      expect(statSync(join(cwd, path)).mode & 0o777, path).toBe(0o700)
    await end(served, 'SIGTERM')
  })
})

async function folder(): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'ocps-secrets-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true, maxRetries: 5 }))
  const configDir = await writeConfiguration(cwd, 'async')
  // A job writes down all it was given.
  const body = { description: 'env', scope: 'exposure', command: ['sh', '-c', 'env; env > env.txt'], timeLimit: 60 }
  writeFileSync(join(configDir, 'pipelines', 'env.yaml'), JSON.stringify(body))
  return cwd
}

function begin(...[args, options]: Parameters<typeof start>): Child {
  const child = start(args, options)
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL')
  })
  return child
}

async function startServer(cwd: string): Promise<{ port: number }> {
  const { path } = await findServer()
  const conf = join(cwd, 'server.conf')
  const store = mkdtempSync(join(tmpdir(), 'ocps-secrets-store-'))
  writeFileSync(
    conf,
    `host: "127.0.0.1"\nport: -1\nports_file_dir: "${store}"\njetstream { store_dir: "${store}" }\nauthorization { user: ocps, password: "${PASSWORD}" }\n`,
  )
  const child: ChildProcess = spawn(path, ['-c', conf], { stdio: 'ignore' })
  onTestFinished(async () => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    rmSync(store, { recursive: true, force: true })
  })
  let port = 0
  await eventually('the server says its port', () => {
    const name = readdirSync(store).find(one => one.endsWith('.ports'))
    port = Number(/:(\d+)"/.exec(name === undefined ? '' : readFileSync(join(store, name), 'utf8'))?.[1] ?? 0)
    return port > 0
  })
  return { port }
}

/** Everything that late joiners find. */
async function retainedIn(connection: Awaited<ReturnType<typeof connect>>): Promise<string[]> {
  const consumer = await jetstream(connection).consumers.get('OCPS_LATISS_EVT')
  const { num_pending: count } = await consumer.info()
  const all: string[] = []
  if (count === 0) return all
  for await (const message of await consumer.fetch({ max_messages: count, expires: 5_000 })) all.push(message.string())
  return all
}

function filesWith(directory: string, secret: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(one => one.isFile())
    .map(one => join(one.parentPath, one.name))
    .filter(path => readFileSync(path).includes(secret))
    .map(path => path.slice(directory.length + 1))
    .toSorted()
}

function descendants(pid: number): number[] {
  const children = readdirSync('/proc')
    .map(Number)
    .filter(one => Number.isInteger(one) && parentOf(one) === pid)
  return [pid, ...children.flatMap(descendants)]
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(inProc(pid, 'status'))?.[1] ?? 0)
}

function commandLine(pid: number): string {
  return inProc(pid, 'cmdline').replaceAll('\0', ' ')
}

function inProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
