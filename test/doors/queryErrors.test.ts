import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { createAsk } from '../../src/client/queries.ts'
import { createNight } from '../night.ts'
import { openDoorsOf } from './desk.ts'

/*
 * How a query fails: with a code of one list and a sentence that names what was wrong, on the wire and in the client.
 */

async function door(facts: () => Record<string, unknown> = () => ({})) {
  const night = await createNight()
  const network = createMemoryNetwork()
  const bus = network.connect('instance')
  const retained = await bus.retained({ name: 'EVENTS', subjects: ['ocps.LATISS.evt.>'], maxAgeMs: 60_000 })
  const log = pino({ level: 'silent' })
  const opened = await openDoorsOf(night, bus, { retained, say: () => {}, log, facts })
  onTestFinished(() => opened.close())
  const asking = network.connect('script')
  const query = async (name: string, text: string) => {
    const { body: answer } = await asking.request(`ocps.LATISS.qry.${name}`, text, { timeoutMs: 5_000 })
    return JSON.parse(new TextDecoder().decode(answer)) as Record<string, unknown>
  }
  return { query, bus, ask: createAsk(asking, 'LATISS') }
}

test.each([
  ['job', '', 'BAD_REQUEST', 'job: jobId: '],
  ['job', 'no json', 'BAD_REQUEST', 'job: the message is not JSON: '],
  ['job', '[]', 'BAD_REQUEST', 'job: '],
  ['job', '{"jobId":7}', 'BAD_REQUEST', 'job: jobId: '],
  ['job', '{"jobId":"x","verbose":true}', 'BAD_REQUEST', 'job: verbose: unknown field'],
  ['job', '{"jobId":"x","__proto__":{}}', 'BAD_REQUEST', 'job: __proto__: unknown field'],
  ['group', '{"group":"g","jobId":"x"}', 'BAD_REQUEST', 'group: jobId: unknown field'],
  ['state', '{"verbose":true}', 'BAD_REQUEST', 'state: verbose: unknown field'],
  ['jobs', '{"open":true}', 'BAD_REQUEST', 'jobs: open: unknown field'],
  ['shelf', '7', 'BAD_REQUEST', 'shelf: '],
  ['job', '{"jobId":"20261122-999999"}', 'UNKNOWN_JOB', 'no job 20261122-999999 is known here'],
  ['job', '{"jobId":""}', 'UNKNOWN_JOB', 'no job "" is known here'],
  ['job', '{"jobId":"\\u001b[2J"}', 'UNKNOWN_JOB', 'no job "\\u001b[2J" is known here'],
  ['group', '{"group":"night#1"}', 'UNKNOWN_GROUP', 'no group night#1 is known here'],
  [
    'nonsense',
    '',
    'UNKNOWN_QUERY',
    'there is no query "nonsense"; there are state, jobs, job, group, history, exposure, shelf',
  ],
  ['job.x', '{"jobId":"x"}', 'UNKNOWN_QUERY', 'there is no query "job.x"'],
  ['constructor', '', 'UNKNOWN_QUERY', 'there is no query "constructor"'],
])('the query %s %s fails with %s', async (name, body, code, sentence) => {
  const answer = await (await door()).query(name, body)
  expect(answer).toEqual({ code, error: expect.stringContaining(sentence) as unknown })
})

test('a query that breaks inside OCPS says so with a code, and no more', async () => {
  const { query, ask } = await door(() => {
    throw new Error('a secret of the inside')
  })
  expect(await query('state', '')).toEqual({
    code: 'INTERNAL',
    error: 'the query failed inside OCPS; its log says why',
  })
  await expect(ask('state', {})).rejects.toMatchObject({ kind: 'INTERNAL', code: 'INTERNAL' })
})

test('a client switches on the code, whatever the sentence says', async () => {
  const { ask } = await door()
  await expect(ask('job', { jobId: 'x' })).rejects.toMatchObject({ kind: 'UNKNOWN', code: 'UNKNOWN_JOB' })
  await expect(ask('group', { group: 'x' })).rejects.toMatchObject({ kind: 'UNKNOWN', code: 'UNKNOWN_GROUP' })
  await expect(ask('job', { job: 'x' })).rejects.toMatchObject({ kind: 'BAD_REQUEST', code: 'BAD_REQUEST' })
})

test('a settled job of an older OCPS is answered with all the fields there are now', async () => {
  const { query, bus } = await door()
  const old = { jobId: 'j1', version: '', times: { accepted: 1, queued: 1, started: 2, settled: 3 } }
  bus.publish('ocps.LATISS.evt.jobResult.j1', JSON.stringify(old))
  const now = { ...old, askedBy: null, overrides: {}, configFile: null, directory: 'j1' }
  expect(await query('job', '{"jobId":"j1"}')).toEqual({ ...now, state: 'settled', result: now })
})
