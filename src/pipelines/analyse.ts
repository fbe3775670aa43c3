// One frame, measured: background, stars, point spread function. The order of the steps is here; each step has its own
// file.

import { type Background, estimateBackground, subtractBackground } from './background.ts'
import { type Candidate, detect } from './detect.ts'
import { numberIn } from './fits/header.ts'
import type { Image } from './fits/image.ts'
import { adaptiveMoments, ellipticity, fixedMoments, gaussianFwhm, minorFwhm } from './moments.ts'
import { type Frame, measurePsf, type Psf, PSF_STARS_MIN } from './psf.ts'
import { FWHM_PER_SIGMA, gaussianKernel } from './smooth.ts'

/**
 * Kernels of the first look, pixels FWHM, tried until one shows stars enough; where the stars turn out much wider or
 * narrower than it, one more look uses their width. The wide one is for shallow, oversampled frames.
 */
const FIRST_KERNELS = [3, 7]

export interface Star {
  /** Centre, pixels, from 0 at the centre of the first pixel. */
  readonly x: number
  readonly y: number
  /** adu */
  readonly flux: number
  /** pixels; null where the star is too faint or too blended to show its shape. */
  readonly fwhm: number | null
  /** 1 − b/a; null as above. */
  readonly ellipticity: number | null
  /** Brightest pixel above the background, adu. */
  readonly peak: number
  readonly saturated: boolean
}

export interface Analysis {
  readonly background: Background
  /** The image minus its background, adu. */
  readonly residual: Float32Array
  /** Brightest first. */
  readonly stars: readonly Star[]
  readonly psf: Psf
  readonly saturatedPixels: number
  /** Pixels without a value. */
  readonly missingPixels: number
}

export interface AnalyseOptions {
  /** Detection threshold, times the noise of the smoothed image. */
  readonly threshold: number
  /** Pixels at or above are saturated, adu; Infinity where nothing saturates. */
  readonly saturation: number
}

/** Measures `image`. Never fails: an image without stars has none, and its PSF is NaN. */
export function analyse(image: Image, { threshold, saturation }: AnalyseOptions): Analysis {
  const { width, height } = image
  const background = estimateBackground(image)
  const residual = subtractBackground(image, background)
  const { saturated, missing } = census(image, saturation)
  const isSaturated = saturationTest(image, saturation)
  const frame: Frame = { residual, width, height, noise: background.noise, isSaturated }
  const gain = gainOf(image)
  const { candidates, psf } = bestLook(kernel => {
    const found = detect(image, residual, background, { kernel: gaussianKernel(kernel), threshold, gain, saturated })
    return { kernel, candidates: found, psf: measurePsf(frame, found, kernel) }
  })
  const stars = candidates
    .map(candidate => measureStar(frame, candidate, psf))
    .filter(star => star !== null)
    .sort((a, b) => b.flux - a.flux)
  return { background, residual, stars, psf, saturatedPixels: saturated.length, missingPixels: missing }
}

/**
 * The level pixels saturate at, adu: SATURATE in the header, otherwise the top of an 8- or 16-bit range, otherwise
 * Infinity.
 */
export function saturationLevel({ header, bitpix }: Image): number {
  const told = numberIn(header, 'SATURATE')
  if (told !== undefined && told > 0) return told
  if (bitpix !== 8 && bitpix !== 16) return Number.POSITIVE_INFINITY
  const top = bitpix === 8 ? 255 : 32_767
  return (numberIn(header, 'BZERO') ?? 0) + (numberIn(header, 'BSCALE') ?? 1) * top
}

/** Electrons per adu: EGAIN or GAIN in the header where plausible (some cameras write a setting there), otherwise 1. */
export function gainOf({ header }: Pick<Image, 'header'>): number {
  const told = [numberIn(header, 'EGAIN'), numberIn(header, 'GAIN')]
  return told.find(gain => gain !== undefined && gain > 0.02 && gain < 50) ?? 1
}

interface Look {
  readonly kernel: number
  readonly candidates: readonly Candidate[]
  readonly psf: Psf
}

/**
 * The first kernel with stars enough (or the one with most), and then once more with a kernel as wide as the stars are.
 */
function bestLook(look: (kernel: number) => Look): Look {
  const best = FIRST_KERNELS.reduce<Look | null>((soFar, kernel) => {
    if (soFar !== null && soFar.psf.stars >= PSF_STARS_MIN) return soFar
    const next = look(kernel)
    return soFar === null || next.psf.stars > soFar.psf.stars ? next : soFar
  }, null)
  if (best === null) throw new Error('invariant: no kernel to look with')
  const { kernel, psf } = best
  const mismatched = psf.fwhm < 0.7 * kernel || psf.fwhm > 1.4 * kernel
  return mismatched ? look(Math.min(12, Math.max(1.2, psf.fwhm))) : best
}

/** One candidate as a star; null for what is sharper than the PSF lets a star be: a cosmic ray or a hot pixel. */
function measureStar(frame: Frame, candidate: Candidate, psf: Psf): Star | null {
  const { residual, width, height, isSaturated } = frame
  const saturated = candidate.saturated || isSaturated(candidate.x, candidate.y)
  const peak = brightest(residual, width, height, candidate)
  const fixed = fixedMoments(residual, width, height, candidate, psf.gaussian)
  const shape = adaptiveMoments(residual, width, height, candidate, psf.gaussian)
  // Below that a pixel's noise makes stars as sharp as anything.
  if (psf.stars > 0 && !saturated && peak > 8 * frame.noise) {
    if (shape !== null && minorFwhm(shape) < 0.55 * psf.gaussian) return null
    // The height a star of that flux can have, a Moffat core's excess and a pixel's noise allowed for.
    const height = fixed.flux / (2 * Math.PI * (psf.gaussian / FWHM_PER_SIGMA) ** 2)
    if (peak - 4 * frame.noise > 1.6 * height) return null
  }
  if (shape === null) {
    const { x, y, flux } = fixed
    return { x, y, flux, fwhm: null, ellipticity: null, peak, saturated }
  }
  // Adaptive moments read a Moffat profile a little wide; the pooled fit says by how much.
  const scale = Number.isNaN(psf.fwhm) ? 1 : psf.fwhm / psf.gaussian
  const { x, y, flux } = shape
  return { x, y, flux, fwhm: gaussianFwhm(shape) * scale, ellipticity: ellipticity(shape), peak, saturated }
}

function brightest(residual: Float32Array, width: number, height: number, { x, y }: Candidate): number {
  let peak = Number.NEGATIVE_INFINITY
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
      const value = residual[row * width + column] ?? Number.NaN
      if (value > peak) peak = value
    }
  }
  return peak
}

/** Whether a pixel or one beside it is saturated. */
function saturationTest({ width, height, pixels }: Image, saturation: number): (x: number, y: number) => boolean {
  return (x, y) => {
    for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
      for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
        if ((pixels[row * width + column] ?? 0) >= saturation) return true
      }
    }
    return false
  }
}

function census({ pixels }: Image, saturation: number): { saturated: number[]; missing: number } {
  const saturated: number[] = []
  let missing = 0
  for (let i = 0; i < pixels.length; i++) {
    const value = pixels[i] ?? 0
    if (value >= saturation) saturated.push(i)
    else if (Number.isNaN(value)) missing++
  }
  return { saturated, missing }
}
