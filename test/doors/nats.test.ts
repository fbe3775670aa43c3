import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { Bus, Incoming, Retained } from '../../src/bus/port.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import type { Log } from '../../src/log.ts'
import { createNight } from '../night.ts'
import { openDoorsOf } from './desk.ts'

/*
 * What comes off the wire is checked here and nowhere else: the door of an instance in memory, with messages as a bus
 * delivers them.
 */

interface Sent {
  readonly subject: string
  readonly body: unknown
}

interface Message {
  readonly body?: unknown
  readonly reply?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

async function opened(doors?: string[]) {
  const night = await createNight()
  await night.enable()
  const handlers = new Map<string, (message: Incoming) => void>()
  const stopped: string[] = []
  const sent: Sent[] = []
  const refusals: Numbered[] = []
  const lines: string[] = []
  const kept = new Map<string, unknown>()
  let isStreamAway = false
  const bus = {
    server: { maxPayload: 1_000_000 },
    subscribe(subject: string, handler: (message: Incoming) => void) {
      handlers.set(subject, handler)
      return { stop: () => Promise.resolve(void stopped.push(subject)) }
    },
    publish: (subject: string, body: string) => void sent.push({ subject, body: JSON.parse(body) }),
  } as unknown as Bus
  const retained = {
    async last(subject: string) {
      // What no server takes for a subject ends the connection.
      if (subject.length > 4_000 || subject.endsWith('.')) throw new Error(`bad subject ${subject}`)
      if (isStreamAway) throw new Error('the stream is away')
      return await Promise.resolve(kept.has(subject) ? JSON.stringify(kept.get(subject)) : null)
    },
  } as unknown as Retained
  const log: Log = {
    info() {},
    warn: (_, sentence) => void lines.push(sentence),
    error: (_, sentence) => void lines.push(sentence),
  }
  const say = (said: Numbered) => void refusals.push(said)
  const door = await openDoorsOf(night, bus, { retained, say, log, facts: () => ({ pid: 1 }) }, doors)
  const deliver = (pattern: string, subject: string, { body = {}, reply = '_INBOX.a.b', headers = {} }: Message) => {
    const bytes =
      body instanceof Uint8Array
        ? body
        : new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))
    handlers.get(pattern)?.({ subject, body: bytes, reply, headers })
  }
  return {
    night,
    door,
    stopped,
    sent,
    lines,
    kept,
    refusals: () => refusals.map(({ announcement }) => announcement),
    command: async (name: string, message: Message = {}) => {
      // As a server does: to every subscription that the subject matches.
      for (const pattern of ['ocps.LATISS.cmd.>', `ocps.LATISS.cmd.${name}`])
        deliver(pattern, `ocps.LATISS.cmd.${name}`, message)
      await night.settled()
    },
    ask: async (name: string, message: Message = {}) => {
      deliver('ocps.LATISS.qry.>', `ocps.LATISS.qry.${name}`, message)
      await new Promise<void>(resolve => void setImmediate(resolve))
    },
    loseStream: () => {
      isStreamAway = true
    },
  }
}

const ID = { 'nats-msg-id': 'm-1', 'ocps-identity': 'script@summit' }

describe('door: commands', () => {
  test('one that is right goes in, with who sent it and where the answer goes', async () => {
    const { command, night } = await opened()
    await command('processData', { body: { dataId: { obsid: 'E1' }, pipeline: 'quicklook' }, headers: ID })
    expect(night.acks('m-1')).toMatchObject([{ ack: ACK.COMPLETE }])
    expect(night.entries().at(-1)).toMatchObject({
      door: 'command',
      from: 'script@summit',
      what: { caller: { identity: 'script@summit', id: 'm-1', reply: '_INBOX.a.b' } },
    })
  })

  test('one without headers has an id of its own, every time', async () => {
    const { command, night } = await opened()
    await command('pause')
    await command('resume')
    const callers = night.entries().flatMap(({ what }) => ('caller' in what ? [what.caller] : []))
    const [pause, resume] = callers.slice(-2)
    expect([pause?.identity, resume?.identity]).toEqual(['anonymous', 'anonymous'])
    expect(pause?.id).toMatch(/^[0-9a-f-]{36}$/)
    expect(pause?.id).not.toBe(resume?.id)
  })

  test.each([
    ['an empty one', ''],
    ['one with a space', 'm 1'],
    ['one with a line break', 'm\n1'],
    ['one beyond ASCII', 'mé'],
    ['one of 129 characters', 'm'.repeat(129)],
  ])('a message id that is none is refused and not repeated to anybody: %s', async (_, id) => {
    const { command, refusals, night, lines } = await opened()
    const before = night.entries().length
    await command('pause', { headers: { ...ID, 'nats-msg-id': id } })
    expect(refusals()).toMatchObject([
      { caller: { id: '', identity: '', reply: '_INBOX.a.b' }, body: { code: 'MALFORMED' } },
    ])
    expect(lines).toHaveLength(1)
    expect(night.entries()).toHaveLength(before)
  })

  test('an identity that is none is refused, too; 128 characters are one', async () => {
    const { command, refusals, night } = await opened()
    await command('pause', { headers: { ...ID, 'ocps-identity': 'a b' } })
    expect(refusals()).toMatchObject([
      { body: { code: 'MALFORMED', result: expect.stringContaining('Ocps-Identity') as string } },
    ])
    await command('pause', { headers: { ...ID, 'ocps-identity': 'a'.repeat(128) } })
    expect(night.acks('m-1')).toMatchObject([{ ack: ACK.COMPLETE }])
  })

  test.each([
    ['a name there is none of', 'nonsense', {}, 'UNKNOWN_COMMAND'],
    ['a body that is not JSON', 'pause', '{', 'MALFORMED'],
    ['bytes that are no text', 'pause', new Uint8Array([0xff, 0xfe]), 'MALFORMED'],
  ])('%s is refused, with one line of the log', async (_, name, body, code) => {
    const { command, refusals, lines, night } = await opened()
    const before = night.entries().length
    await command(name, { body, headers: ID })
    expect(refusals()).toMatchObject([{ caller: { id: 'm-1' }, body: { ack: ACK.FAILED, code } }])
    expect(lines).toHaveLength(1)
    expect(night.entries()).toHaveLength(before)
  })

  test.each([
    ['none', null],
    ['one of ours', 'ocps.LATISS.evt.summaryState'],
    ['the server’s', '$JS.API.STREAM.PURGE.OCPS_LATISS_JOURNAL'],
    ['one with a wildcard', '_INBOX.*'],
    ['one with an end for all', '_INBOX.>'],
    ['one with an empty token', '_INBOX..a'],
    ['one that is too long', `_INBOX.${'a'.repeat(1_024)}`],
  ])('an answer goes nowhere where the reply subject is %s; the command goes in all the same', async (_, reply) => {
    const { command, night } = await opened()
    await command('pause', { reply, headers: ID })
    expect(night.entries().at(-1)).toMatchObject({ what: { type: 'command.pause', caller: { reply: null } } })
  })
})

describe('door: the words of the Python OCPS', () => {
  const body = { pipeline: 'quicklook', data_query: "exposure.obs_id='AT_O_20261122_000017'" }

  test('are taken by the door execute, once', async () => {
    const { command, night } = await opened()
    const before = night.entries().length
    await command('execute', { body, headers: ID })
    expect(night.entries().slice(before)).toMatchObject([
      { from: 'script@summit', what: { type: 'command.processData', askedAs: 'execute', caller: { id: 'm-1' } } },
    ])
  })

  test('are refused once, too, with a sentence in their own fields', async () => {
    const { command, refusals } = await opened()
    await command('execute', { body: { ...body, data_query: 'everything' }, headers: ID })
    await command('abort_job', { body: { jobId: 'j1' }, headers: { ...ID, 'ocps-identity': 'a b' } })
    expect(refusals()).toMatchObject([
      { body: { code: 'MALFORMED', result: expect.stringContaining('execute: data_query: ') as string } },
      { body: { code: 'MALFORMED', result: expect.stringContaining('Ocps-Identity') as string } },
    ])
  })

  test.each([
    [['nats', 'execute'], 'resume, execute, abort_job'],
    [['nats'], 'resume'],
  ])('are unknown where that door is not opened: %o', async (doors, last) => {
    const { command, refusals } = await opened(doors)
    await command('nonsense', { headers: ID })
    expect(refusals()).toMatchObject([{ body: { result: expect.stringMatching(new RegExp(`${last}$`)) as string } }])
    if (doors.includes('execute')) return
    await command('execute', { body, headers: ID })
    expect(refusals().at(-1)).toMatchObject({ body: { code: 'UNKNOWN_COMMAND' } })
  })
})

describe('door: questions', () => {
  test('are answered from what is there', async () => {
    const { ask, sent, command } = await opened()
    await command('processData', { body: { dataId: { obsid: 'E1' }, pipeline: 'quicklook' }, headers: ID })
    await ask('state')
    await ask('jobs')
    expect(sent).toMatchObject([
      { subject: '_INBOX.a.b', body: { instance: 'LATISS', pid: 1, summaryState: 'ENABLED' } },
      { subject: '_INBOX.a.b', body: { open: 1, jobs: [{ dataId: { obsid: 'E1' } }] } },
    ])
  })

  test('about a job that is over are answered with what was said of it last', async () => {
    const { ask, sent, kept } = await opened()
    kept.set('ocps.LATISS.evt.jobResult.j1', { jobId: 'j1', pipeline: 'quicklook', times: { started: null } })
    kept.set('ocps.LATISS.evt.groupResult.G', { group: 'G' })
    await ask('job', { body: { jobId: 'j1' } })
    await ask('group', { body: { group: 'G' } })
    expect(sent.map(({ body }) => body)).toMatchObject([
      { jobId: 'j1', state: 'settled', result: { jobId: 'j1', pipeline: 'quicklook' } },
      { group: 'G', state: 'finished', result: { group: 'G' } },
    ])
  })

  test.each([
    ['a job nobody knows', 'job', { jobId: 'j9' }, 'no job j9 is known here'],
    ['a group nobody knows', 'group', { group: 'G9' }, 'no group G9 is known here'],
    ['a job without id', 'job', {}, 'job: jobId: invalid input'],
    ['an id that is no text', 'group', { group: 7 }, 'group: group: invalid input'],
    ['a body that is not JSON', 'job', '{', 'job: the message is not JSON'],
    ['a question there is none of', 'weather', {}, 'there is no query "weather"'],
    ['an id too long for a subject', 'job', { jobId: 'j'.repeat(5_000) }, 'no job "jjj'],
    ['an empty id', 'job', { jobId: '' }, 'no job "" is known here'],
  ])('about %s are answered with a sentence', async (_, query, body, sentence) => {
    const { ask, sent } = await opened()
    await ask(query, { body })
    expect(sent).toMatchObject([
      { subject: '_INBOX.a.b', body: { error: expect.stringContaining(sentence) as string } },
    ])
  })

  test('that cannot be answered are said to have failed, and the log says why', async () => {
    const { ask, sent, lines, loseStream } = await opened()
    loseStream()
    await ask('job', { body: { jobId: 'j1' } })
    expect(sent).toMatchObject([{ body: { error: 'the query failed inside OCPS; its log says why' } }])
    expect(lines).toEqual(['a query failed: the stream is away'])
  })

  test('that nobody could be answered on are not looked at', async () => {
    const { ask, sent } = await opened()
    await ask('state', { reply: null })
    await ask('state', { reply: 'ocps.LATISS.cmd.standby' })
    expect(sent).toEqual([])
  })
})

test('a door that is closed hears neither commands nor questions', async () => {
  const { door, stopped } = await opened()
  await door.close()
  expect(stopped).toEqual([
    'ocps.LATISS.cmd.>',
    'ocps.LATISS.qry.>',
    'ocps.LATISS.cmd.execute',
    'ocps.LATISS.cmd.abort_job',
  ])
})
