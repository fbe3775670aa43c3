import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../bus/eventually.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { buildIfMissing, type Child, end, linesOf, nextLine, ocps, start } from '../cli/run.ts'

/* `ocps inspect`, `ocps explain` and `ocps serve --inspector` as people run them: built, in processes of their own. */

let place: string
let server: Child
let ready: { natsUrl: string; inspector: string }

const cleanUp = cleanUpAfterAll()

beforeAll(async () => {
  await buildIfMissing()
  place = mkdtempSync(join(tmpdir(), 'ocps-inspect-'))
  cleanUp(() => rmSync(place, { recursive: true, force: true }))
  server = start(['serve', '--state', 'enabled', '--json', '--inspector', '0'], { cwd: place })
  cleanUp(() => end(server, 'SIGTERM'))
  ready = JSON.parse(await nextLine(linesOf(server))) as typeof ready
})

// Each start draws the charts, seconds on a loaded machine, and one test makes two.
const SLOW_MS = 60_000

/** A child that is gone when its test is over, however that ended. */
function begin(...[args, options]: Parameters<typeof start>): Child {
  const child = start(args, options)
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL')
  })
  return child
}

describe('the inspector from the command line', { timeout: SLOW_MS }, () => {
  test('explains a job in one sentence, and says so when it knows none of that name', async () => {
    const asked = await ocps(['process', 'AT_O_20261122_000017', '--pipeline', 'quicklook'], { cwd: place })
    const jobId = asked.stdout.trim()
    const { code, stdout } = await ocps(['explain', jobId], { cwd: place })
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^Job ${jobId} .*\\.\\n$`))])
    const unknown = await ocps(['explain', 'nothing'], { cwd: place })
    expect(unknown.code).not.toBe(0)
    expect(unknown.stderr).toContain('knows no job and no group "nothing"')
  })

  test('writes a recording as one file', async () => {
    await ocps(['record', '-o', 'night.ndjson.gz'], { cwd: place })
    const { code, stdout } = await ocps(['inspect', 'night.ndjson.gz'], { cwd: place })
    expect([code, stdout]).toEqual([0, expect.stringContaining('night.html shows')])
    expect(readFileSync(join(place, 'night.html'), 'utf8')).toContain('id="recording"')
  })

  test('says which port is taken, and what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const { code, stderr } = await ocps(['inspect', '--port', String(port)], { cwd: place })
    expect(code).not.toBe(0)
    expect(stderr).toContain(`port ${port} is taken; choose another with --port, or 0 for any`)
    taken.close()
  })

  test('beyond loopback makes a token and prints the address with it, or takes the one it is given', async () => {
    const open = begin(['inspect', '--host', '0.0.0.0', '--port', '0', '--json'], { cwd: place })
    const { url, port } = JSON.parse(await nextLine(linesOf(open))) as { url: string; port: number }
    const [, token = ''] = /\?token=([\w-]{32})$/.exec(url) ?? []
    expect(token).not.toBe('')
    const there = `http://127.0.0.1:${port}/`
    expect((await fetch(there)).status).toBe(401)
    const entered = await fetch(`${there}?token=${token}`)
    expect([entered.status, entered.headers.get('set-cookie')]).toEqual([200, expect.stringContaining('HttpOnly')])
    expect((await fetch(there, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(200)
    await end(open, 'SIGTERM')

    const env = { OCPS_INSPECTOR_TOKEN: 'given-by-the-site' }
    const given = begin(['inspect', '--port', '0', '--json'], { cwd: place, env })
    const loopback = (JSON.parse(await nextLine(linesOf(given))) as { url: string }).url
    expect(loopback).not.toContain('token')
    expect((await fetch(loopback)).status).toBe(401)
    expect((await fetch(`${loopback}?token=given-by-the-site`)).status).toBe(200)
    await end(given, 'SIGTERM')
  })

  test('says in a sentence what is wrong with a token, a name or a port', async () => {
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [['--token', 'short'], 'the token of --token is none: a token is 16 to 128 letters'],
      [['--host-name', 'https://inspector.example.org/'], 'a name like inspector.example.org, or with :port'],
      [['--port', '70000'], '--port 70000: a port is a number from 0 to 65535'],
    ]
    for (const [args, sentence] of wrong) {
      const { code, stderr } = await ocps(['inspect', ...args], { cwd: place })
      expect([code, stderr], args.join(' ')).toEqual([2, expect.stringContaining(sentence)])
    }
  })

  test('beside an instance says the same under the names of its own options, before anything is started', async () => {
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [['--inspector', '--inspector-token', 'short'], 'the token of --inspector-token is none: a token is 16 to 128'],
      [['--inspector', '--inspector-host-name', 'https://it/'], '--inspector-host-name https://it/: a name like'],
      [['--inspector', '70000'], '--inspector 70000: a port is a number from 0 to 65535'],
      [['--inspector-host', '0.0.0.0'], '--inspector-host is about the page; add --inspector'],
      [['--inspector-token', 'given-by-the-site'], '--inspector-token is about the page; add --inspector'],
      [['--allow-commands'], '--allow-commands is about the page; add --inspector'],
    ]
    for (const [args, sentence] of wrong) {
      const { code, stderr } = await ocps(['serve', '--data', 'never', ...args], { cwd: place })
      expect([code, stderr], args.join(' ')).toEqual([2, expect.stringContaining(sentence)])
    }
    expect(existsSync(join(place, 'never'))).toBe(false)
  })

  test('beside an instance listens where it is told, is known by the names it is given, and asks for the token', async () => {
    const beside = ['serve', '--url', ready.natsUrl, '--json', '--inspector', '0']
    const open = begin([...beside, '--instance', 'FOUR', '--data', 'four', '--inspector-host', '0.0.0.0'], {
      cwd: place,
    })
    const made = (JSON.parse(await nextLine(linesOf(open))) as typeof ready).inspector
    expect(made).toMatch(/^http:\/\/[^/]+:\d+\/\?token=[\w-]{32}$/)
    const there = `http://127.0.0.1:${new URL(made).port}/`
    expect((await fetch(there)).status).toBe(401)
    expect((await fetch(`${there}${new URL(made).search}`)).status).toBe(200)
    await end(open, 'SIGTERM')

    const token = 'given-by-the-site'
    const named = ['--inspector-host-name', 'inspector.example.org', '--inspector-token', token]
    const given = begin([...beside, '--instance', 'FIVE', '--data', 'five', ...named], { cwd: place })
    const { inspector } = JSON.parse(await nextLine(linesOf(given))) as typeof ready
    expect(inspector).not.toContain('token')
    expect(await statusAs('inspector.example.org', inspector, token)).toBe(200)
    expect(await statusAs('inspector.example.org', inspector, 'another-long-token')).toBe(401)
    expect(await statusAs('elsewhere.example.org', inspector, token)).toBe(421)
    await end(given, 'SIGTERM')
  })

  test('beside an instance that may not listen there says so, and the instance goes on without it', async () => {
    const child = begin(
      [
        'serve',
        '--url',
        ready.natsUrl,
        '--json',
        '--instance',
        'SIX',
        '--data',
        'six',
        '--inspector',
        '0',
        '--inspector-host',
        '203.0.113.1',
      ],
      { cwd: place },
    )
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    expect(JSON.parse(await nextLine(linesOf(child)))).toMatchObject({ instance: 'SIX', inspector: null })
    await eventually('it is said', () => said.includes('choose others with --inspector-host, --inspector'))
    await end(child, 'SIGTERM')
  })

  test('beside an instance carries commands only if it was told to', async () => {
    const body = JSON.stringify({ who: 'vera', id: 'from-the-page', body: {} })
    const send = (url: string) =>
      fetch(`${url}commands/start`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Origin: url.slice(0, -1) },
        body,
      })
    expect((await send(ready.inspector)).status).toBe(405)
    const args = [
      'serve',
      '--instance',
      'THREE',
      '--url',
      ready.natsUrl,
      '--data',
      'three',
      '--json',
      '--inspector',
      '0',
    ]
    const other = begin([...args, '--allow-commands'], { cwd: place })
    const { inspector } = JSON.parse(await nextLine(linesOf(other))) as typeof ready
    const answered = await send(inspector)
    expect([answered.status, await answered.json()]).toEqual([200, expect.objectContaining({ isAccepted: true })])
    await end(other, 'SIGTERM')
  })

  test('is there before the instance is, and ends on SIGTERM', async () => {
    const alone = mkdtempSync(join(tmpdir(), 'ocps-alone-'))
    const inspector = begin(['inspect', '--port', '0', '--json'], { cwd: alone })
    const { url } = JSON.parse(await nextLine(linesOf(inspector))) as { url: string }
    expect((await fetch(url)).status).toBe(200)
    expect(await end(inspector, 'SIGTERM')).toBe(0)
    rmSync(alone, { recursive: true, force: true })
  })

  test('beside an instance, ends with it even when that one is killed', async () => {
    expect((await fetch(ready.inspector)).status).toBe(200)
    const other = begin(
      ['serve', '--instance', 'TWO', '--url', ready.natsUrl, '--data', 'two', '--json', '--inspector', '0'],
      {
        cwd: place,
      },
    )
    const { inspector } = JSON.parse(await nextLine(linesOf(other))) as typeof ready
    expect((await fetch(inspector)).status).toBe(200)
    await end(other, 'SIGKILL')
    await eventually('the page is gone', () =>
      fetch(inspector).then(
        () => false,
        () => true,
      ),
    )
  })
})

/** As a reverse proxy passes it on: fetch would not let us say whom we ask for. */
async function statusAs(name: string, url: string, token: string): Promise<number | undefined> {
  const request = get(url, { headers: { Host: name, Authorization: `Bearer ${token}` } })
  const [response] = (await once(request, 'response')) as [{ statusCode?: number; resume(): void }]
  response.resume()
  return response.statusCode
}
