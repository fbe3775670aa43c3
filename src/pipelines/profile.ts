// The width of the point spread function: one Moffat profile fitted to the pooled radial profile of many good stars
// (Moffat 1969, A&A 3, 455). Pooling samples the profile far finer than pixels do, so undersampled stars keep their
// true width; a Gaussian would read wings as width. The width is that of the stars as the pixels saw them: the pixel's
// own response is in it.

import { gaussianFwhm, type Moments } from './moments.ts'
import { clip } from './statistics.ts'

/** Width of a radial bin, pixels: fine against any star, wide enough that a dozen stars fill every bin. */
const BIN = 0.25
/**
 * Moffat exponents tried; 2.5–4.8 is the atmosphere's range (Trujillo et al. 2001, MNRAS 328, 977), 30 as good as a
 * Gaussian.
 */
const BETAS = [1.8, 2.2, 2.6, 3, 3.5, 4, 4.8, 6, 8, 12, 30]

interface Bin {
  readonly radius: number
  readonly value: number
  readonly weight: number
}

/**
 * FWHM, pixels, of the profile common to `stars` on the background-subtracted `residual`; NaN of no stars. For
 * elliptical stars it is the geometric mean of the axes.
 */
export function profileFwhm(residual: Float32Array, width: number, height: number, stars: readonly Moments[]): number {
  if (stars.length === 0) return Number.NaN
  const typical = stars.reduce((sum, star) => sum + gaussianFwhm(star), 0) / stars.length
  const bins = radialBins(residual, width, height, stars, 2.2 * typical)
  let best = { misfit: Number.POSITIVE_INFINITY, fwhm: Number.NaN }
  for (const beta of BETAS) {
    const fit = bestWidth(bins, beta, typical)
    if (fit.misfit < best.misfit) best = fit
  }
  return best.fwhm
}

/**
 * Mean brightness against elliptical radius, each star scaled by its own amplitude; outliers (neighbours, cosmic rays)
 * clipped.
 */
function radialBins(
  residual: Float32Array,
  width: number,
  height: number,
  stars: readonly Moments[],
  reach: number,
): Bin[] {
  const samples: { radii: number[]; values: number[] }[] = []
  for (const star of stars) {
    const { x, y, xx, xy, yy, flux } = star
    const area = Math.sqrt(xx * yy - xy * xy)
    const amplitude = flux / (2 * Math.PI * area)
    for (let row = Math.max(0, Math.ceil(y - reach)); row <= Math.min(height - 1, y + reach); row++) {
      for (let column = Math.max(0, Math.ceil(x - reach)); column <= Math.min(width - 1, x + reach); column++) {
        const [u, v] = [column - x, row - y]
        const radius = Math.sqrt((yy * u * u - 2 * xy * u * v + xx * v * v) / area)
        const value = (residual[row * width + column] ?? Number.NaN) / amplitude
        if (radius > reach || Number.isNaN(value)) continue
        const bin = (samples[Math.floor(radius / BIN)] ??= { radii: [], values: [] })
        bin.radii.push(radius)
        bin.values.push(value)
      }
    }
  }
  // A hole in a sparse array: no pixel fell into that bin.
  return samples
    .filter(bin => bin !== undefined)
    .map(({ radii, values }) => {
      const { mean, count } = clip(Float32Array.from(values), values.length, 0)
      return { radius: radii.reduce((sum, radius) => sum + radius, 0) / radii.length, value: mean, weight: count }
    })
}

/**
 * The best width for one exponent: golden-section search over the FWHM, amplitude and offset solved exactly at each
 * step.
 */
function bestWidth(bins: readonly Bin[], beta: number, typical: number): { misfit: number; fwhm: number } {
  const ratio = (Math.sqrt(5) - 1) / 2
  let low = 0.4 * typical
  let high = 1.6 * typical
  // 24 steps narrow the bracket to 1e-5 of itself, far below what noise allows.
  for (let step = 0; step < 24; step++) {
    const span = (high - low) * ratio
    if (misfit(bins, beta, high - span) < misfit(bins, beta, low + span)) high = low + span
    else low = high - span
  }
  const fwhm = (low + high) / 2
  return { misfit: misfit(bins, beta, fwhm), fwhm }
}

/** Weighted sum of squares left by the best A · (1 + r²/α²)^−β + B. */
function misfit(bins: readonly Bin[], beta: number, fwhm: number): number {
  const alpha = fwhm / (2 * Math.sqrt(2 ** (1 / beta) - 1))
  let [n, f, ff, v, fv, vv] = [0, 0, 0, 0, 0, 0]
  for (const { radius, value, weight } of bins) {
    const model = (1 + (radius / alpha) ** 2) ** -beta
    n += weight
    f += weight * model
    ff += weight * model * model
    v += weight * value
    fv += weight * model * value
    vv += weight * value * value
  }
  const determinant = n * ff - f * f
  if (!(determinant > 0)) return Number.POSITIVE_INFINITY
  const amplitude = (n * fv - f * v) / determinant
  const offset = (ff * v - f * fv) / determinant
  return vv - amplitude * fv - offset * v
}
