import { describe, expect, test } from 'vitest'
import { judge, judgeRetry, workAgain, type Load } from '../../machines/admission.ts'
import type { CloseGroupCommand, ProcessDataCommand, RetryCommand } from '../../machines/domain/commands.ts'
import type { ShelfItem } from '../../machines/domain/messages.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { isMatch } from '../../machines/domain/versions.ts'
import { aCaller, aConfiguration, aPipeline } from '../harness.ts'

const caller = aCaller('m1')
const command: ProcessDataCommand = {
  type: 'command.processData',
  caller,
  jobId: 'j1',
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
}
const item: ShelfItem = {
  jobId: 'old',
  retryOf: null,
  at: 0,
  dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
  pipeline: 'quicklook',
  overrides: {},
  configFile: null,
  version: 'w_1',
  priority: 0,
  timeLimitMs: 1,
  outcome: 'failed',
}
const again: RetryCommand = {
  type: 'command.retry',
  caller,
  jobId: 'again',
  of: { by: 'jobId', jobId: 'old' },
  pipeline: null,
  overrides: null,
  version: null,
}

function load(quicklook: Partial<Pipeline>, others: readonly Pipeline[] = []): Load {
  const pipelines = [aPipeline('quicklook', quicklook), aPipeline('stack', { scope: 'group' }), ...others]
  const configuration = aConfiguration({ pipelines: Object.fromEntries(pipelines.map(one => [one.name, one])) })
  return { configuration, running: {}, open: 0, inHand: null }
}
const judged = (quicklook: Partial<Pipeline>, changes: Partial<ProcessDataCommand> = {}) =>
  judge(load(quicklook), { command: { ...command, ...changes }, known: {} })

describe('admission: versions', () => {
  test.each([
    ['w_*', 'w_2026_46', true],
    ['w_*', 'd_2026_11_22', false],
    ['*', 'anything', true],
    ['w_2026_4?', 'w_2026_46', true],
    ['w_2026_4?', 'w_2026_4', false],
    ['*_46', 'w_2026_46_46', true],
    ['a.b', 'axb', false],
    ['w_1', 'w_1', true],
    ['', 'w', false],
  ])('the pattern %j and the version %j: %j', (pattern, version, fits) => {
    expect(isMatch(pattern, version)).toBe(fits)
  })

  test('a version the pipeline knows is admitted, another is refused naming those it knows', () => {
    expect(judged({ versions: ['w_*'] }, { version: 'w_1' })).toBeNull()
    expect(judged({ versions: ['w_*', 'v27'] }, { version: 'v28' })).toEqual({
      code: 'UNKNOWN_VERSION',
      reason: 'quicklook does not know version v28; it knows w_*, v27',
    })
  })

  test('a pipeline without versions is never said to have used one', () => {
    expect(judged({ versions: [] })).toBeNull()
    expect(judged({ versions: [] }, { version: 'w_1' })).toMatchObject({
      code: 'UNKNOWN_VERSION',
      reason: expect.stringContaining('leave version out') as unknown,
    })
  })

  test('under a configuration that does not say so any version is admitted, as it was then', () => {
    expect(judged({}, { version: 'w_1' })).toBeNull()
  })

  test('a retry keeps its version, and is refused where its pipeline does not know it any more; another pipeline takes its own', () => {
    const none = load({ versions: [] }, [aPipeline('other', { versions: [] })])
    expect(judgeRetry(load({ versions: ['w_1'] }), { command: again, items: [item] })).toBeNull()
    expect(judgeRetry(none, { command: again, items: [item] })).toMatchObject({ code: 'UNKNOWN_VERSION' })
    expect(judgeRetry(none, { command: { ...again, pipeline: 'other' }, items: [item] })).toBeNull()
    const pipelines = { other: aPipeline('other', { versions: [] }) }
    expect(workAgain({ pipelines }, { ...again, pipeline: 'other' }, item).version).toBe('')
    expect(judgeRetry(none, { command: { ...again, pipeline: 'other', version: 'w_1' }, items: [item] })).toMatchObject(
      {
        code: 'UNKNOWN_VERSION',
      },
    )
  })
})

describe('admission: what the command of a pipeline needs', () => {
  const rule = { type: 'number', default: null, minimum: null, maximum: null } as const
  const numbered = { type: 'number', default: 5, minimum: null, maximum: null } as const
  test.each<[string, Partial<Pipeline>, Partial<ProcessDataCommand>, RegExp]>([
    ['detector', {}, { detectors: [94] }, /needs \{detector\}; name one in dataId/],
    ['configFile', { configFiles: ['a.yaml'] }, { configFile: 'a.yaml' }, /name one of a\.yaml as configFile/],
    ['group', {}, { dataId: { ...command.dataId, group: 'G' } }, /name the group/],
    ['override.snr', { overrides: { snr: rule } }, { overrides: { snr: 3 } }, /overrides: \{"snr": …\}/],
  ])('without a value for {%s} it is refused, with one it is admitted', (name, pipeline, given, sentence) => {
    const needing = { ...pipeline, needs: [name] }
    const refusal = judged(needing)
    expect(refusal).toMatchObject({ code: 'VALUE_MISSING' })
    expect(refusal?.reason).toMatch(sentence)
    expect(judged(needing, given)).toBeNull()
  })

  test('a default is a value; a path that is empty is none, and so is a day nobody can read', () => {
    expect(judged({ needs: ['override.snr'], overrides: { snr: numbered } })).toBeNull()
    expect(judged({ needs: ['input'] })?.reason).toMatch(/dataPath is empty/)
    expect(judged({ needs: ['dayObs', 'seqNum', 'obsid', 'jobId'] })).toBeNull()
    const dark = { dataId: { ...command.dataId, obsid: 'dark' } }
    expect(judged({ needs: ['dayObs'] }, dark)?.reason).toMatch(/ends like _20261122_000017/)
    expect(judged({ needs: ['members'] })?.reason).toMatch(/only a pipeline of scope group/)
  })

  test('what it may fall back on counts as well, with the options that one allows', () => {
    const plainer = aPipeline('plainer', { needs: ['configFile'] })
    const falling = load({ fallback: ['plainer'], configFiles: ['a.yaml'] }, [plainer])
    expect(judge(falling, { command: { ...command, configFile: 'a.yaml' }, known: {} })).toMatchObject({
      code: 'VALUE_MISSING',
      reason: expect.stringMatching(/^quicklook falls back on plainer: /) as unknown,
    })
  })

  test('a group closed with a pipeline that needs more than a group has is refused, in each way to say it', () => {
    const picky = aPipeline('picky', { scope: 'group', needs: ['detector'] })
    const present = { 'gather.G': 'open' } as const
    const close: CloseGroupCommand = {
      type: 'command.closeGroup',
      caller,
      jobId: 'j9',
      group: 'G',
      pipeline: 'picky',
      policy: null,
      patienceMs: null,
    }
    const rules = { expected: 2, deadlineMs: null, policy: null, patienceMs: null, pipeline: 'picky' }
    const member = { ...command, dataId: { ...command.dataId, group: 'G' }, groupRules: rules }
    const combine = { ...command, pipeline: 'picky', dataId: { ...command.dataId, obsid: null, group: 'G' } }
    for (const one of [close, member, combine])
      expect(judge(load({}, [picky]), { command: one, known: present })).toMatchObject({ code: 'VALUE_MISSING' })
  })

  test('a retry is judged with the data and the options it would have', () => {
    expect(judgeRetry(load({ needs: ['detector'] }), { command: again, items: [item] })).toMatchObject({
      code: 'VALUE_MISSING',
    })
  })

  test('under a configuration that does not say so nothing is asked for', () => {
    expect(judged({ command: ['{detector}'] })).toBeNull()
  })
})
