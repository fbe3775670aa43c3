import { type IncomingMessage, request } from 'node:http'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { connectNats } from '../../src/bus/nats.ts'
import { type Answered, createCommands } from '../../src/inspector/commands.ts'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import type { Tail } from '../../src/night/tail.ts'
import { openJournal } from '../../src/journal/log.ts'
import { type Running, startInstance } from '../conformance/instance.ts'
import { must } from '../conformance/wire.ts'
import { justUrl } from '../../src/settings/connect.ts'

/* Commands through the gateway to a real instance, and what comes of whoever is not its page. */

const TOKEN = 'correct-horse-battery'
const PAGE = { files: new Map([['/', { mime: 'text/html', body: 'page' }]]) }

let running: Running
let url: string
const open: Gateway[] = []

beforeAll(async () => {
  running = await startInstance()
  url = running.service.natsUrl
})
afterAll(async () => {
  await running.stop()
})
afterEach(async () => {
  url = running.service.natsUrl
  for (const gateway of open.splice(0)) await gateway.close()
})

const tail: Tail = {
  lines: [],
  generation: 1,
  caughtUp: true,
  status: { link: 'connected', problem: '', heartbeatAt: 1, facts: null },
  close: async () => {},
}

async function gatewayWith({ allow = true, token = null as string | null } = {}): Promise<Gateway> {
  const commands = allow ? createCommands({ instance: 'LATISS', nats: () => justUrl(url) }) : null
  const options = { instance: 'LATISS', port: 0, host: '127.0.0.1', token, commands, page: PAGE, tail }
  const gateway = await startGateway(options)
  open.push(gateway)
  return gateway
}

interface Sent {
  readonly code: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

async function ask(
  { port }: Gateway,
  path: string,
  {
    headers = {},
    method = 'GET',
    body = '',
  }: { headers?: Record<string, string>; method?: string; body?: string } = {},
): Promise<Sent> {
  const asked = request({ host: '127.0.0.1', port, path, method, headers }).end(body)
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { code: response.statusCode, headers: response.headers, text }
}

let ids = 0

function post(gateway: Gateway, name: string, body: object, how: { who?: string; id?: string } = {}) {
  const { who = '', id = `id-${++ids}` } = how
  return postText(gateway, name, JSON.stringify({ who, id, body }))
}

function postText(gateway: Gateway, name: string, body: string, changed: Record<string, string> = {}): Promise<Sent> {
  const origin = `http://127.0.0.1:${gateway.port}`
  const headers = { 'Content-Type': 'application/json', origin, ...changed }
  return ask(gateway, `/commands/${name}`, { method: 'POST', headers, body })
}

function answered({ code, text }: Sent): Answered {
  expect([code, text]).toEqual([200, expect.stringContaining('isAccepted')])
  return JSON.parse(text) as Answered
}

async function callers(): Promise<string[]> {
  const bus = await connectNats({ url: running.service.natsUrl, name: 'test' })
  try {
    const { journal } = await openJournal({ bus, instance: 'LATISS' })
    const found: string[] = []
    for await (const { from, what } of journal.read('start'))
      if (what.type.startsWith('command.')) found.push(`${from} ${what.type.slice('command.'.length)}`)
    return found
  } finally {
    await bus.close()
  }
}

describe('a command from the page', () => {
  test('reaches the instance, and the journal says from whom', async () => {
    const gateway = await gatewayWith()
    expect(answered(await post(gateway, 'pause', {}, { who: 'vera.rubin' }))).toMatchObject({
      isAccepted: true,
      text: 'pause is done.',
    })
    expect(await running.wire.query('state')).toMatchObject({ queue: { state: 'paused' } })
    expect(answered(await post(gateway, 'resume', {}))).toMatchObject({ isAccepted: true })
    expect((await callers()).slice(-2)).toEqual(['vera.rubin@inspector pause', 'inspector resume'])
  })

  test('aborts a job, and retries it from the shelf under a new id', async () => {
    const gateway = await gatewayWith()
    const asked = { dataId: { obsid: 'E1' }, pipeline: 'endless' }
    const jobId = must((await running.wire.command('processData', asked)).jobIds[0])
    expect(answered(await post(gateway, 'abortJob', { jobId })).isAccepted).toBe(true)
    expect(await running.wire.result(jobId)).toMatchObject({ outcome: { kind: 'aborted' } })
    const { text, jobIds } = answered(await post(gateway, 'retry', { jobId }))
    expect(text).toBe(`retry is done: job ${must(jobIds[0])}.`)
    answered(await post(gateway, 'abortJob', { jobId: must(jobIds[0]) }))
    await running.wire.result(jobIds[0])
  })

  test('is executed once when it is sent twice under one id', async () => {
    const gateway = await gatewayWith()
    const before = (await callers()).length
    for (let time = 0; time < 2; time++) answered(await post(gateway, 'pause', {}, { id: 'twice' }))
    answered(await post(gateway, 'resume', {}))
    expect((await callers()).length).toBe(before + 2)
  })

  test('is refused by the instance in one sentence where it is not allowed now', async () => {
    const gateway = await gatewayWith()
    const refused = answered(await post(gateway, 'enable', {}))
    expect(refused.isAccepted).toBe(false)
    expect(refused.text).toMatch(/^enable was refused \(WRONG_STATE\): .*ENABLED.*\.$/)
    const unknown = answered(await post(gateway, 'abortJob', { jobId: '20261122-999999' }))
    expect(unknown.text).toMatch(/^abortJob was refused \(UNKNOWN_JOB\): /)
  })

  test('says what is wrong with it before anything is sent', async () => {
    const gateway = await gatewayWith()
    const before = (await callers()).length
    const wrong: readonly (readonly [string, string, RegExp])[] = [
      [
        'abortJob',
        '{"who":"","id":"a","body":{"jobId":"../../etc"}}',
        /abortJob: jobId: expected a job id as OCPS gave it/,
      ],
      ['abortJob', '{"who":"","id":"a","body":{"jobId":"a","force":true}}', /force: unknown field/],
      ['abortJob', '{"who":"has spaces","id":"a","body":{"jobId":"a"}}', /Who: a name is/],
      ['abortJob', '{"who":"a\\r\\nNats-Msg-Id: b","id":"a","body":{"jobId":"a"}}', /Who: a name is/],
      ['abortJob', '{"who":"","id":"","body":{"jobId":"a"}}', /Id: a message id is/],
      ['pause', '{"who":"","id":"a"}', /the body is not an object/],
      ['pause', '{"who":"","id":"a","body":{},"reply":"ocps.LATISS.evt.x"}', /reply: unknown field/],
      ['pause', 'pause', /not JSON/],
      ['pause', 'null', /not an object/],
      ['processData', '{"who":"","id":"a","body":{}}', /sends no "processData"; it sends start, /],
      ['__proto__', '{"who":"","id":"a","body":{}}', /sends no "__proto__"/],
      ['pause/../enable', '{"who":"","id":"a","body":{}}', /sends no "pause/],
    ]
    for (const [name, body, why] of wrong) {
      const { code, text } = await postText(gateway, name, body)
      expect([name, code], body).toEqual([name, 400])
      expect((JSON.parse(text) as Answered).text, body).toMatch(why)
    }
    expect((await callers()).length).toBe(before)
  })

  test('says so when no server answers, and that nothing is lost by sending it again', async () => {
    const gateway = await gatewayWith()
    url = 'nats://127.0.0.1:9'
    const { isAccepted, text } = answered(await post(gateway, 'pause', {}))
    expect([isAccepted, text]).toEqual([false, expect.stringMatching(/127\.0\.0\.1:9.*\.$/)])
  })
})

describe('whoever is not the page', () => {
  test('finds no such endpoint where commands are not allowed', async () => {
    const gateway = await gatewayWith({ allow: false })
    const { code, text } = await post(gateway, 'pause', {})
    expect([code, text]).toEqual([405, 'The inspector only shows.\n'])
    expect(await running.wire.query('state')).toMatchObject({ queue: { state: 'flowing' } })
  })

  test('from another site is refused, whatever it claims', async () => {
    const gateway = await gatewayWith()
    const body = '{"who":"","id":"csrf","body":{}}'
    const from = { origin: 'http://evil.example' }
    expect(await postText(gateway, 'pause', body, from)).toMatchObject({
      code: 403,
      text: expect.stringContaining('own page') as string,
    })
    // What a form of another site can send without asking first.
    const form = { origin: 'http://evil.example', 'Content-Type': 'text/plain' }
    expect(await postText(gateway, 'pause', body, form)).toMatchObject({ code: 403 })
    expect(await postText(gateway, 'pause', body, { 'Content-Type': 'text/plain' })).toMatchObject({
      code: 403,
      text: 'A command is sent as JSON.\n',
    })
    const rebound = { host: `evil.example:${gateway.port}`, origin: `http://evil.example:${gateway.port}` }
    expect(await postText(gateway, 'pause', body, rebound)).toMatchObject({ code: 421 })
    expect(await running.wire.query('state')).toMatchObject({ queue: { state: 'flowing' } })
  })

  test('sends no more than a command is long', async () => {
    const gateway = await gatewayWith()
    expect(await postText(gateway, 'pause', ' '.repeat(100_000))).toMatchObject({ code: 413 })
  })

  test('is told what to do where a token is asked for: no page, no socket, no command without it', async () => {
    const gateway = await gatewayWith({ token: TOKEN })
    expect(await ask(gateway, '/')).toMatchObject({ code: 401, text: expect.stringContaining('?token=…') as string })
    expect(await ask(gateway, '/?token=wrong-token-of-that-length')).toMatchObject({ code: 401 })
    expect(await post(gateway, 'pause', {})).toMatchObject({ code: 401 })
    const origin = `http://127.0.0.1:${gateway.port}`
    const [error] = (await once(new WebSocket(`ws://127.0.0.1:${gateway.port}/live`, { origin }), 'error')) as [Error]
    expect(error.message).toContain('401')
  })

  test('with the token once in the address is let in, and goes on without it there', async () => {
    const gateway = await gatewayWith({ token: TOKEN })
    const entered = await ask(gateway, `/?token=${TOKEN}`)
    expect([entered.code, entered.text]).toEqual([200, expect.stringContaining('content="0;url=/"')])
    expect(entered.text).not.toContain(TOKEN)
    const [cookie = ''] = entered.headers['set-cookie'] ?? []
    expect(cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/)
    const headers = { cookie: must(cookie.split(';')[0]) }
    expect(await ask(gateway, '/', { headers })).toMatchObject({ code: 200, text: 'page' })
    const body = '{"who":"","id":"with-token","body":{}}'
    expect(answered(await postText(gateway, 'resume', body, headers)).text).toContain('resume')
  })
})
