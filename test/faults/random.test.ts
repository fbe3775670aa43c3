import { eventually } from '../bus/eventually.ts'
import {
  asyncProperty,
  assert,
  constantFrom,
  dictionary,
  json,
  jsonValue,
  oneof,
  record,
  string,
  uint8Array,
} from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commandSchemas } from '../../src/contract/commands.ts'
import { startInstance, type Running } from '../conformance/instance.ts'

/*
 * Anything at all on the command and query subjects: the service answers every message, stays as it was, and its
 * heartbeat goes on. The runs are bounded and seeded; a failure prints the seed.
 */
let running: Running

beforeAll(async () => {
  running = await startInstance()
})
afterAll(() => running.stop())

const RUNS = 250
const SEED = 20261122

// Not those that are meant to change the state when they are well formed.
const harmless = Object.keys(commandSchemas).filter(
  name => !['disable', 'pause', 'start', 'standby', 'exitControl'].includes(name),
)
const commands = oneof(
  constantFrom(...harmless),
  string({ minLength: 1, maxLength: 20, unit: constantFrom(...'abcXYZ_-$#09'.split('')) }),
)
const obsid = oneof(string(), constantFrom('AT_O_20261122_000001', '../x', '*'))
const processData = record(
  {
    dataId: oneof(record({ obsid, detector: jsonValue() }, { requiredKeys: [] }), jsonValue()),
    pipeline: oneof(constantFrom('true', 'words', 'stack', '__proto__'), jsonValue()),
    overrides: oneof(dictionary(string(), jsonValue()), jsonValue()),
    priority: jsonValue(),
    after: jsonValue(),
    readiness: jsonValue(),
    group: oneof(string(), jsonValue()),
  },
  { requiredKeys: [] },
)
const bodies = oneof(uint8Array({ maxLength: 2_000 }), json(), processData)

describe('random messages', () => {
  it('every message on a command subject is answered with an acknowledgement, whatever its bytes', async () => {
    const { wire } = running
    await assert(
      asyncProperty(commands, bodies, async (name, body) => {
        const ack = await wire.command(name, body)
        expect([303, -302]).toContain(ack.ack)
        expect(ack.result).toMatch(ack.ack === 303 ? /./ : /^Failed: ./)
        expect(ack.result.length).toBeLessThan(3_000)
      }),
      { numRuns: RUNS, seed: SEED },
    )
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED' })
  })

  it('every question is answered, whatever it asks', async () => {
    const { wire } = running
    const queries = oneof(
      constantFrom('state', 'jobs', 'job', 'group'),
      string({ minLength: 1, maxLength: 20, unit: constantFrom(...'abc_-$#'.split('')) }),
    )
    await assert(
      asyncProperty(
        queries,
        oneof(json(), record({ jobId: string(), group: string({ unit: 'binary' }) })),
        async (name, body) => {
          const answer = await wire.query(name, typeof body === 'string' ? body : JSON.stringify(body))
          expect(typeof answer).toBe('object')
          expect(answer['error'] ?? '').not.toContain('failed inside')
        },
      ),
      { numRuns: RUNS, seed: SEED },
    )
  })

  it('random bytes as ingest events of the OODS and as replies do nothing', async () => {
    const { wire } = running
    await assert(
      asyncProperty(
        oneof(uint8Array({ maxLength: 500 }), json()),
        constantFrom('ATOODS', 'x', '__proto__'),
        async (body, name) => {
          wire.connection.publish(`oods.${name}.evt.imageInOODS`, body)
        },
      ),
      { numRuns: RUNS, seed: SEED },
    )
    await wire.quiet()
    expect(await wire.query('state')).toMatchObject({ summaryState: 'ENABLED', errorCode: 0 })
  })

  it('after all that the heart still beats, nothing was said twice, and a good job succeeds', async () => {
    const { wire } = running
    const { jobIds } = await wire.command('processData', { dataId: { obsid: 'GOOD' }, pipeline: 'true' })
    expect(await wire.result(jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
    const beats = wire.events('heartbeat').length
    await eventually('the heart beats again', () => wire.events('heartbeat').length > beats)
    expect(wire.events('summaryState')).toEqual([])
    const results = wire.events('jobResult').map(body => body['jobId'])
    expect(new Set(results).size).toBe(results.length)
  })
})
