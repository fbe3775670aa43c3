import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobContext } from '../../machines/jobContext.ts'
import { catalogue, jsonSchemaOf } from '../../src/contract/catalogue.ts'
import { groupOf, jobOf, jobsOf, shelfOf, stateOf } from '../../src/engine/queries.ts'
import { createWorld, type World } from '../../src/engine/world.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { readRecording } from '../../src/journal/recording.ts'
import { startInstance, type Running } from '../conformance/instance.ts'
import { surveyNight } from '../scenarios/nights.ts'
import { simulate } from '../scenarios/simulate.ts'
import { listening, misfit, problemOf } from './wire.ts'

/*
 * Every message is as its schema says: those of whole nights, recorded and simulated, carried by the feed; and on the
 * wire of a real instance.
 */
const folder = new URL('../scenarios/', import.meta.url).pathname
const recordings = readdirSync(folder).filter(name => name.endsWith('.ndjson.gz'))

describe('a night', () => {
  test.each(recordings)('%s: everything said in it is as its schema says', async name => {
    const { messages, problems } = await told(readRecording(folder + name))
    expect(problems).toEqual([])
    expect(messages).toBeGreaterThan(20)
  })

  test('ten exposures of 94 detectors: everything said in it is as its schema says', async () => {
    const { messages, problems } = await told(await simulate(surveyNight(10, 94)))
    expect(problems).toEqual([])
    expect(messages).toBeGreaterThan(5_000)
  })

  test.each(recordings)('%s: whatever is asked on the way, the answer is as its schema says', async name => {
    const problems = new Set<string>()
    const world = createWorld({ instance: 'LATISS' })
    for await (const entry of readRecording(folder + name)) {
      world.apply(entry)
      for (const problem of asked(world)) problems.add(problem)
    }
    expect([...problems]).toEqual([])
  })
})

describe('a real instance', () => {
  let running: Running
  beforeAll(async () => {
    running = await startInstance()
  })
  afterAll(() => running.stop())

  test('acknowledgements, events, heartbeats, log messages, telemetry and answers are as their schemas say', async () => {
    const { wire } = running
    const ack = await wire.command('processData', {
      dataId: { obsid: 'AT_O_20261122_000001' },
      pipeline: 'poor',
      group: 'G#1',
    })
    const [jobId] = ack.jobIds
    await wire.result(jobId)
    await wire.command('closeGroup', { group: 'G#1', pipeline: 'stack' })
    await wire.event('groupResult', body => body['group'] === 'G#1')
    await wire.command('processData', { dataId: { obsid: 'AT_O_20261122_000002' }, pipeline: 'nowhere' })
    await wire.command('setLogLevel', { level: 10 })
    await wire.command('nonsense')
    await wire.event('heartbeat', () => true)
    await wire.event('logMessage', () => true)
    await wire.quiet()
    expect(wire.heard.flatMap(problemOf)).toEqual([])
    for (const [key, body] of await wire.retained())
      expect(problemOf({ subject: `ocps.LATISS.evt.${key}`, body }), key).toEqual([])
    const questions = [
      ['state', {}],
      ['jobs', {}],
      ['shelf', {}],
      ['job', { jobId }],
      ['job', { jobId: 'nobody' }],
      ['job', {}],
      ['state', { verbose: true }],
      ['group', { group: 'G#1' }],
      ['group', { group: 'nobody' }],
    ] as const
    for (const [name, body] of questions)
      expect(misfit(`qry.${name}.answer`, await wire.query(name, body)), `${name} ${JSON.stringify(body)}`).toEqual([])
  })

  test('execute is answered INPROGRESS, then COMPLETE; job_id and job_result are kept for who comes late', async () => {
    const { wire } = running
    const data_query = 'exposure = 2026112200003 AND detector IN (0)'
    const asked = wire.send('execute', { pipeline: 'true.yaml', version: '', config: '', data_query })
    expect(await asked.final).toMatchObject({ ack: 303 })
    expect(asked.acks).toMatchObject([{ ack: 301 }, { ack: 303 }])
    const { job_id } = JSON.parse(asked.acks[0]?.result ?? '') as { job_id: string }
    await wire.quiet()
    const kept = await wire.retained()
    expect(kept.get(`job_id.${job_id}`)).toMatchObject({ event_name: 'cmd_execute', job_id })
    expect(kept.get(`job_result.${job_id}`)).toMatchObject({ job_id, exit_code: 0 })
    expect(kept.get(`jobResult.${job_id}`)).toMatchObject({ dataId: { obsid: 'AT_O_20261122_000003', detector: 0 } })
    expect(wire.heard.flatMap(problemOf)).toEqual([])
  })
})

test('a message that is not as it is described is found out, and the field named', () => {
  const body = { at: 1, summaryState: 2 }
  const subject = 'ocps.LATISS.evt.summaryState'
  expect(problemOf({ subject, body })).toEqual([])
  expect(problemOf({ subject, body: { ...body, more: 1 } })).toEqual(['summaryState: more: unknown field'])
  expect(problemOf({ subject, body: { at: 1 } })[0]).toContain('summaryState: summaryState')
  expect(problemOf({ subject: `${subject}.K`, body })[0]).toContain('belongs to 0 channels')
})

describe('the JSON Schemas', () => {
  test.each(catalogue)(
    '$name can be written down, refuses or bears new fields, and refers to nothing outside itself',
    one => {
      const text = JSON.stringify(jsonSchemaOf(one))
      const isHeard = ['file', 'command', 'question'].includes(one.kind)
      expect(text.includes('"additionalProperties":false')).toBe(isHeard)
      for (const [, ref = ''] of text.matchAll(/"\$ref":"([^"]+)"/g)) expect(ref).toMatch(/^#\/\$defs\//)
    },
  )
})

/** Folds a night and has it carried by the feed. */
async function told(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
): Promise<{ messages: number; problems: string[] }> {
  const wire = await listening()
  const world = createWorld({ instance: 'LATISS' })
  for await (const entry of entries)
    for (const effect of world.apply(entry)) if (effect.do === 'announce') wire.say(effect)
  const heard = await wire.heard()
  return { messages: heard.length, problems: [...new Set(heard.flatMap(problemOf))] }
}

/** Every question that has an answer now. */
function asked(world: World): string[] {
  const facts = {
    natsUrl: '',
    serverVersion: '',
    promise: '',
    survives: 'power',
    workDir: '',
    versions: {},
    pid: 1,
    host: '',
  }
  return [
    ...misfit('qry.state.answer', { instance: 'LATISS', ...facts, ...stateOf(world) }),
    ...misfit('qry.jobs.answer', jobsOf(world)),
    ...misfit('qry.shelf.answer', shelfOf(world)),
    ...[...world.actors('job')].flatMap(({ snapshot }) => {
      const { jobId } = snapshot.context as JobContext
      return misfit('qry.job.answer', jobOf(world, jobId))
    }),
    ...[...world.actors('gather')].flatMap(({ snapshot }) => {
      const { group } = snapshot.context as { group: string }
      return misfit('qry.group.answer', groupOf(world, group))
    }),
  ]
}
