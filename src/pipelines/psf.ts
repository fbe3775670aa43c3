// The point spread function of a frame: which stars may speak for it, and what they say together. Bright stars are
// measured one by one; on a shallow frame without any, the faint ones are added up into one star and that is measured.

import type { Candidate } from './detect.ts'
import { createGrid } from './grid.ts'
import { adaptiveMoments, ellipticity, gaussianFwhm, minorFwhm, type Moments } from './moments.ts'
import { profileFwhm } from './profile.ts'
import { median, robust } from './statistics.ts'

/** Stars that speak for the PSF: more would cost time and add nothing. */
const STARS_MAX = 200
/** Candidates tried for them. */
const CANDIDATES_MAX = 600
/** Fewer bright stars than these are not enough to tell an odd one. */
export const PSF_STARS_MIN = 5
/** Fifteen σ gives one star's width to about 7 %, the median of five to 3 %. */
const SIGNAL_TO_NOISE_MIN = 15
/**
 * Faint stars added up where there are no bright ones, and half the side of the sum, pixels (2.5 × the widest kernel).
 */
const ADDED_MAX = 40
const ADDED_REACH = 30

/** Below this a profile's wings cannot be told from the background, and the matching Gaussian is the better word. */
const PROFILE_SIGNAL_TO_NOISE_MIN = 200

export interface Psf {
  /** pixels; NaN where no star could be measured. */
  readonly fwhm: number
  /** 1 − b/a; NaN as above. */
  readonly ellipticity: number
  /** How many stars said so. */
  readonly stars: number
  /**
   * What adaptive moments say for the typical star, pixels: starts the measurement of every star and scales its width.
   */
  readonly gaussian: number
}

/** The background-subtracted image, its noise per pixel (adu), and where it is saturated. */
export interface Frame {
  readonly residual: Float32Array
  readonly width: number
  readonly height: number
  readonly noise: number
  readonly isSaturated: (x: number, y: number) => boolean
}

/** The PSF as `candidates` (brightest first) show it; they were found with a kernel of FWHM `kernel`, pixels. */
export function measurePsf(frame: Frame, candidates: readonly Candidate[], kernel: number): Psf {
  const alone = isolated(candidates, kernel).filter(({ x, y, saturated }) => !saturated && !frame.isSaturated(x, y))
  const shapes: Moments[] = []
  for (const candidate of alone) {
    if (shapes.length >= STARS_MAX) break
    const shape = adaptiveMoments(frame.residual, frame.width, frame.height, candidate, kernel)
    // Narrower than any optics allow is a cosmic ray or a hot pixel.
    if (shape !== null && minorFwhm(shape) > 0.9 && signalToNoise(shape, frame.noise) > SIGNAL_TO_NOISE_MIN)
      shapes.push(shape)
  }
  if (shapes.length < PSF_STARS_MIN) {
    const apart = isolated(alone, Math.max(kernel, ADDED_REACH / 4))
    return addedPsf(frame, apart, kernel) ?? psfOf(frame, shapes, kernel)
  }
  const widths = robust(shapes.map(gaussianFwhm))
  const limit = Math.max(3 * widths.sigma, 0.05 * widths.centre)
  return psfOf(
    frame,
    shapes.filter(shape => Math.abs(gaussianFwhm(shape) - widths.centre) <= limit),
    kernel,
  )
}

function psfOf({ residual, width, height }: Frame, shapes: readonly Moments[], kernel: number): Psf {
  if (shapes.length === 0) return { fwhm: Number.NaN, ellipticity: Number.NaN, stars: 0, gaussian: kernel }
  return {
    fwhm: profileFwhm(residual, width, height, shapes),
    ellipticity: ellipticity(middleShape(shapes)),
    stars: shapes.length,
    gaussian: median(shapes.map(gaussianFwhm)),
  }
}

/** The mean image around the brightest candidates, as if it were one star; null where even that is too faint. */
function addedPsf({ residual, width, height, noise }: Frame, alone: readonly Candidate[], kernel: number): Psf | null {
  const side = 2 * ADDED_REACH + 1
  const inside = alone
    .filter(({ x, y }) => x >= ADDED_REACH && y >= ADDED_REACH && x < width - ADDED_REACH && y < height - ADDED_REACH)
    .slice(0, ADDED_MAX)
  if (inside.length < PSF_STARS_MIN) return null
  const sum = new Float32Array(side * side)
  for (const { x, y } of inside) {
    for (let row = 0; row < side; row++) {
      const from = (y - ADDED_REACH + row) * width + x - ADDED_REACH
      for (let column = 0; column < side; column++) {
        const value = residual[from + column] ?? 0
        if (!Number.isNaN(value)) sum[row * side + column] = (sum[row * side + column] ?? 0) + value / inside.length
      }
    }
  }
  // In a cluster the light between the stars is not background: what the corners of the sum hold is not the star's.
  const corner = Math.round(0.3 * ADDED_REACH)
  const offset = median(
    sum.filter(
      (_, at) =>
        Math.abs((at % side) - ADDED_REACH) > ADDED_REACH - corner &&
        Math.abs(Math.floor(at / side) - ADDED_REACH) > ADDED_REACH - corner,
    ),
  )
  for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) - offset
  const shape = adaptiveMoments(sum, side, side, { x: ADDED_REACH, y: ADDED_REACH }, kernel)
  if (shape === null || gaussianFwhm(shape) < 0.9) return null
  const certainty = signalToNoise(shape, noise / Math.sqrt(inside.length))
  if (certainty < SIGNAL_TO_NOISE_MIN) return null
  const frame: Frame = { residual: sum, width: side, height: side, noise, isSaturated: () => false }
  const psf = { ...psfOf(frame, [shape], kernel), stars: inside.length }
  return certainty < PROFILE_SIGNAL_TO_NOISE_MIN ? { ...psf, fwhm: psf.gaussian } : psf
}

/** Flux over its error when weighted by the star's own Gaussian in background noise: noise × √(4π) σ. */
function signalToNoise({ flux, xx, xy, yy }: Moments, noise: number): number {
  return flux / (noise * Math.sqrt(4 * Math.PI * Math.sqrt(xx * yy - xy * xy)))
}

/**
 * The typical shape as a covariance, where noise is as often along as across; a mean of ellipticities would never be 0.
 */
function middleShape(shapes: readonly Moments[]): Moments {
  const middle = (pick: (shape: Moments) => number): number => median(shapes.map(pick))
  return { x: 0, y: 0, flux: 0, xx: middle(({ xx }) => xx), xy: middle(({ xy }) => xy), yy: middle(({ yy }) => yy) }
}

/**
 * The brightest candidates without a neighbour of more than a third of their height within three widths: in a cluster
 * no star is truly alone, and the median and the clipped profile carry the rest.
 */
function isolated(candidates: readonly Candidate[], fwhm: number): Candidate[] {
  const reach = 3 * fwhm
  const grid = createGrid<Candidate>(reach)
  for (const candidate of candidates) grid.add(candidate)
  return candidates
    .slice(0, CANDIDATES_MAX)
    .filter(candidate =>
      grid
        .near(candidate.x, candidate.y, reach)
        .every(other => other === candidate || other.height < 0.33 * candidate.height),
    )
}
