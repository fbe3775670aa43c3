import { describe, expect, test } from 'vitest'
import { catalogue } from '../../src/contract/catalogue.ts'
import { camera, oods, subjects } from '../../src/contract/subjects.ts'
import { channelsOf, document } from './wire.ts'

/*
 * The AsyncAPI document: whole in itself, and about every subject there is. The official parser found nothing to mend
 * in it; it is too large to be kept here.
 */
type Node = Readonly<Record<string, unknown>>

const channels = Object.entries(document.channels)
const operations = Object.entries(document.operations)
const has = (name: string) => Object.hasOwn(document.channels, name)

describe('the AsyncAPI document', () => {
  test('says what it is', () => {
    expect(document.asyncapi).toBe('3.0.0')
    expect(document.info).toMatchObject({ title: expect.stringContaining('OCPS') as unknown, version: '0.0.0' })
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })

  test('every reference leads somewhere within it', () => {
    const refs = [...refsIn(document)]
    expect(refs.length).toBeGreaterThan(100)
    expect(refs.filter(ref => at(ref) === undefined)).toEqual([])
  })

  test('every channel explains exactly the variable tokens of its subject, and has messages', () => {
    for (const [name, { address, parameters = {}, messages }] of channels) {
      const variables = [...(address ?? '').matchAll(/\{(\w+)\}/g)].map(([, variable]) => variable)
      expect(Object.keys(parameters), name).toEqual(variables)
      for (const { description } of Object.values(parameters)) expect(description, name).toMatch(/\s/)
      expect(Object.keys(messages).length, name).toBeGreaterThan(0)
    }
  })

  test('every subject OCPS uses is in it, once', () => {
    const to = subjects('LATISS')
    const used = [
      to.command('processData'),
      to.command('execute'),
      to.query('group'),
      to.event('summaryState'),
      to.event('heartbeat'),
      to.event('jobResult', '20261122-000017-94'),
      to.event('job_result', '20261122-000017'),
      to.event('groupState', '2026-11-22T22:59:05.721#1'),
      to.event('displayRequest', 'view'),
      to.telemetry('metric', '20261122-000017'),
      to.journal,
      camera.startIntegration('LATISS'),
      camera.endReadout('LATISS'),
      oods.imageInOODS('LATISS'),
    ]
    for (const subject of used) expect(channelsOf(subject), subject).toHaveLength(1)
    // One for each function that spells a subject: a new one has to be added above, and to the document.
    expect(Object.keys(to).sort()).toEqual(
      [
        'commands',
        'command',
        'queries',
        'query',
        'events',
        'event',
        'telemetry',
        'telemetryOf',
        'allTelemetry',
        'journal',
      ].sort(),
    )
    expect([Object.keys(camera), Object.keys(oods)]).toEqual([
      ['startIntegration', 'endReadout'],
      ['imageInOODS', 'anyImage'],
    ])
  })

  test('what a wildcard of OCPS hears is described: commands, questions, events, telemetry', () => {
    const under = (root: string) =>
      channels.filter(([, { address }]) => address?.startsWith(root)).map(([name]) => name)
    const named = (...kinds: string[]) => catalogue.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name)
    expect(under('ocps.{instance}.cmd.')).toEqual(named('command'))
    expect(under('ocps.{instance}.evt.')).toEqual(named('event'))
    expect(under('ocps.{instance}.tel.')).toEqual(named('telemetry'))
    expect(under('ocps.{instance}.qry.')).toEqual(named('question'))
  })

  test('every command and question is received and answered, every event and telemetry is sent', () => {
    for (const [name, { action, channel, messages, reply }] of operations) {
      const kind = catalogue.find(one => one.name === name)?.kind
      const isAnswered = kind === 'command' || kind === 'question'
      expect(action, name).toBe(isAnswered || kind === 'heard' ? 'receive' : 'send')
      expect(channel.$ref).toBe(`#/channels/${name}`)
      for (const { $ref } of messages) expect($ref).toMatch(new RegExp(`^${channel.$ref}/messages/`))
      expect(reply !== undefined, name).toBe(isAnswered)
      if (reply) expect(at(reply.channel.$ref)).toMatchObject({ address: null })
      if (kind === 'command') expect(reply?.messages[0]?.$ref).toBe('#/channels/inbox/messages/ack')
      if (kind === 'question') expect(reply?.messages[0]?.$ref).toBe(`#/channels/inbox/messages/${name}.answer`)
    }
    const spoken = catalogue.filter(({ kind }) => ['command', 'question', 'event', 'telemetry'].includes(kind))
    for (const { name } of spoken)
      expect([has(name), Object.hasOwn(document.operations, name)], name).toEqual([true, true])
  })

  test('identity and message id of a command travel in headers', () => {
    const { headers } = document.components.messages['processData'] as { headers: { $ref: string } }
    expect(Object.keys((at(headers.$ref) as { properties: Node }).properties)).toEqual(['Nats-Msg-Id', 'Ocps-Identity'])
  })

  test('what a listener hears may hold new fields, what a sender says may not', () => {
    const { jobResult, processData } = document.components.schemas
    expect(JSON.stringify(jobResult)).not.toContain('"additionalProperties":false')
    expect(processData).toMatchObject({ type: 'object', additionalProperties: false })
  })
})

function* refsIn(node: unknown): Iterable<string> {
  if (typeof node !== 'object' || node === null) return
  for (const [key, value] of Object.entries(node))
    if (key === '$ref' && typeof value === 'string') yield value
    else yield* refsIn(value)
}

function at(ref: string): unknown {
  return ref
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>(
      (node, key) => (typeof node === 'object' && node !== null ? (node as Node)[key] : undefined),
      document,
    )
}
