import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import { aConfiguration, loaded, STARTED } from '../harness.ts'
import { IN, STATES, configuration, plain, reload, standby, start, topics } from './cscGiven.ts'

describe('csc: a pool that cannot be reached', () => {
  const unreachable = (pool: string) => ({ type: 'executor.unreachable', pool, reason: 'no launcher lives' }) as const
  const report = 'pipelines cannot be started: no launcher lives'

  test.each(['STANDBY', 'DISABLED', 'ENABLED'] as const)('in %s: the default pool brings FAULT with code 1', state => {
    const now = IN[state].when(unreachable('default'))
    expect(now.state).toBe('fault')
    expect(topics(now.emissions)).toEqual(['errorCode', 'summaryState'])
    expect(now.emissions).toContainEqual({
      type: 'event',
      topic: 'errorCode',
      key: null,
      body: { errorCode: 1, errorReport: report, traceback: '' },
    })
    expect(now.when(plain('enable')).emissions).toMatchObject([
      { body: { code: 'WRONG_STATE', result: expect.stringContaining(`error 1: ${report}`) as unknown } },
    ])
  })

  test.each(STATES)(
    'in %s: another pool changes nothing, for its jobs say themselves that they did not start',
    state => {
      const now = IN[state].when(unreachable('heavy'))
      expect([now.state, now.emissions, now.context]).toEqual([IN[state].state, [], IN[state].context])
    },
  )

  test.each(['FAULT', 'OFFLINE'] as const)('in %s nothing changes: the first fault counts', state => {
    const now = IN[state].when(unreachable('default'))
    expect([now.state, now.emissions, now.context]).toEqual([IN[state].state, [], IN[state].context])
  })
})

describe('csc: reload', () => {
  const reloading = (changes: Parameters<typeof aConfiguration>[0], file = '_init.yaml') =>
    ({ ...reload, loaded: loaded(aConfiguration(changes), file) }) as const

  test.each(['DISABLED', 'ENABLED'] as const)(
    'in %s the queue gets the new configuration, it is said to be applied, and nothing is aborted',
    state => {
      const now = IN[state].when(reloading({ queueDepthMax: 7, pipelines: {} }))
      expect(now.state.toUpperCase()).toBe(state)
      expect(topics(now.emissions)).toEqual(['configurationApplied'])
      expect(now.emissions).toContainEqual({
        type: 'tell',
        to: 'queue',
        message: { type: 'queue.configure', configuration: aConfiguration({ queueDepthMax: 7, pipelines: {} }) },
      })
      expect(now.emissions.at(-1)).toMatchObject({ type: 'ack', body: { ack: ACK.COMPLETE } })
      expect(JSON.stringify(now.emissions)).not.toMatch(/queue\.(clear|close)/)
    },
  )

  test('what only start changes is refused, naming what was and what would be, and nothing is applied', () => {
    const change = reloading({ slots: 4, mode: 'sync', prefetch: 1 })
    expect(IN.DISABLED.when(change).emissions).toMatchObject([{ body: { code: 'NEEDS_START' } }])
    const now = IN.ENABLED.when(change)
    expect(now.emissions).toMatchObject([
      {
        type: 'ack',
        body: {
          ack: ACK.FAILED,
          code: 'NEEDS_START',
          result: expect.stringContaining('mode (async → sync), slots (2 → 4), prefetch (0 → 1)') as unknown,
        },
      },
    ])
    expect(now.emissions).toHaveLength(1)
  })

  test('a pool with other slots needs a start; one that starts its jobs in another way does not', () => {
    const heavy = (slots: number, argv = ['nice']) =>
      ({ pools: { heavy: { slots, runner: { kind: 'prefix', argv } } } }) as const
    const before = IN.STANDBY.when({ ...start, loaded: loaded(aConfiguration(heavy(2))) }, plain('enable'))
    expect(before.when(reloading(heavy(3))).emissions).toMatchObject([
      { body: { result: expect.stringContaining('pools (heavy 2 → heavy 3)') as unknown } },
    ])
    expect(before.when(reloading({})).emissions).toMatchObject([
      { body: { result: expect.stringContaining('pools (heavy 2 → none)') as unknown } },
    ])
    expect(before.when(reloading(heavy(2, ['env']))).emissions.at(-1)).toMatchObject({ body: { ack: ACK.COMPLETE } })
  })

  test('another override than the one that is applied is no reload; a new layer of the site is one', () => {
    expect(IN.ENABLED.when(reloading({}, '_init.yaml,night.yaml')).emissions).toMatchObject([
      { body: { code: 'NEEDS_START', result: expect.stringContaining('none → night.yaml') as unknown } },
    ])
    expect(IN.ENABLED.when(reloading({}, '_init.yaml,_summit.yaml')).emissions.at(-1)).toMatchObject({
      body: { ack: ACK.COMPLETE },
    })
  })

  test('files that are wrong are refused with their sentence', () => {
    const wrong = { ...reload, loaded: { ok: false, problem: 'night.yaml: slots: too few' } } as const
    for (const state of ['DISABLED', 'ENABLED'] as const)
      expect(IN[state].when(wrong).emissions).toMatchObject([
        { body: { code: 'CONFIGURATION_INVALID', result: 'Failed: night.yaml: slots: too few' } },
      ])
  })

  test('the queue learns which pipelines have files whenever they are looked at', () => {
    const files = { type: 'tell', to: 'queue', message: { type: 'queue.files', pipelineFiles: ['a', 'b'] } } as const
    const pipelineFiles = ['a', 'b']
    const available = { ...STARTED.available, version: 'sha256:1' }
    for (const now of [
      standby.when({ ...STARTED, pipelineFiles }),
      IN.ENABLED.when({ type: 'engine.configurationsAvailable', available, pipelineFiles }),
      IN.ENABLED.when({ ...reload, loaded: { ...loaded(configuration), pipelineFiles } as typeof reload.loaded }),
    ])
      expect(now.emissions).toContainEqual(files)
  })
})
