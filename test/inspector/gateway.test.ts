import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import { readPage, singleFile } from '../../src/inspector/pageFiles.ts'
import type { Kept } from '../../src/night/keeping.ts'
import type { Tail } from '../../src/night/tail.ts'

/*
 * The gateway against someone who means harm, and against a page that only reads: real sockets, a journal that the test
 * writes.
 */

let place: string
let gateway: Gateway
const lines: Kept[] = [kept(1), kept(2)]

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'ocps-gateway-'))
  const workDir = join(place, 'work')
  mkdirSync(join(workDir, '20261122-000001', 'sub'), { recursive: true })
  mkdirSync(join(workDir, '20261122-000002'))
  mkdirSync(join(workDir, '.ledger'))
  writeFileSync(join(place, 'secret.txt'), 'secret')
  writeFileSync(join(workDir, '.ledger', 'pids'), 'secret')
  writeFileSync(join(workDir, '20261122-000002', 'other.txt'), 'secret')
  writeFileSync(join(workDir, '20261122-000001', 'sub', 'preview.png'), 'png')
  writeFileSync(join(workDir, '20261122-000001', 'page.html'), '<script>')
  symlinkSync(join(place, 'secret.txt'), join(workDir, '20261122-000001', 'link.txt'))
  symlinkSync(place, join(workDir, 'linked'))
  const tail: Tail = {
    lines,
    generation: 1,
    caughtUp: true,
    status: {
      link: 'connected',
      problem: '',
      heartbeatAt: 1,
      facts: { promise: 'power-safe', workDir, host: 'summit', pid: 1, ocps: '0' },
    },
    close: async () => {},
  }
  const page = { files: new Map([['/', { mime: 'text/html', body: 'page' }]]) }
  gateway = await startGateway({ instance: 'LATISS', port: 0, host: '127.0.0.1', page, tail })
})
afterAll(async () => {
  await gateway.close()
  rmSync(place, { recursive: true, force: true })
})

function kept(n: number): Kept {
  return { n, line: JSON.stringify({ n }), isQuiescent: false }
}

interface Answer {
  readonly code: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Not fetch: it would tidy `..` away before anything is sent, and would not lie about its host. */
async function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port: gateway.port, path, method, headers }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { code: response.statusCode, headers: response.headers, body }
}

describe('the gateway', () => {
  test('serves the page with a policy that runs nothing but its own script', async () => {
    const { code, headers, body } = await ask('/')
    expect([code, body]).toEqual([200, 'page'])
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'")
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
  })

  test('refuses whoever names it by a name that is not its own, as a rebound DNS name would', async () => {
    expect((await ask('/', { host: 'evil.example' })).code).toBe(421)
    expect((await ask('/', { host: `evil.example:${gateway.port}` })).code).toBe(421)
    expect((await ask('/', { host: `localhost:${gateway.port}` })).code).toBe(200)
  })

  test('changes nothing: every other method is refused', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) expect((await ask('/', {}, method)).code).toBe(405)
  })

  test("gives a job's files, and lists them without following links", async () => {
    const listed = JSON.parse((await ask('/files/20261122-000001/')).body) as { path: string }[]
    expect(listed.map(({ path }) => path)).toEqual(['page.html', 'sub/preview.png'])
    const image = await ask('/files/20261122-000001/sub/preview.png')
    expect([image.code, image.headers['content-type'], image.body]).toEqual([200, 'image/png', 'png'])
  })

  test('never gives a file that lies outside the directory of the job', async () => {
    const paths = [
      '/files/20261122-000001/link.txt',
      '/files/20261122-000001/../20261122-000002/other.txt',
      '/files/20261122-000001/..%2f20261122-000002%2fother.txt',
      '/files/20261122-000001/%2e%2e/%2e%2e/secret.txt',
      '/files/../secret.txt',
      '/files/%2e%2e/secret.txt',
      '/files/.ledger/pids',
      '/files/linked/secret.txt',
      '/files//etc/passwd',
      '/files/20261122-000001//etc/passwd',
      '/files/20261122-000001/sub',
      '/files/20261122-000001/preview.png%00.txt',
    ]
    for (const path of paths) {
      const { code, body } = await ask(path)
      expect(code, path).toBe(404)
      expect(body, path).not.toContain('secret')
    }
    for (const path of ['/files/..%2f/', '/files/linked/', '/files/.ledger/', '/files/20261122-000009/'])
      expect((await ask(path)).body, path).toBe('[]')
    expect((await ask('/files/%zz/')).code).toBe(400)
  })

  test('lets a browser execute nothing that a pipeline wrote', async () => {
    const { headers } = await ask('/files/20261122-000001/page.html')
    expect(headers['content-type']).toBe('application/octet-stream')
    expect(headers['content-disposition']).toBe('attachment')
    expect(headers['content-security-policy']).toContain('sandbox')
  })

  test('opens its socket to its own page only', async () => {
    for (const origin of ['http://evil.example', `http://evil.example:${gateway.port}`, undefined]) {
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/live`, origin === undefined ? {} : { origin })
      const [error] = (await once(socket, 'error')) as [Error]
      expect(error.message, origin).toContain('403')
    }
  })

  test('sends the journal and then what is new, each entry once and in order', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/live`, { origin: `http://127.0.0.1:${gateway.port}` })
    const heard: string[] = []
    const isCaughtUp = new Promise<void>(resolve => {
      socket.on('message', data => {
        heard.push((data as Buffer).toString())
        if (heard.at(-1) === '{"type":"caughtUp"}') resolve()
      })
    })
    await isCaughtUp
    const isNew = once(socket, 'message')
    lines.push(kept(3))
    await isNew
    socket.close()
    expect(heard.filter(text => text.startsWith('{"n"'))).toEqual(['{"n":1}\n{"n":2}', '{"n":3}'])
    expect(heard[0]).toContain('"type":"hello","instance":"LATISS"')
  })
})

describe('the single file', () => {
  test('holds text from the journal as text, whatever it says', () => {
    const page = readPage({})
    const lines = JSON.stringify({ n: 1, from: '</script><script>alert(1)</script><!--' })
    const html = singleFile({ page, instance: 'LATISS', lines })
    expect(html.match(/<\/script>/g)).toHaveLength(2)
    expect(html).not.toContain('<script>alert')
    const [, inside = ''] = /id="recording">(.*?)<\/script>/s.exec(html) ?? []
    expect((JSON.parse(inside) as { lines: string }).lines).toBe(lines)
    expect(html).toMatch(/script-src 'sha256-[\w+/=]{44}'/)
  })
})
