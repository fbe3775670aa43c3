// One frame, measured: background, stars, point spread function. The order of the steps and the choice of the stars that speak for
// the PSF are here; each step has its own file.

import { type Background, estimateBackground, subtractBackground } from './background.ts'
import { type Candidate, detect } from './detect.ts'
import type { Image } from './fits/image.ts'
import { numberIn } from './fits/header.ts'
import { createGrid } from './grid.ts'
import { adaptiveMoments, ellipticity, gaussianFlux, gaussianFwhm, type Moments } from './moments.ts'
import { profileFwhm } from './profile.ts'
import { gaussianKernel } from './smooth.ts'
import { median, robust } from './statistics.ts'

/**
 * Kernels of the first look, pixels FWHM, tried until one shows PSF_STARS_MIN good stars; where the stars turn out much wider or
 * narrower than it, one more look uses their width. The wide ones are for shallow, oversampled frames.
 */
const FIRST_KERNELS = [3, 6, 10]
const PSF_STARS_MIN = 5
/** Stars that speak for the PSF: more would cost time and add nothing. */
const PSF_STARS_MAX = 200
/** Candidates tried for them. */
const PSF_CANDIDATES_MAX = 600

/** Ten σ gives one star's width to about 10 %, the median of five to 5 %. */
const PSF_SIGNAL_TO_NOISE_MIN = 10

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
  readonly psf: {
    /** pixels; NaN where no star could be measured. */
    readonly fwhm: number
    readonly ellipticity: number
    /** How many stars said so. */
    readonly stars: number
  }
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
export function analyse(image: Image, options: AnalyseOptions): Analysis {
  const { width, height } = image
  const background = estimateBackground(image)
  const residual = subtractBackground(image, background)
  const { saturated, missing } = census(image, options.saturation)
  const look = (fwhm: number): Candidate[] =>
    detect(image, residual, background, {
      kernel: gaussianKernel(fwhm),
      threshold: options.threshold,
      gain: gainOf(image),
      saturated,
    })
  const isSaturated = saturationTest(image, options.saturation)

  const seen = (kernel: number): Look => {
    const candidates = look(kernel)
    return {
      kernel,
      candidates,
      psf: measurePsf(residual, width, height, candidates, kernel, background.noise, isSaturated),
    }
  }
  const { candidates, psf } = bestLook(seen)
  const stars = candidates
    .map(candidate => measureStar(residual, width, height, candidate, psf, isSaturated))
    .filter(star => star !== null)
    .sort((a, b) => b.flux - a.flux)
  return {
    background,
    residual,
    stars,
    psf: { fwhm: psf.fwhm, ellipticity: psf.ellipticity, stars: psf.stars },
    saturatedPixels: saturated.length,
    missingPixels: missing,
  }
}

/** The level pixels saturate at, adu: SATURATE in the header, otherwise the top of an 8- or 16-bit range, otherwise Infinity. */
export function saturationLevel(image: Image): number {
  const told = numberIn(image.header, 'SATURATE')
  if (told !== undefined && told > 0) return told
  if (image.bitpix !== 8 && image.bitpix !== 16) return Number.POSITIVE_INFINITY
  const top = image.bitpix === 8 ? 255 : 32_767
  return (numberIn(image.header, 'BZERO') ?? 0) + (numberIn(image.header, 'BSCALE') ?? 1) * top
}

/** Electrons per adu: EGAIN or GAIN in the header where plausible (some cameras write a setting there), otherwise 1. */
export function gainOf(image: Image): number {
  const told = [numberIn(image.header, 'EGAIN'), numberIn(image.header, 'GAIN')]
  return told.find(gain => gain !== undefined && gain > 0.02 && gain < 50) ?? 1
}

interface Psf {
  readonly fwhm: number
  readonly ellipticity: number
  readonly stars: number
  /** What adaptive moments say for the typical star, pixels: starts the measurement of every star and scales its width. */
  readonly gaussian: number
}

interface Look {
  readonly kernel: number
  readonly candidates: readonly Candidate[]
  readonly psf: Psf
}

/** The first kernel with stars enough (or the one with most), and then once more with a kernel as wide as the stars are. */
function bestLook(seen: (kernel: number) => Look): Look {
  let best: Look | undefined
  for (const kernel of FIRST_KERNELS) {
    const next = seen(kernel)
    if (best === undefined || next.psf.stars > best.psf.stars) best = next
    if (best.psf.stars >= PSF_STARS_MIN) break
  }
  if (best === undefined) throw new Error('invariant: no kernel to look with')
  const { kernel, psf } = best
  const mismatched = psf.fwhm < 0.7 * kernel || psf.fwhm > 1.4 * kernel
  return mismatched ? seen(Math.min(12, Math.max(1.2, psf.fwhm))) : best
}

type SaturationTest = (x: number, y: number) => boolean

function measurePsf(
  residual: Float32Array,
  width: number,
  height: number,
  candidates: readonly Candidate[],
  start: number,
  noise: number,
  isSaturated: SaturationTest,
): Psf {
  const shapes: Moments[] = []
  for (const candidate of isolated(candidates, start)) {
    if (shapes.length >= PSF_STARS_MAX) break
    if (candidate.saturated || isSaturated(candidate.x, candidate.y)) continue
    const shape = adaptiveMoments(residual, width, height, candidate, start)
    if (shape === null) continue
    // Narrower than any optics allow is a cosmic ray or a hot pixel; fainter than that many σ says little about shape.
    const signalToNoise = shape.flux / (noise * Math.sqrt(4 * Math.PI * Math.sqrt(shape.xx * shape.yy - shape.xy ** 2)))
    if (gaussianFwhm(shape) > 0.9 && signalToNoise > PSF_SIGNAL_TO_NOISE_MIN) shapes.push(shape)
  }
  const widths = robust(shapes.map(gaussianFwhm))
  const limit = Math.max(3 * widths.sigma, 0.05 * widths.centre)
  const good = shapes.filter(shape => Math.abs(gaussianFwhm(shape) - widths.centre) <= limit)
  return {
    fwhm: profileFwhm(residual, width, height, good),
    ellipticity: good.length === 0 ? Number.NaN : ellipticity(meanShape(good)),
    stars: good.length,
    gaussian: good.length === 0 ? start : median(good.map(gaussianFwhm)),
  }
}

/** The shapes averaged as covariances, where noise is as often along as across; a mean of ellipticities would never be 0. */
function meanShape(shapes: readonly Moments[]): Moments {
  const middle = (pick: (shape: Moments) => number): number => median(shapes.map(pick))
  return {
    x: 0,
    y: 0,
    flux: 0,
    xx: middle(shape => shape.xx),
    xy: middle(shape => shape.xy),
    yy: middle(shape => shape.yy),
  }
}

/**
 * The brightest candidates without a neighbour of more than a third of their height within three widths: in a cluster no star is
 * truly alone, and the median and the clipped profile carry the rest.
 */
function isolated(candidates: readonly Candidate[], fwhm: number): Candidate[] {
  const reach = 3 * fwhm
  const grid = createGrid<Candidate>(reach)
  for (const candidate of candidates) grid.add(candidate)
  return candidates
    .slice(0, PSF_CANDIDATES_MAX)
    .filter(candidate =>
      grid
        .near(candidate.x, candidate.y, reach)
        .every(other => other === candidate || other.height < 0.33 * candidate.height),
    )
}

/** One candidate as a star; null for what is far narrower than a star: a cosmic ray or a hot pixel. */
function measureStar(
  residual: Float32Array,
  width: number,
  height: number,
  candidate: Candidate,
  psf: Psf,
  isSaturated: SaturationTest,
): Star | null {
  const saturated = candidate.saturated || isSaturated(candidate.x, candidate.y)
  const shape = adaptiveMoments(residual, width, height, candidate, psf.gaussian)
  const narrow = shape !== null && gaussianFwhm(shape) < 0.5 * psf.gaussian
  if (narrow && !saturated) return null
  const peak = brightest(residual, width, height, candidate)
  if (shape === null) {
    const { x, y } = candidate
    const flux = gaussianFlux(residual, width, height, candidate, psf.gaussian)
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

function saturationTest({ width, height, pixels }: Image, saturation: number): SaturationTest {
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
