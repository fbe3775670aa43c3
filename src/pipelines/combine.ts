// Aligned frames become one: a weighted mean of each pixel over the frames, without those that lie off the median by
// more than noise and seeing explain: cosmic rays, satellites, hot pixels. The noise is modelled, not taken from the
// few values of a pixel, because with three frames a σ of three values clips nothing.

import { quickselect } from './statistics.ts'

/**
 * Times the expected error of a value against the median: one good pixel in 16 000 is lost, and no cosmic ray worth the
 * name stays.
 */
const KAPPA = 4
/** Seeing and residual misalignment change a star's core by up to this share from frame to frame. */
const STAR_SHARE = 0.3

export interface Layer {
  /** Aligned, less its background, scaled to the reference, adu; NaN where it has nothing. */
  readonly pixels: Float32Array
  /** Noise of one background pixel of `pixels`, adu. */
  readonly noise: number
}

export interface Combined {
  /** adu, background 0; NaN where no frame has anything. */
  readonly pixels: Float32Array
  /** Values left out, over all frames. */
  readonly rejected: number
}

/** Combines layers of one size. `gain`: electrons per adu of the reference, for the stars' own photon noise. */
export function combine(layers: readonly Layer[], gain: number): Combined {
  const length = layers[0]?.pixels.length ?? 0
  const pixels = new Float32Array(length)
  const variances = Float64Array.from(layers, layer => layer.noise ** 2)
  const values = new Float64Array(layers.length)
  const ordered = new Float64Array(layers.length)
  let rejected = 0
  for (let at = 0; at < length; at++) {
    let count = 0
    for (let i = 0; i < layers.length; i++) {
      const value = layers[i]?.pixels[at] ?? Number.NaN
      values[i] = value
      if (!Number.isNaN(value)) ordered[count++] = value
    }
    const middle = middleOf(ordered, count)
    const light = Math.max(0, middle)
    // Of two values the reference has as much noise as the value itself.
    const kappa = count === 2 ? KAPPA * Math.SQRT2 : KAPPA
    let sum = 0
    let weights = 0
    for (let i = 0; i < layers.length; i++) {
      const value = values[i] ?? Number.NaN
      if (Number.isNaN(value)) continue
      const variance = variances[i] ?? 1
      if (Math.abs(value - middle) > kappa * Math.sqrt(variance + light / gain) + STAR_SHARE * light) {
        rejected++
        continue
      }
      sum += value / variance
      weights += 1 / variance
    }
    pixels[at] = weights > 0 ? sum / weights : Number.NaN
  }
  return { pixels, rejected }
}

/**
 * The median; of an even number the middle value nearer to the background, not their mean: of two that disagree it is
 * the one without the cosmic ray, whose own light and whose ringing under resampling both lead away from it. Reorders
 * the values.
 */
function middleOf(values: Float64Array, count: number): number {
  const lower = quickselect(values, count, (count - 1) >> 1)
  if (count % 2 === 1 || count === 0) return lower
  let upper = Number.POSITIVE_INFINITY
  for (let i = count >> 1; i < count; i++) upper = Math.min(upper, values[i] ?? upper)
  return Math.abs(lower) <= Math.abs(upper) ? lower : upper
}
