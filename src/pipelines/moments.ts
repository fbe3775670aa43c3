// Position, flux and shape of one star by adaptive Gaussian moments: the weight is an elliptical Gaussian that is moved
// and reshaped until it matches the star (Bernstein & Jarvis 2002, AJ 123, 583, §3; Hirata & Seljak 2003). The nearest
// there is to an optimal weighting in white noise, and far less hurt by neighbours than unweighted moments.

import type { Point } from './grid.ts'
import { FWHM_PER_SIGMA } from './smooth.ts'

/** Twenty rounds: a clean star needs 5 to 10, and what has not settled then sits in a blend and never will. */
const ROUNDS_MAX = 20
/** The widest Gaussian followed, pixels (FWHM 24): beyond that a star is a nebula or a donut. */
const SIGMA_MAX = 10

export interface Moments {
  /** Pixels, from 0 at the centre of the first pixel. */
  readonly x: number
  readonly y: number
  /** Flux of the matching Gaussian, adu. Wings beyond a Gaussian's are not in it. */
  readonly flux: number
  /** Covariance of the matching Gaussian, pixels². */
  readonly xx: number
  readonly xy: number
  readonly yy: number
}

interface Sums {
  weighted: number
  x: number
  y: number
  xx: number
  xy: number
  yy: number
}

/**
 * Follows the star near `start` on the background-subtracted `residual`, beginning with a round Gaussian of `fwhm`
 * pixels. Null where it does not settle: too faint, moved by more than `fwhm`, or shape degenerate.
 */
export function adaptiveMoments(
  residual: Float32Array,
  width: number,
  height: number,
  start: Point,
  fwhm: number,
): Moments | null {
  const sigma = fwhm / FWHM_PER_SIGMA
  let { x, y } = start
  let xx = sigma * sigma
  let yy = xx
  let xy = 0
  const sums: Sums = { weighted: 0, x: 0, y: 0, xx: 0, xy: 0, yy: 0 }
  for (let round = 0; round < ROUNDS_MAX; round++) {
    weigh(residual, width, height, { x, y, flux: 0, xx, xy, yy }, sums)
    if (!(sums.weighted > 0)) return null
    // A Gaussian seen through its own weight has half its offset and half its covariance.
    const dx = (2 * sums.x) / sums.weighted
    const dy = (2 * sums.y) / sums.weighted
    const next = {
      xx: (2 * sums.xx) / sums.weighted,
      xy: (2 * sums.xy) / sums.weighted,
      yy: (2 * sums.yy) / sums.weighted,
    }
    x += limited(dx, sigma)
    y += limited(dy, sigma)
    const area = next.xx * next.yy - next.xy * next.xy
    const tooWide = next.xx > SIGMA_MAX ** 2 || next.yy > SIGMA_MAX ** 2
    if (!(area > 0.01) || !(next.xx > 0) || tooWide || Math.hypot(x - start.x, y - start.y) > Math.max(fwhm, 2))
      return null
    const change = Math.abs(next.xx - xx) + Math.abs(next.yy - yy) + Math.abs(next.xy - xy)
    ;({ xx, xy, yy } = next)
    if (change < 2e-3 * (xx + yy) && Math.abs(dx) + Math.abs(dy) < 0.01) {
      // ∫ weight × star is half the flux when both are the same Gaussian.
      return { x, y, flux: 2 * sums.weighted, xx, xy, yy }
    }
  }
  return null
}

/**
 * Place (pixels) and flux (adu) of a star near `start` through a round Gaussian weight of fixed `fwhm`: the windowed
 * centroid of those too faint to show their own shape. Stays at `start` where the light leads away by more than half a
 * width.
 */
export function fixedMoments(
  residual: Float32Array,
  width: number,
  height: number,
  start: Point,
  fwhm: number,
): Point & { readonly flux: number } {
  const variance = (fwhm / FWHM_PER_SIGMA) ** 2
  const shape = { x: start.x, y: start.y, flux: 0, xx: variance, xy: 0, yy: variance }
  const sums: Sums = { weighted: 0, x: 0, y: 0, xx: 0, xy: 0, yy: 0 }
  // Each round halves what is left of the way at worst; after five the rest is below the noise of a star this faint.
  for (let round = 0; round < 5; round++) {
    weigh(residual, width, height, shape, sums)
    shape.x += (2 * sums.x) / sums.weighted
    shape.y += (2 * sums.y) / sums.weighted
    const strayed = Math.hypot(shape.x - start.x, shape.y - start.y)
    if (!(sums.weighted > 0) || !(strayed <= Math.max(1, fwhm / 2))) {
      weigh(residual, width, height, { ...shape, x: start.x, y: start.y }, sums)
      return { x: start.x, y: start.y, flux: 2 * sums.weighted }
    }
  }
  return { x: shape.x, y: shape.y, flux: 2 * sums.weighted }
}

/** FWHM of the round Gaussian of the same area, pixels. */
export function gaussianFwhm({ xx, xy, yy }: Moments): number {
  return FWHM_PER_SIGMA * (xx * yy - xy * xy) ** 0.25
}

/** FWHM along the minor axis of the matching ellipse, pixels: a cosmic ray's track is narrow across, however long. */
export function minorFwhm({ xx, xy, yy }: Moments): number {
  return FWHM_PER_SIGMA * Math.sqrt(Math.max(0, (xx + yy) / 2 - Math.hypot((xx - yy) / 2, xy)))
}

/** 1 − b/a of the matching ellipse: 0 is round. */
export function ellipticity({ xx, xy, yy }: Moments): number {
  const half = (xx + yy) / 2
  const spread = Math.hypot((xx - yy) / 2, xy)
  return 1 - Math.sqrt(Math.max(0, half - spread) / (half + spread))
}

/** Sums of the residual under the Gaussian weight, out to 3.5 σ; pixels without a value count as nothing. */
function weigh(residual: Float32Array, width: number, height: number, shape: Moments, sums: Sums): void {
  const { x, y, xx, xy, yy } = shape
  const area = xx * yy - xy * xy
  const [a, b, c] = [yy / area, xy / area, xx / area]
  const left = Math.max(0, Math.ceil(x - 3.5 * Math.sqrt(xx)))
  const right = Math.min(width - 1, Math.floor(x + 3.5 * Math.sqrt(xx)))
  const bottom = Math.max(0, Math.ceil(y - 3.5 * Math.sqrt(yy)))
  const top = Math.min(height - 1, Math.floor(y + 3.5 * Math.sqrt(yy)))
  let [s, sx, sy, sxx, sxy, syy] = [0, 0, 0, 0, 0, 0]
  for (let row = bottom; row <= top; row++) {
    const v = row - y
    for (let column = left; column <= right; column++) {
      const u = column - x
      const rho = a * u * u - 2 * b * u * v + c * v * v
      if (rho > 12.25) continue
      const value = residual[row * width + column] ?? 0
      const w = Number.isNaN(value) ? 0 : value * Math.exp(-0.5 * rho)
      s += w
      sx += w * u
      sy += w * v
      sxx += w * u * u
      sxy += w * u * v
      syy += w * v * v
    }
  }
  sums.weighted = s
  sums.x = sx
  sums.y = sy
  // Second moments about the old centre, less what the offset adds.
  sums.xx = sxx - (sx * sx) / s
  sums.xy = sxy - (sx * sy) / s
  sums.yy = syy - (sy * sy) / s
}

function limited(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, value))
}
