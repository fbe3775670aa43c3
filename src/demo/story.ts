// The demo's story: who did what, in sentences. Pure; told live under the page, and line by line where there is no
// terminal.

import { sentence } from '../sim/steps.ts'
import { byName, type WireMessage, type MetricHeard, numberOf } from './wire.ts'

/** One line of the story. */
export interface StoryLine {
  readonly at: number
  readonly who: 'script' | 'camera' | 'OODS' | 'OCPS'
  readonly text: string
}

/** The sentence for what was heard, or null where there is nothing to tell. `model` has taken it in already. */
export function lineOf(
  model: { readonly exposures: readonly unknown[] },
  heard: WireMessage,
  at: number,
): StoryLine | null {
  const line = (who: StoryLine['who'], text: string): StoryLine => ({ at, who, text })
  switch (heard.type) {
    case 'summaryState':
      return line('OCPS', `is ${heard.name}`)
    case 'startIntegration':
      return line('camera', `opens the shutter: ${heard.obsid}, ${heard.exposureTime} s`)
    case 'imageInOODS':
      return line(
        'OODS',
        heard.ok ? `has ingested ${heard.obsid}` : `could not ingest an exposure: ${heard.description}`,
      )
    case 'jobResult': {
      const { dataId, outcome, metrics, pipeline } = heard.result
      const what = dataId.obsid ?? 'the group'
      if (outcome.kind !== 'succeeded')
        return line('OCPS', `${pipeline} of ${what} ${outcome.kind}: ${outcome.message}`)
      return line('OCPS', `${pipeline} of ${what}: ${measured(byName(metrics))}`)
    }
    // The script tells of its own decisions; what it hears is told by who said it.
    case 'step':
      return ['enabled', 'group', 'accepted', 'closing', 'combined'].includes(heard.step.step)
        ? line('script', sentence(heard.step))
        : null
    case 'jobState': {
      const { state, dataId } = heard.job
      return state === 'starting' && dataId.obsid === null
        ? line('OCPS', `every exposure of the group is settled: combines ${model.exposures.length}`)
        : null
    }
    case 'endReadout':
    case 'progress':
    case 'metric':
    case 'groupState':
    case 'groupResult':
      return null
  }
}

function measured(metrics: Readonly<Record<string, MetricHeard>>): string {
  const depth = numberOf(metrics, 'stack.depthGain')
  const stars = numberOf(metrics, 'stars.count')
  const fwhm = numberOf(metrics, 'psf.fwhm')
  const background = numberOf(metrics, 'background.level')
  return [
    ...(depth === null ? [] : [`${depth.toFixed(2)} mag deeper`]),
    ...(fwhm === null ? [] : [`FWHM ${fwhm.toFixed(2)} pix`]),
    ...(background === null ? [] : [`background ${background.toFixed(0)} adu`]),
    ...(stars === null ? [] : [`${stars} stars`]),
  ].join(', ')
}
