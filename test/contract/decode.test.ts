import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeToken, encodeToken, memberIdentity } from '../../machines/domain/dataId.ts'
import { commandSchemas, type Decoded } from '../../src/contract/commands.ts'
import { decodeCommand, type Decoding } from '../../src/contract/decode.ts'
import { camera, lastToken, subjects } from '../../src/contract/subjects.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const decode = (name: string, body: unknown) => decodeCommand(name, bytes(JSON.stringify(body)), 'LATISS')
const raw = (name: string, text: string) => decodeCommand(name, bytes(text), 'LATISS')

const EXPOSURE = { dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'quicklook' }
// The beginning of a command, to go on with what JSON.stringify would not write.
const PREFIX = '{"dataId":{"obsid":"E1"},"pipeline":"quicklook",'
const TEN_THOUSAND = Array.from({ length: 10_000 }, (_, i) => i)
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f]/
const withDataId = (dataId: object) => ({ ...EXPOSURE, dataId })

describe('decode: what is left out is completed', () => {
  test('the shortest command that processes an exposure', () => {
    expect(accepted(decode('processData', EXPOSURE))).toEqual({
      type: 'command.processData',
      dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null },
      detectors: [],
      pipeline: 'quicklook',
      overrides: {},
      configFile: null,
      version: '',
      priority: 0,
      after: [],
      readiness: { policy: 'runNow' },
      timeLimitMs: null,
      groupRules: null,
    })
  })

  test('everything a command that processes an exposure may say, with seconds as milliseconds inside', () => {
    const command = decode('processData', {
      dataId: { instrument: 'LSSTComCam', obsid: 'CC_O_20261122_000017', detector: [3, 1] },
      pipeline: 'quicklook',
      group: { id: 'G#1', expected: 2, deadline: 90, policy: 'skip', patience: 0.5, pipeline: 'stack' },
      overrides: { 'isr:doFlat': true, snr: 5, mode: 'fast' },
      configFile: 'fast.yaml',
      version: 'w_2026_46',
      priority: 9,
      after: ['a', { jobId: 'b', requires: 'settled' }, { jobId: 'c' }],
      readiness: { waitFor: 20 },
      timeLimit: 30,
    })
    expect(accepted(command)).toMatchObject({
      dataId: { instrument: 'LSSTComCam', obsid: 'CC_O_20261122_000017', group: 'G#1' },
      detectors: [3, 1],
      overrides: { 'isr:doFlat': true, snr: 5, mode: 'fast' },
      after: [
        { jobId: 'a', requires: 'success' },
        { jobId: 'b', requires: 'settled' },
        { jobId: 'c', requires: 'success' },
      ],
      readiness: { policy: 'waitFor', waitMs: 20_000 },
      timeLimitMs: 30_000,
      groupRules: { expected: 2, deadlineMs: 90_000, policy: 'skip', patienceMs: 500, pipeline: 'stack' },
    })
  })

  test('one detector is a list of one, and a group may be named by its id alone', () => {
    const command = accepted(decode('processData', { ...withDataId({ obsid: 'E1', detector: 94 }), group: 'G' }))
    expect(command).toMatchObject({ detectors: [94], dataId: { group: 'G' }, groupRules: null })
  })

  test('a group to combine is named in dataId', () => {
    const command = accepted(decode('processData', { dataId: { group: 'G' }, pipeline: 'stack' }))
    expect(command).toMatchObject({ dataId: { obsid: null, group: 'G' }, detectors: [] })
  })

  test.each(['start', 'enable', 'disable', 'standby', 'exitControl', 'pause', 'resume'])(
    '%s may come as an empty message',
    name => {
      expect(accepted(raw(name, ''))).toMatchObject({ type: `command.${name}` })
      expect(accepted(raw(name, ' {} \n'))).toEqual(accepted(raw(name, '')))
    },
  )

  test('the other commands', () => {
    expect(accepted(decode('start', { configurationOverride: 'night.yaml' }))).toEqual({
      type: 'command.start',
      configurationOverride: 'night.yaml',
    })
    expect(accepted(decode('setLogLevel', { level: 10 }))).toEqual({
      type: 'command.setLogLevel',
      level: 10,
      subsystem: '',
    })
    expect(accepted(decode('abortJob', { jobId: '20261122-000004-94' }))).toMatchObject({ jobId: '20261122-000004-94' })
    expect(accepted(decode('closeGroup', { group: 'G', patience: 2 }))).toEqual({
      type: 'command.closeGroup',
      group: 'G',
      pipeline: null,
      policy: null,
      patienceMs: 2_000,
    })
  })
})

describe('decode: what is wrong is refused with the name of the field', () => {
  test.each([
    ['malformed JSON', raw('enable', '{'), 'not JSON'],
    ['half a UTF-8 character', decodeCommand('enable', new Uint8Array([0x7b, 0xc3]), 'LATISS'), 'not JSON'],
    ['a number', decode('enable', 5), 'enable'],
    ['a list', decode('enable', []), 'enable'],
    ['null', decode('enable', null), 'enable'],
    ['text', decode('processData', 'quicklook'), 'processData'],
    ['an unknown field', decode('enable', { now: true }), 'now: unknown field'],
    ['an unknown field deep inside', decode('processData', withDataId({ obsid: 'E1', visit: 1 })), 'dataId.visit'],
    ['an unknown field of a group', decode('processData', { ...EXPOSURE, group: { id: 'G', size: 2 } }), 'group.size'],
    ['__proto__ as a key', raw('enable', '{"__proto__":{"x":1}}'), '__proto__'],
    ['__proto__ in dataId', raw('processData', '{"dataId":{"obsid":"E1","__proto__":{}},"pipeline":"q"}'), '__proto__'],
    ['__proto__ as an override', raw('processData', `${PREFIX}"overrides":{"__proto__":1}}`), '__proto__'],
    ['__proto__ in disguise', raw('processData', `${PREFIX}"overrides":{"\\u005f_proto__":1}}`), '__proto__'],
    ['no dataId', decode('processData', { pipeline: 'quicklook' }), 'dataId'],
    ['no pipeline', decode('processData', { dataId: { obsid: 'E1' } }), 'pipeline'],
    ['neither obsid nor group', decode('processData', withDataId({})), 'dataId: name an obsid'],
    [
      'both obsid and group',
      decode('processData', withDataId({ obsid: 'E1', group: 'G' })),
      'dataId: name an obsid or a group',
    ],
    ['a group and detectors', decode('processData', withDataId({ group: 'G', detector: [1, 2] })), 'dataId.detector'],
    ['members of an exposure', decode('processData', { ...withDataId({ obsid: 'E1' }), members: ['E2'] }), 'members'],
    ['a member twice', decode('processData', { ...withDataId({ group: 'G' }), members: ['E1', 'E1'] }), 'members'],
    ['no members', decode('processData', { ...withDataId({ group: 'G' }), members: [] }), 'members'],
    ['a member that is a path', decode('processData', { ...withDataId({ group: 'G' }), members: ['../x'] }), 'members'],
    [
      'rules of another group',
      decode('processData', { ...withDataId({ group: 'G' }), group: { id: 'H' } }),
      'group.id',
    ],
    ['a group within a group', decode('processData', { ...withDataId({ group: 'G' }), group: 'H' }), 'group'],
    ['a group after jobs', decode('processData', { ...withDataId({ group: 'G' }), after: ['a'] }), 'after'],
    ['a group that waits', decode('processData', { ...withDataId({ group: 'G' }), readiness: 'skip' }), 'readiness'],
    ['no detector in the list', decode('processData', withDataId({ obsid: 'E1', detector: [] })), 'dataId.detector'],
    ['10 000 detectors', decode('processData', withDataId({ obsid: 'E1', detector: TEN_THOUSAND })), 'dataId.detector'],
    ['a detector twice', decode('processData', withDataId({ obsid: 'E1', detector: [1, 1] })), 'dataId.detector'],
    ['half a detector', decode('processData', withDataId({ obsid: 'E1', detector: 0.5 })), 'dataId.detector'],
    ['a negative detector', decode('processData', withDataId({ obsid: 'E1', detector: -1 })), 'dataId.detector'],
    ['a detector in words', decode('processData', withDataId({ obsid: 'E1', detector: ['1'] })), 'dataId.detector.0'],
    ['a priority of 10', decode('processData', { ...EXPOSURE, priority: 10 }), 'priority'],
    ['a priority of 1e999', raw('processData', `${PREFIX}"priority":1e999}`), 'priority'],
    ['a time limit of 0', decode('processData', { ...EXPOSURE, timeLimit: 0 }), 'timeLimit'],
    ['a time limit of two days', decode('processData', { ...EXPOSURE, timeLimit: 172_800 }), 'timeLimit'],
    ['a readiness nobody knows', decode('processData', { ...EXPOSURE, readiness: 'maybe' }), 'readiness'],
    ['a negative wait', decode('processData', { ...EXPOSURE, readiness: { waitFor: -1 } }), 'readiness.waitFor'],
    [
      'a requirement nobody knows',
      decode('processData', { ...EXPOSURE, after: [{ jobId: 'a', requires: 'x' }] }),
      'after.0.requires',
    ],
    ['an override that is a map', decode('processData', { ...EXPOSURE, overrides: { a: {} } }), 'overrides.a'],
    ['65 overrides', decode('processData', { ...EXPOSURE, overrides: many(65) }), 'overrides'],
    ['an override of 5 kB', decode('processData', { ...EXPOSURE, overrides: { a: 'x'.repeat(5_000) } }), 'overrides.a'],
    ['a path as a configuration file', decode('processData', { ...EXPOSURE, configFile: '../x.yaml' }), 'configFile'],
    ['a version with a semicolon', decode('processData', { ...EXPOSURE, version: 'w;rm -rf' }), 'version'],
    [
      'an expected number of 0',
      decode('processData', { ...EXPOSURE, group: { id: 'G', expected: 0 } }),
      'group.expected',
    ],
    ['a policy nobody knows', decode('closeGroup', { group: 'G', policy: 'maybe' }), 'policy'],
    ['a log level in words', decode('setLogLevel', { level: 'DEBUG' }), 'level'],
    ['no log level', decode('setLogLevel', {}), 'level'],
    ['no job id', decode('abortJob', {}), 'jobId'],
    ['a layer as an override', decode('start', { configurationOverride: '_init.yaml' }), 'configurationOverride'],
    ['a path as an override', decode('start', { configurationOverride: '../night.yaml' }), 'configurationOverride'],
    ['an override that is not YAML', decode('start', { configurationOverride: 'night.json' }), 'configurationOverride'],
  ])('%s', (_, decoding, named) => {
    const refusal = refused(decoding)
    expect(refusal.code).toBe('MALFORMED')
    expect(refusal.reason).toContain(named)
  })

  const BAD = [
    'a.b',
    'a*',
    'a>',
    'a b',
    ' a',
    'a\r\nPUB x 0',
    '../etc',
    'a/b',
    'a\0',
    'é',
    '日本',
    '',
    'x'.repeat(5_000),
    '$(x)',
    "a'b",
  ]
  const PLACES: readonly [string, string, (id: string) => object][] = [
    ['obsid', 'processData', id => withDataId({ obsid: id })],
    ['instrument', 'processData', id => withDataId({ obsid: 'E1', instrument: id })],
    ['pipeline', 'processData', id => ({ ...EXPOSURE, pipeline: id })],
    ['after', 'processData', id => ({ ...EXPOSURE, after: [id] })],
    ['jobId', 'abortJob', id => ({ jobId: id })],
  ]
  test.each(PLACES.flatMap(([field, name, body]) => BAD.map(id => [field, name, id, body] as const)))(
    'as %s of %s: %j',
    (field, name, id, body) => {
      const refusal = refused(decode(name, body(id)))
      expect(refusal.code).toBe('MALFORMED')
      expect(refusal.reason).toContain(field)
      expect(refusal.reason.length).toBeLessThan(500)
      expect(refusal.reason).not.toMatch(CONTROL)
    },
  )

  test.each(BAD.filter(id => id !== 'a.b'))('as the id of a group: %j', id => {
    expect(refused(decode('closeGroup', { group: id })).reason).toContain('group')
    expect(refused(decode('processData', { ...EXPOSURE, group: id })).reason).toContain('group')
    expect(refused(decode('processData', { ...EXPOSURE, group: { id } })).reason).toContain('group')
  })

  test('an unknown command is refused, with the names there are', () => {
    const refusal = refused(decode('explode', {}))
    expect(refusal).toMatchObject({ code: 'UNKNOWN_COMMAND' })
    for (const name of Object.keys(commandSchemas)) expect(refusal.reason).toContain(name)
  })

  test.each(['toString', '__proto__', 'constructor', 'hasOwnProperty'])('%s is no command', name => {
    expect(refused(decode(name, {})).code).toBe('UNKNOWN_COMMAND')
  })

  test('of many mistakes the first three are said, and how many more there are', () => {
    const { reason } = refused(decode('enable', { a: 1, b: 2, c: 3, d: 4, e: 5 }))
    expect(reason).toBe('enable: a: unknown field; b: unknown field; c: unknown field; and 2 more')
  })
})

describe('decode: whatever comes', () => {
  const names = fc.oneof(fc.constantFrom(...Object.keys(commandSchemas)), fc.string({ unit: 'binary' }))

  test('random bytes never throw', () => {
    fc.assert(
      fc.property(names, fc.uint8Array({ maxLength: 300 }), (name, body) =>
        isDecoding(decodeCommand(name, body, 'LATISS')),
      ),
      { seed: 1, numRuns: 500 },
    )
  })

  test('random JSON never throws', () => {
    fc.assert(
      fc.property(names, fc.json({ depthSize: 'medium' }), (name, body) => isDecoding(raw(name, body))),
      { seed: 2, numRuns: 500 },
    )
  })

  test('a right command with one field replaced by anything never throws, and what is accepted is complete', () => {
    const fields = [
      'dataId',
      'pipeline',
      'group',
      'overrides',
      'configFile',
      'version',
      'priority',
      'after',
      'readiness',
      'timeLimit',
    ]
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
        const decoding = decode('processData', { ...EXPOSURE, [field]: value })
        isDecoding(decoding)
        if (decoding.ok) expect(Object.values(decoding.command)).not.toContain(undefined)
      }),
      { seed: 3, numRuns: 1_000 },
    )
  })

  test('JSON nested 100 000 deep is refused', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    expect(refused(raw('enable', deep)).code).toBe('MALFORMED')
    expect(refused(raw('processData', `${PREFIX}"group":${deep}}`)).code).toBe('MALFORMED')
  })
})

describe('tokens and subjects', () => {
  test('any text becomes a token legal in a subject and in a file name, and comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const token = encodeToken(text)
        expect(token).toMatch(/^[A-Za-z0-9_=-]*$/)
        expect(decodeToken(token)).toBe(text)
      }),
      { seed: 4, numRuns: 1_000 },
    )
  })

  test.each([
    ['2026-11-22T22:59:05.721#1', '2026-11-22T22=3A59=3A05=2E721=231'],
    ["a'b(c)*!~", 'a=27b=28c=29=2A=21=7E'],
    ['=41', '=3D41'],
    ['é', '=C3=A9'],
    ['a\nb', 'a=0Ab'],
  ])('%j is spelled %s', (text, token) => {
    expect(encodeToken(text)).toBe(token)
    expect(decodeToken(token)).toBe(text)
  })

  test('ids of the ScriptQueue go through a command and a subject unchanged', () => {
    for (const group of [
      '2026-11-22T22:59:05.721',
      '2026-11-22T22:59:05.721#1',
      '2026-11-22T22:59:05.721#1#2',
      'a+b_c-d.e:f',
    ]) {
      expect(accepted(decode('closeGroup', { group }))).toMatchObject({ group })
      const subject = subjects('LATISS').event('groupResult', group)
      expect(subject).toMatch(/^ocps\.LATISS\.evt\.groupResult\.[A-Za-z0-9_=-]+$/)
      expect(decodeToken(lastToken(subject))).toBe(group)
    }
  })

  test('a subject says instance, kind and name', () => {
    const to = subjects('LATISS')
    expect(to.command('processData')).toBe('ocps.LATISS.cmd.processData')
    expect(to.event('summaryState')).toBe('ocps.LATISS.evt.summaryState')
    expect(to.telemetry('metric', '20261122-000004')).toBe('ocps.LATISS.tel.metric.20261122-000004')
    expect(camera.endReadout('LATISS')).toBe('camera.LATISS.evt.endReadout')
  })

  test('a member is an identity: an exposure, or one detector of it', () => {
    expect(memberIdentity({ obsid: 'E1', detector: null })).toBe('E1')
    expect(memberIdentity({ obsid: 'E1', detector: 0 })).toBe('E1/0')
  })
})

function accepted(decoding: Decoding): Decoded {
  if (!decoding.ok) throw new Error(decoding.refusal.reason)
  return decoding.command
}

function refused(decoding: Decoding) {
  if (decoding.ok) throw new Error(`accepted as ${JSON.stringify(decoding.command)}`)
  return decoding.refusal
}

function isDecoding(decoding: Decoding): void {
  if (decoding.ok) expect(decoding.command.type).toMatch(/^command\./)
  else expect(decoding.refusal.reason.length).toBeLessThan(2_000)
}

function many(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))
}
