import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { headers as newHeaders } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connectNats } from '../../src/bus/nats.ts'
import { eventually, rejection } from '../bus/eventually.ts'
import { startInstance, type Running } from '../conformance/instance.ts'
import { must } from '../conformance/wire.ts'

/*
 * What a client may do wrong or mean ill, over the wire: each is refused with a code and a sentence, or leads nowhere;
 * and after each a good job still succeeds.
 */
let running: Running
let exposure = 0

beforeAll(async () => {
  running = await startInstance()
})
afterAll(() => running.stop())
afterEach(goodJob)

const obsid = 'AT_O_20261122_000001'
const good = { dataId: { obsid }, pipeline: 'true' }

async function goodJob(): Promise<void> {
  const ack = await running.wire.command('processData', { ...good, dataId: { obsid: `GOOD_${++exposure}` } })
  expect(ack).toMatchObject({ ack: 303 })
  expect(await running.wire.result(ack.jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
}

const withObsid = (id: string) => ({ ...good, dataId: { obsid: id } })
const bytes = (...values: number[]) => new Uint8Array(values)

describe('a command that is wrong is refused with its code and says what is wrong', () => {
  const cases: readonly (readonly [string, string | object | Uint8Array, string, RegExp])[] = [
    ['text that is no JSON', 'process it now', 'MALFORMED', /not JSON/],
    ['JSON that ends too early', '{"dataId":{"obsid":"A"', 'MALFORMED', /not JSON/],
    ['bytes that are no UTF-8', bytes(0x7b, 0xff, 0xfe, 0x7d), 'MALFORMED', /not JSON/],
    ['a NUL byte', bytes(0), 'MALFORMED', /not JSON/],
    ['JSON nested 10 000 deep', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'MALFORMED', /processData: /],
    ['a list instead of an object', '[]', 'MALFORMED', /expected object/],
    ['null', 'null', 'MALFORMED', /expected object/],
    ['a number', '5', 'MALFORMED', /expected object/],
    ['nothing at all', '', 'MALFORMED', /dataId/],
    ['an unknown field', { ...good, priorty: 3 }, 'MALFORMED', /priorty: unknown field/],
    ['an unknown field inside', { ...good, dataId: { obsid, visit: 3 } }, 'MALFORMED', /dataId\.visit: unknown field/],
    [
      'a field __proto__',
      `{"dataId":{"obsid":"${obsid}"},"pipeline":"true","__proto__":{"priority":9}}`,
      'MALFORMED',
      /__proto__/,
    ],
    ['a field constructor', { ...good, constructor: 'x' }, 'MALFORMED', /constructor: unknown field/],
    ['a pipeline that is a number', { ...good, pipeline: 7 }, 'MALFORMED', /pipeline: .*string/],
    ['no pipeline', { dataId: { obsid } }, 'MALFORMED', /pipeline/],
    ['a dataId that is a text', { ...good, dataId: obsid }, 'MALFORMED', /dataId: .*object/],
    ['a detector that is a text', { ...good, dataId: { obsid, detector: '94' } }, 'MALFORMED', /dataId\.detector/],
    [
      'a detector that is no whole number',
      { ...good, dataId: { obsid, detector: 9.4 } },
      'MALFORMED',
      /dataId\.detector/,
    ],
    ['a negative detector', { ...good, dataId: { obsid, detector: -1 } }, 'MALFORMED', /dataId\.detector/],
    [
      'a detector of 1e999',
      `{"dataId":{"obsid":"${obsid}","detector":1e999},"pipeline":"true"}`,
      'MALFORMED',
      /dataId\.detector/,
    ],
    ['a detector named twice', { ...good, dataId: { obsid, detector: [3, 3] } }, 'MALFORMED', /named twice/],
    ['an empty list of detectors', { ...good, dataId: { obsid, detector: [] } }, 'MALFORMED', /at least one/],
    [
      '10 000 detectors',
      { ...good, dataId: { obsid, detector: Array.from({ length: 10_000 }, (_, index) => index) } },
      'MALFORMED',
      /detector.*1000/,
    ],
    ['an obsid and a group to combine', { ...good, dataId: { obsid, group: 'G' } }, 'MALFORMED', /not both/],
    ['neither an obsid nor a group', { ...good, dataId: {} }, 'MALFORMED', /name an obsid/],
    [
      'detectors of a group',
      { dataId: { group: 'G', detector: [3, 4] }, pipeline: 'stack' },
      'MALFORMED',
      /one command for each/,
    ],
    ['members of an exposure', { ...good, members: [obsid] }, 'MALFORMED', /name it in dataId/],
    ['a priority of 99', { ...good, priority: 99 }, 'MALFORMED', /priority/],
    ['a time limit of 0', { ...good, timeLimit: 0 }, 'MALFORMED', /timeLimit/],
    [
      'a time limit that is NaN in the sender',
      `{"dataId":{"obsid":"${obsid}"},"pipeline":"true","timeLimit":NaN}`,
      'MALFORMED',
      /not JSON/,
    ],
    [
      'a time limit longer than the pipeline allows',
      { ...good, timeLimit: 3_600 },
      'OVERRIDE_NOT_ALLOWED',
      /at most 60 s/,
    ],
    [
      'an override the pipeline does not have',
      { ...good, overrides: { threshold: 3 } },
      'OVERRIDE_NOT_ALLOWED',
      /threshold=3.*no overrides/,
    ],
    [
      'an override of another type',
      { ...good, pipeline: 'words', overrides: { word: 3 } },
      'OVERRIDE_NOT_ALLOWED',
      /a string is expected/,
    ],
    [
      'an override that is an object',
      { ...good, pipeline: 'words', overrides: { word: {} } },
      'MALFORMED',
      /overrides\.word/,
    ],
    [
      'an override called __proto__',
      `{"dataId":{"obsid":"${obsid}"},"pipeline":"words","overrides":{"__proto__":"x"}}`,
      'MALFORMED',
      /__proto__/,
    ],
    [
      'an override called constructor',
      { ...good, pipeline: 'words', overrides: { constructor: 'x' } },
      'OVERRIDE_NOT_ALLOWED',
      /constructor/,
    ],
    [
      'an override of 5 kB',
      { ...good, pipeline: 'words', overrides: { word: 'x'.repeat(5_000) } },
      'MALFORMED',
      /overrides\.word/,
    ],
    [
      'a configuration file that is a path',
      { ...good, configFile: '../../etc/passwd' },
      'MALFORMED',
      /configFile: expected a plain file name/,
    ],
    [
      'a configuration file the pipeline does not allow',
      { ...good, configFile: 'deep.yaml' },
      'OVERRIDE_NOT_ALLOWED',
      /deep\.yaml/,
    ],
    ['a version with a space', { ...good, version: 'w 2025' }, 'MALFORMED', /version/],
    ['a pipeline that does not exist', { ...good, pipeline: 'nowhere' }, 'UNKNOWN_PIPELINE', /no pipeline nowhere/],
    [
      'a pipeline called constructor',
      { ...good, pipeline: 'constructor' },
      'UNKNOWN_PIPELINE',
      /no pipeline constructor/,
    ],
    ['a pipeline for groups over an exposure', { ...good, pipeline: 'stack' }, 'WRONG_SCOPE', /combines a group/],
    [
      'a pipeline for exposures over a group',
      { dataId: { group: 'G' }, pipeline: 'true' },
      'WRONG_SCOPE',
      /single exposures/,
    ],
    ['a group nobody knows', { dataId: { group: 'G' }, pipeline: 'stack' }, 'UNKNOWN_GROUP', /group G.*in members/],
    ['a group id with a space', { ...good, group: 'a group' }, 'MALFORMED', /group/],
    ['a group id of 65 characters', { ...good, group: 'G'.repeat(65) }, 'MALFORMED', /group/],
    ['after a job nobody knows', { ...good, after: ['20010101-000001'] }, 'UNKNOWN_JOB', /20010101-000001/],
  ]
  it.each(cases)('%s', async (_, body, code, sentence) => {
    const { wire } = running
    await wire.quiet()
    const before = wire.events('jobState').length
    const ack = await wire.command('processData', body)
    expect(ack).toMatchObject({ ack: -302, error: 1, code, jobIds: [], timeout: 0 })
    expect(ack.result).toMatch(/^Failed: /)
    expect(ack.result).toMatch(sentence)
    expect(ack.result.length).toBeLessThan(2_000)
    await wire.quiet()
    expect(wire.events('jobState')).toHaveLength(before)
  })

  const ids = [
    'a.b',
    '*',
    'a*',
    '>',
    'a b',
    'a\r\nb',
    '../secrets',
    'a/b',
    'a\0b',
    '',
    ' ',
    '.',
    '..',
    '-rf',
    'd\u00e9tecteur',
    '\u202Eabc',
    'x'.repeat(5_000),
    '$(id)',
    '{jobId}',
  ]
  it.each(ids)('an obsid %j is refused, whatever it could mean in a path, a subject or a command line', async id => {
    expect(await running.wire.command('processData', withObsid(id))).toMatchObject({
      ack: -302,
      code: 'MALFORMED',
      result: expect.stringContaining('obsid') as unknown,
    })
    expect(await running.wire.command('abortJob', { jobId: id })).toMatchObject({
      ack: -302,
      code: 'MALFORMED',
      result: expect.stringContaining('jobId') as unknown,
    })
  })

  it('questions about such ids are answered with a sentence, not with silence', async () => {
    for (const id of ids) {
      expect(await running.wire.query('job', { jobId: id })).toMatchObject({
        code: 'UNKNOWN_JOB',
        error: expect.stringContaining('no job') as unknown,
      })
      expect(await running.wire.query('group', { group: id })).toMatchObject({
        code: 'UNKNOWN_GROUP',
        error: expect.stringContaining('no group') as unknown,
      })
    }
    for (const text of ['', 'no json', '[]', '7', 'null', '{"jobId":7}'])
      expect(await running.wire.query('job', text)).toMatchObject({
        code: 'BAD_REQUEST',
        error: expect.stringMatching(/^job: /) as unknown,
      })
    expect(await running.wire.query('everything')).toMatchObject({
      code: 'UNKNOWN_QUERY',
      error: expect.stringContaining('there is no query') as unknown,
    })
  })
})

describe('the envelope of a command', () => {
  it('the same message twice is executed once and answered alike, also when both come at once', async () => {
    const { wire } = running
    const body = withObsid('TWICE_1')
    const first = await wire.command('processData', body, { id: 'twice-1' })
    expect(await wire.command('processData', body, { id: 'twice-1' })).toEqual(first)
    const together = withObsid('TWICE_2')
    const asked = Array.from({ length: 20 }, () => wire.send('processData', together, { id: 'twice-2' }))
    const acks = await Promise.all(asked.map(({ final }) => final))
    expect(new Set(acks.map(ack => JSON.stringify(ack))).size).toBe(1)
    await wire.result(acks[0]?.jobIds[0])
    await wire.quiet()
    for (const id of ['TWICE_1', 'TWICE_2']) {
      const jobs = wire.events('jobResult').filter(result => (result['dataId'] as { obsid: string }).obsid === id)
      expect(jobs).toHaveLength(1)
    }
    expect(asked.every(({ acks: heard }) => heard.length === 1)).toBe(true)
  })

  it('a message id used again for another command is refused', async () => {
    await running.wire.command('processData', withObsid('REUSED_1'), { id: 'reused' })
    expect(await running.wire.command('processData', withObsid('REUSED_2'), { id: 'reused' })).toMatchObject({
      ack: -302,
      code: 'ID_REUSED',
    })
    expect(await running.wire.command('resume', {}, { id: 'reused' })).toMatchObject({ ack: -302, code: 'ID_REUSED' })
  })

  it.each([
    ['a message id with spaces', { id: 'one two' }, /Nats-Msg-Id/],
    ['a message id of 10 kB', { id: 'x'.repeat(10_000) }, /Nats-Msg-Id/],
    ['an empty message id', { id: '' }, /Nats-Msg-Id/],
    ['an identity of 10 kB', { identity: 'x'.repeat(10_000) }, /Ocps-Identity/],
    ['an identity with a space', { identity: 'the observer' }, /Ocps-Identity/],
    ['an identity that is not ASCII', { identity: 'J\u00f6rg' }, /Ocps-Identity/],
  ])('%s is refused and not written down', async (_, how, sentence) => {
    const ack = await running.wire.command('processData', good, how)
    expect(ack).toMatchObject({ ack: -302, code: 'MALFORMED' })
    expect(ack.result).toMatch(sentence)
    expect(ack.result.length).toBeLessThan(300)
  })

  it('without any header a command is executed, as from `nats req`', async () => {
    const answer = await running.wire.connection.request('ocps.LATISS.cmd.processData', JSON.stringify(good), {
      timeout: 5_000,
    })
    expect(answer.json()).toMatchObject({ ack: 303 })
    expect(answer.headers?.get('Ocps-Identity')).toBe('LATISS')
  })

  it('more than the server takes fails at the client with a sentence; just below is answered, and the service goes on', async () => {
    const { wire, service } = running
    const bus = await connectNats({ url: service.natsUrl, name: 'test' })
    const tooLarge = await rejection(
      bus.request('ocps.LATISS.cmd.processData', ' '.repeat(2 ** 20 + 1), { timeoutMs: 5_000 }),
    )
    expect(tooLarge).toMatchObject({ code: 'TOO_LARGE' })
    await bus.close()
    const padding = ' '.repeat(2 ** 20 - 1_000)
    expect(await wire.command('processData', JSON.stringify(good) + padding)).toMatchObject({ ack: 303 })
    expect(
      await wire.command('processData', { ...good, overrides: { word: 'x'.repeat(2 ** 20 - 1_000) } }),
    ).toMatchObject({ ack: -302, code: 'MALFORMED' })
    expect(await wire.command('processData', { ...good, ['k'.repeat(2 ** 20 - 1_000)]: 1 })).toMatchObject({
      ack: -302,
      code: 'MALFORMED',
    })
  })

  it('as many as a megabyte of prerequisites and overrides is refused or accepted, but answered', async () => {
    const after = Array.from({ length: 1_000 }, (_, index) => `${'j'.repeat(100)}-${index}`)
    expect(await running.wire.command('processData', { ...good, after })).toMatchObject({
      ack: -302,
      code: 'UNKNOWN_JOB',
    })
    const overrides = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`o${index}`, 'x'.repeat(1_000)]))
    expect(await running.wire.command('processData', { ...good, overrides })).toMatchObject({
      ack: -302,
      code: 'MALFORMED',
    })
  })
})

describe('an answer to where it must not go', () => {
  const replies = [
    'ocps.LATISS.cmd.exitControl',
    'ocps.LATISS.cmd.disable',
    'ocps.LATISS.evt.summaryState',
    'ocps.LATISS.journal',
    'camera.MTCamera.evt.endReadout',
    'oods.ATOODS.evt.imageInOODS',
    '$JS.API.STREAM.DELETE.OCPS_LATISS_JOURNAL',
    'nobody.*',
    'nobody.>',
    'a..b',
    `long.${'x'.repeat(2_000)}`,
  ]
  it.each(replies)('the reply subject %s does no harm', async reply => {
    const { wire } = running
    await wire.quiet()
    const before = { states: wire.events('summaryState').length, heard: summaryStates() }
    const { id } = wire.send('processData', withObsid('REPLY_1'), { reply })
    wire.send('nonsense', {}, { reply })
    wire.connection.publish('ocps.LATISS.qry.state', '{}', { reply })
    wire.connection.publish('ocps.LATISS.qry.nonsense', '{}', { reply })
    await wire.event('jobResult', body => body['commandId'] === id)
    await wire.quiet()
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED' })
    expect(summaryStates()).toEqual(before.heard)
    expect(wire.events('summaryState')).toHaveLength(before.states)
  })

  function summaryStates(): string[] {
    return running.wire.heard.filter(({ subject }) => subject.includes('.evt.summaryState')).map(({ text }) => text)
  }

  it('a header with CR and LF, written past any client, reaches no protocol line', async () => {
    const { hostname, port, username: token } = new URL(running.service.natsUrl)
    const socket = connectSocket(Number(port), hostname)
    await once(socket, 'connect')
    const head = 'NATS/1.0\r\nNats-Msg-Id: a\rPUB ocps.LATISS.cmd.exitControl 2\r\nOcps-Identity: x\ty\r\n\r\n'
    const body = JSON.stringify(good)
    socket.write(`CONNECT ${JSON.stringify({ verbose: false, headers: true, auth_token: token })}\r\n`)
    socket.write(
      `HPUB ocps.LATISS.cmd.processData ${head.length} ${head.length + body.length}\r\n${head}${body}\r\nPING\r\n`,
    )
    let heard = ''
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    await eventually('the server has taken it', () => heard.includes('PONG'))
    socket.destroy()
    await running.wire.quiet()
    expect(await running.wire.query('state')).toMatchObject({ summaryState: 'ENABLED' })
  })

  it('a hundred names and values in one header are as good as the first', async () => {
    const headers = newHeaders()
    for (let index = 0; index < 100; index += 1) headers.append('Nats-Msg-Id', `many-${index}`)
    const answer = await running.wire.connection.request('ocps.LATISS.cmd.resume', '{}', { timeout: 5_000, headers })
    expect(must(answer.json<{ ack: number }>().ack)).toBe(303)
  })
})
