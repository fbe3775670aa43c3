import type { LoadedConfiguration } from '../../machines/domain/commands.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { StartOrder } from '../../machines/ports.ts'
import type { Script } from '../../src/executor/scripted.ts'
import { aConfiguration, aPipeline, loaded } from '../harness.ts'
import { drawsFrom } from './draws.ts'

/** How an instance of a night is configured and how its pipelines behave, both drawn from the seed. */
export interface Setting {
  readonly detectors: number
  readonly loadConfiguration: (configurationOverride: string) => LoadedConfiguration
}

export function drawSetting(draw: () => number): Setting {
  const isLarge = draw() < 0.12
  const retries = { attemptsMax: 3, backoffMs: 800, on: [7, 'lost', 'timedOut', 'signal', 'startFailed'] as const }
  const { groups, pipelines } = aConfiguration()
  const withoutPrefetch = aConfiguration({
    mode: draw() < 0.12 ? 'sync' : 'async',
    slots: isLarge ? 24 + Math.floor(draw() * 40) : 2 + Math.floor(draw() * 8),
    queueDepthMax: isLarge ? 600 : 20 + Math.floor(draw() * 60),
    order: draw() < 0.3 ? 'newestFirst' : 'fifo',
    groups: {
      ...groups,
      policy: draw() < 0.6 ? 'partial' : draw() < 0.5 ? 'skip' : 'fail',
      patienceMs: 30_000,
      late: draw() < 0.7 ? 'regather' : 'ignore',
      lingerMs: draw() < 0.5 ? 120_000 : 3_600_000,
      pipeline: draw() < 0.5 ? 'stack' : null,
    },
    pipelines: {
      ...pipelines,
      quicklook: aPipeline('quicklook', { retries, timeLimitMs: 15_000, fallback: ['long'] }),
      long: aPipeline('long', { slots: 2, timeLimitMs: 30_000 }),
      detect: aPipeline('detect', { scope: 'detector', retries: { ...retries, attemptsMax: 2 }, timeLimitMs: 20_000 }),
      stack: aPipeline('stack', { scope: 'group', slots: 2, retries }),
    },
  })
  // Drawn last, so that the other nights are what they were.
  const usual = draw() < 0.3 ? { ...withoutPrefetch, prefetch: 1 + Math.floor(draw() * 6) } : withoutPrefetch
  const { long: _long, ...fewer } = usual.pipelines
  const all: Record<string, Configuration> = {
    '': usual,
    'small.yaml': { ...usual, slots: 2, queueDepthMax: 8 },
    'newest.yaml': { ...usual, order: usual.order === 'fifo' ? 'newestFirst' : 'fifo' },
    'sync.yaml': { ...usual, mode: usual.mode === 'sync' ? 'async' : 'sync' },
    'other.yaml': { ...usual, pipelines: fewer, groups: { ...usual.groups, pipeline: null } },
  }
  return {
    detectors: isLarge ? 189 : 12,
    loadConfiguration: name => {
      const configuration = all[name]
      return configuration
        ? loaded(configuration, name === '' ? '_init.yaml' : `_init.yaml,${name}`)
        : { ok: false, problem: `there is no ${name} in /config; there are ${Object.keys(all).join(', ')}` }
    },
  }
}

/**
 * What a process will do; follows from what it works on, so that it does not depend on what else happened in the night.
 */
export function scriptOf(salt: number, { dataId, pipeline, attempt }: StartOrder): Script {
  const draw = drawsFrom(`${salt} ${dataId.obsid} ${dataId.group} ${dataId.detector} ${pipeline.name} ${attempt}`)
  const kind = draw()
  const runs = 200 + draw() ** 3 * 25_000
  const reports = Array.from({ length: Math.floor(draw() * 6) }, (_, index) => ({
    afterMs: runs * draw(),
    report: word(draw(), index),
  })).sort((one, other) => one.afterMs - other.afterMs)
  const usual = { runs, reports, ignoresTerm: draw() < 0.15, ...(draw() < 0.5 && { exitCode: 0 }) }
  if (kind < 0.72) return usual
  if (kind < 0.8) return { ...usual, exitCode: 7, stderrTail: 'Traceback\nValueError: no stars' }
  if (kind < 0.84) return { ...usual, exitCode: 1, stderrTail: '\u0000\uFFFD' }
  if (kind < 0.88) return { ...usual, signal: 'SIGSEGV' }
  if (kind < 0.92)
    return { ...usual, startFailed: { code: 'START_FAILED', reason: 'Resource temporarily unavailable' } }
  if (kind < 0.94) return { ...usual, lost: 'its launcher is gone and its ending was not written' }
  // It hangs until it is stopped.
  return { ...usual, runs: Infinity, reports: [] }
}

function word(kind: number, index: number) {
  const value = kind < 0.1 ? ('NaN' as const) : Math.floor(kind * 1_000)
  if (kind < 0.5)
    return { type: 'executor.metric', metric: index % 2 === 0 ? 'psf.fwhm' : 'sky', value, unit: 'arcsec' } as const
  if (kind < 0.65) return { type: 'executor.progress', fraction: kind, note: '' } as const
  if (kind < 0.8)
    return { type: 'executor.dataset', dataset: 'preview', path: 'preview.png', mime: 'image/png' } as const
  if (kind < 0.9) return { type: 'executor.verdict', verdict: 'poor seeing' } as const
  return { type: 'executor.badReport', reason: 'not JSON: }{' } as const
}
