// The star catalogue as a file: what quicklook writes and stack reads. Units stand at its top, so that the file
// explains itself.

import type { Star } from './analyse.ts'
import type { Image } from './fits/image.ts'
import { PipelineFailure, reasonOf } from './failure.ts'

const UNITS = {
  x: 'pix, 0 at the centre of the first pixel of a row',
  y: 'pix, 0 at the centre of the first row of the file',
  flux: 'adu above the background, of the matching Gaussian',
  fwhm: 'pix, null where the star is too faint or too blended to show its shape',
  ellipticity: '1 - b/a, null as fwhm',
  peak: 'adu above the background',
  saturated: 'true where a pixel of its core is saturated',
}

/** JSON-ready; numbers are cut to what they can mean, which halves the file. Stars brightest first. */
export function catalogueOf(
  { width, height }: Pick<Image, 'width' | 'height'>,
  stars: readonly Star[],
  settings: { threshold: number; saturation: number },
): Record<string, unknown> {
  const { threshold, saturation } = settings
  return {
    units: UNITS,
    image: { width, height },
    // JSON has no infinity: null says that nothing saturates.
    settings: { threshold, saturation: Number.isFinite(saturation) ? saturation : null },
    stars: stars.map(star => ({
      x: rounded(star.x, 3),
      y: rounded(star.y, 3),
      flux: rounded(star.flux, 1),
      fwhm: star.fwhm === null ? null : rounded(star.fwhm, 3),
      ellipticity: star.ellipticity === null ? null : rounded(star.ellipticity, 3),
      peak: rounded(star.peak, 1),
      saturated: star.saturated,
    })),
  }
}

/** Position and brightness of one star: all that aligning needs. */
export interface CatalogueStar {
  readonly x: number
  readonly y: number
  readonly flux: number
  readonly saturated: boolean
}

/** Reads the stars of catalogue text; `path` names it in messages. Throws PipelineFailure where it is no catalogue. */
export function readCatalogue(text: string, path: string): CatalogueStar[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PipelineFailure(`${path}: not a star catalogue: ${reasonOf(error)}.`)
  }
  const stars = fieldsOf(value)['stars']
  if (!Array.isArray(stars))
    throw new PipelineFailure(`${path}: not a star catalogue: expected an array "stars", found none.`)
  return stars.map((star: unknown, index) => {
    const { x, y, flux, saturated } = fieldsOf(star)
    if (typeof x !== 'number' || typeof y !== 'number' || typeof flux !== 'number') {
      throw new PipelineFailure(`${path}: not a star catalogue: star ${index} needs numbers x, y and flux.`)
    }
    return { x, y, flux, saturated: saturated === true }
  })
}

/** The fields of an object; of anything else, none. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
