// What is left when the demo is over: the final table, what it means and where the images are, as lines for a person or
// as one object for a program. Pure; the images are put in their place by images.ts.

import { isComplete, type Model } from './model.ts'
import { type Frame, headline } from './render.ts'
import { left, quantity, right, seconds } from './text.ts'
import { byName, numberOf } from './wire.ts'

/** Where the demo's files are: a directory, and paths below it. */
export interface Places {
  readonly directory: string
  /** By obsid. */
  readonly previews: Readonly<Record<string, string>>
  readonly stackPreview: string | null
  readonly stackImage: string | null
}

/**
 * What a program is told in the end; lengths in pixels, brightness in adu, times in seconds, null where there is
 * nothing.
 */
export interface Summary {
  readonly step: 'summary'
  readonly ok: boolean
  readonly group: string | null
  readonly seconds: number
  readonly exposures: readonly ExposureSummary[]
  readonly stack: {
    readonly outcome: string | null
    readonly framesUsed: number | null
    readonly depthGain: number | null
    readonly fwhm: number | null
    readonly stars: number | null
    readonly noise: number | null
    readonly image: string | null
    readonly preview: string | null
  }
  readonly directory: string
}

export interface ExposureSummary {
  readonly obsid: string
  readonly outcome: string | null
  readonly fwhm: number | null
  /** What the simulated sky was drawn with; null for real frames. */
  readonly simulatedFwhm: number | null
  readonly background: number | null
  readonly noise: number | null
  readonly stars: number | null
  /** From imageInOODS to the result. */
  readonly secondsAfterIngest: number | null
  /** Absolute path. */
  readonly preview: string | null
}

/** The seeing each exposure was drawn with, by obsid, pixels. */
export type Truth = ReadonlyMap<string, number>

export function summaryOf(model: Model, places: Places, truth: Truth, now: number): Summary {
  const { groupResult } = model
  const metrics = byName(groupResult?.metrics ?? [])
  const exposures = model.exposures.map(({ obsid, job, ingested }): ExposureSummary => {
    const measured = job?.metrics ?? {}
    const result = job?.result ?? null
    return {
      obsid,
      outcome: result?.outcome.kind ?? null,
      fwhm: numberOf(measured, 'psf.fwhm'),
      simulatedFwhm: truth.get(obsid) ?? null,
      background: numberOf(measured, 'background.level'),
      noise: numberOf(measured, 'background.noise'),
      stars: numberOf(measured, 'stars.count'),
      secondsAfterIngest:
        result === null || ingested === null ? null : Math.max(0, result.times.settled - ingested) / 1000,
      preview: places.previews[obsid] ?? null,
    }
  })
  return {
    step: 'summary',
    ok: isComplete(model) && groupResult?.outcome === 'complete',
    group: model.group,
    seconds: (now - model.began) / 1000,
    exposures,
    stack: {
      outcome: groupResult?.outcome ?? null,
      framesUsed: numberOf(metrics, 'stack.framesUsed'),
      depthGain: numberOf(metrics, 'stack.depthGain'),
      fwhm: numberOf(metrics, 'psf.fwhm'),
      stars: numberOf(metrics, 'stars.count'),
      noise: numberOf(metrics, 'stack.noise'),
      image: places.stackImage,
      preview: places.stackPreview,
    },
    directory: places.directory,
  }
}

export function report(model: Model, summary: Summary, frame: Frame): string[] {
  const { paint } = frame
  return [
    headline(model, { ...frame, width: 79 }),
    '',
    ...table(summary, frame),
    '',
    ...meaning(model, summary).map((line, index) => (index === 0 ? paint.bold(` ${line}`) : ` ${line}`)),
    '',
    ...whereabouts(summary, frame),
    '',
  ]
}

function table({ exposures, stack }: Summary, { paint }: Frame): string[] {
  const simulated = exposures.some(({ simulatedFwhm }) => simulatedFwhm !== null)
  const cells = (fwhm: string, drawn: string, background: string, noise: string, stars: string, after: string) =>
    `${right(fwhm, 9)} ${simulated ? right(drawn, 9) : ''} ${right(background, 10)} ${right(noise, 9)} ${right(stars, 6)} ${right(after, 8)}`
  const header = ` ${left('exposure', 20)} ${cells('FWHM', 'simulated', 'background', 'noise', 'stars', 'after')}`
  const rows = exposures.map(
    ({ obsid, outcome, fwhm, simulatedFwhm, background, noise, stars, secondsAfterIngest }) => {
      if (outcome !== 'succeeded') return ` ${paint.name(left(obsid, 20))} ${paint.bad(`  ${outcome ?? 'no result'}`)}`
      const numbers = cells(
        quantity(fwhm, 2, 'pix'),
        quantity(simulatedFwhm, 2, 'pix'),
        quantity(background, 0, 'adu'),
        quantity(noise, 1, 'adu'),
        quantity(stars, 0, ''),
        quantity(secondsAfterIngest, 2, 's'),
      )
      return ` ${paint.name(left(obsid, 20))} ${numbers}`
    },
  )
  const total = cells(
    quantity(stack.fwhm, 2, 'pix'),
    '',
    '',
    quantity(stack.noise, 1, 'adu'),
    quantity(stack.stars, 0, ''),
    '',
  )
  const name = left(`stack of ${stack.framesUsed ?? 0}`, 20)
  const last =
    stack.framesUsed === null
      ? paint.bad(` no stack: ${stack.outcome ?? 'the group was not combined'}`)
      : paint.bold(` ${name} ${total.trimEnd()}`)
  return [paint.dim(header), ...rows, last]
}

/** Why the result matters, in words. */
function meaning(model: Model, { stack, exposures }: Summary): string[] {
  const { framesUsed, depthGain } = stack
  if (framesUsed === null || depthGain === null) return [model.groupResult?.message ?? 'The group was not combined.']
  const stars = median(exposures.flatMap(exposure => exposure.stars ?? []))
  const waits = exposures.flatMap(exposure => exposure.secondsAfterIngest ?? [])
  return [
    framesUsed === 1
      ? 'Stack of 1: there was nothing to combine it with; take more with --exposures.'
      : `Stack of ${framesUsed}: ${depthGain.toFixed(2)} mag deeper than one exposure, ${stack.stars ?? 0} stars instead of ${stars ?? 0}.`,
    ...(waits.length === 0
      ? []
      : [`Every exposure was measured within ${seconds(Math.max(...waits) * 1000)} of being ingested.`]),
  ]
}

function whereabouts({ directory, exposures, stack }: Summary, { paint }: Frame): string[] {
  const below = (path: string): string => (path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path)
  const previews = exposures.flatMap(({ preview }) => (preview === null ? [] : [below(preview)]))
  const label = (text: string): string => paint.dim(left(text, 10))
  return [
    ` ${label('images in')} ${paint.name(directory)}`,
    ...(stack.preview === null ? [] : [` ${label('stack')} ${below(stack.preview)}   ${below(stack.image ?? '')}`]),
    ...shortened(previews).map((path, index) => ` ${label(index === 0 ? 'previews' : '')} ${path}`),
  ]
}

const PREVIEWS_SHOWN = 8

function shortened(paths: readonly string[]): readonly string[] {
  if (paths.length <= PREVIEWS_SHOWN) return paths
  return [...paths.slice(0, PREVIEWS_SHOWN - 2), `… (${paths.length} in all)`, paths.at(-1) ?? '']
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}
