import type { IncomingMessage } from 'node:http'
import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { createAccess, isLoopback, isToken, newToken } from '../../src/inspector/access.ts'

/* Who may look at the inspector, decided without a server: only the headers count. */

const TOKEN = 'correct-horse-battery'

function asking(headers: Record<string, string>, url = '/', method = 'GET'): IncomingMessage {
  return { headers, url, method } as unknown as IncomingMessage
}

const plain = { host: '127.0.0.1', port: 8133, names: [], token: null }
const guarded = createAccess({ ...plain, host: '0.0.0.0', token: TOKEN })

describe('who may look', () => {
  test('on loopback without a token: whoever names the inspector by a name of this machine', () => {
    const access = createAccess(plain)
    for (const host of ['localhost:8133', '127.0.0.1:8133', '[::1]:8133', 'LOCALHOST:8133'])
      expect(access.refusal(asking({ host })), host).toBeNull()
    for (const host of ['evil.example:8133', 'evil.example', 'localhost:8134', 'localhost', ''])
      expect(access.refusal(asking({ host })), host).toMatchObject({
        code: 421,
        why: expect.stringMatching(/is not known as .*--host-name/),
      })
  })

  test('on every address of the machine: by its name and its addresses, but only with the token', () => {
    const host = `${hostname().toLowerCase()}:8133`
    expect(guarded.refusal(asking({ host }))).toMatchObject({
      code: 401,
      why: expect.stringMatching(/asks for its token/),
    })
    expect(guarded.refusal(asking({ host, cookie: `a=b; ocps-inspector-8133=${TOKEN}` }))).toBeNull()
    expect(guarded.refusal(asking({ host, authorization: `Bearer ${TOKEN}` }))).toBeNull()
  })

  test('a token that is wrong, cut, longer, or meant for the inspector on another port is refused', () => {
    const host = 'localhost:8133'
    for (const cookie of [
      `ocps-inspector-8133=${TOKEN}x`,
      `ocps-inspector-8133=${TOKEN.slice(1)}`,
      'ocps-inspector-8133=',
      `ocps-inspector-8134=${TOKEN}`,
      `xocps-inspector-8133=${TOKEN}`,
    ])
      expect(guarded.refusal(asking({ host, cookie })), cookie).toMatchObject({ code: 401 })
  })

  test("a reverse proxy's name is known with and without our port, a name with a port only so", () => {
    const access = createAccess({ ...plain, names: ['Inspector.example.org', 'night.example.org:8443'] })
    for (const host of ['inspector.example.org', 'inspector.example.org:8133', 'night.example.org:8443'])
      expect(access.refusal(asking({ host })), host).toBeNull()
    for (const host of ['night.example.org', 'night.example.org:8133', 'other.example.org'])
      expect(access.refusal(asking({ host })), host).toMatchObject({ code: 421 })
  })
})

describe("what only the inspector's own page may do", () => {
  test('needs an Origin that is the name it was asked by', () => {
    const access = createAccess(plain)
    const host = 'localhost:8133'
    expect(access.refusalOfOwn(asking({ host, origin: 'http://localhost:8133' }))).toBeNull()
    for (const origin of ['http://evil.example', 'http://localhost:9000', 'http://localhost', 'null', ''])
      expect(access.refusalOfOwn(asking({ host, origin })), origin).toMatchObject({
        code: 403,
        why: expect.stringMatching(/own page/),
      })
    expect(access.refusalOfOwn(asking({ host }))).toMatchObject({
      code: 403,
      why: expect.stringMatching(/not for a program/),
    })
  })

  test('is done through a proxy that names us by our own address and itself in the Origin', () => {
    const access = createAccess({ ...plain, names: ['inspector.example.org'] })
    const origin = 'https://inspector.example.org'
    expect(access.refusalOfOwn(asking({ host: '127.0.0.1:8133', origin }))).toBeNull()
    expect(access.refusalOfOwn(asking({ host: 'inspector.example.org', origin }))).toBeNull()
  })

  test('needs the token as well', () => {
    const own = { host: 'localhost:8133', origin: 'http://localhost:8133' }
    expect(guarded.refusalOfOwn(asking(own))).toMatchObject({ code: 401 })
    expect(guarded.refusalOfOwn(asking({ ...own, cookie: `ocps-inspector-8133=${TOKEN}` }))).toBeNull()
  })
})

describe('the token in an address', () => {
  const host = 'localhost:8133'

  test('becomes a cookie that no script reads and no other site sends, and leaves the address', () => {
    expect(guarded.entry(asking({ host }, `/?token=${TOKEN}`))).toEqual({
      cookie: `ocps-inspector-8133=${TOKEN}; Path=/; HttpOnly; SameSite=Strict`,
      location: '/',
    })
    expect(guarded.entry(asking({ host }, `/files/x?a=1&token=${TOKEN}`))?.location).toBe('/files/x?a=1')
    const behindTls = guarded.entry(asking({ host, 'x-forwarded-proto': 'https' }, `/?token=${TOKEN}`))
    expect(behindTls?.cookie).toContain('; Secure')
  })

  test('never leads to another server', () => {
    for (const path of ['//evil.example/', '/\\evil.example/', '///evil.example/'])
      expect(guarded.entry(asking({ host }, `${path}?token=${TOKEN}`))?.location, path).toBe('/evil.example/')
  })

  test('does nothing when it is wrong, under a foreign name, in a POST, or where none is asked for', () => {
    expect(guarded.entry(asking({ host }, '/?token=wrong-token-of-some-length'))).toBeNull()
    expect(guarded.entry(asking({ host: 'evil.example:8133' }, `/?token=${TOKEN}`))).toBeNull()
    expect(guarded.entry(asking({ host }, `/?token=${TOKEN}`, 'POST'))).toBeNull()
    expect(createAccess(plain).entry(asking({ host }, '/?token='))).toBeNull()
  })

  test('is made long enough and spelled so that an address carries it as it is', () => {
    expect(isToken(newToken())).toBe(true)
    expect(newToken()).not.toBe(newToken())
    for (const text of ['', 'short', 'has spaces in it, many', 'x'.repeat(129)]) expect(isToken(text), text).toBe(false)
  })

  test('is asked for wherever another machine could reach the inspector', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) expect(isLoopback(host), host).toBe(true)
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'summit', '127.0.0.1.evil.example'])
      expect(isLoopback(host), host).toBe(false)
  })
})
