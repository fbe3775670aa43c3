// Order statistics and clipped moments on plain number arrays: the robust estimates every step here rests on.

/** A normal distribution's standard deviation per median absolute deviation, 1 / Φ⁻¹(3/4). */
export const SIGMA_PER_MAD = 1.4826
/** The standard deviation of a normal distribution cut at ±3 σ, per its true σ. */
const SIGMA_CUT_AT_3 = 0.98658

/** The k-th smallest (from 0) of the first `length` values; reorders them in place (Hoare's quickselect). */
export function quickselect(values: Float32Array | Float64Array, length: number, k: number): number {
  let low = 0
  let high = length - 1
  while (low < high) {
    const pivot = values[(low + high) >> 1] ?? 0
    let i = low
    let j = high
    while (i <= j) {
      while ((values[i] ?? 0) < pivot) i++
      while ((values[j] ?? 0) > pivot) j--
      if (i <= j) {
        const held = values[i] ?? 0
        values[i++] = values[j] ?? 0
        values[j--] = held
      }
    }
    if (k <= j) high = j
    else if (k >= i) low = i
    else break
  }
  return values[k] ?? Number.NaN
}

/** The median of finite numbers (mean of the middle two where even); NaN of none. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The value below which the fraction `q` of the values lies; NaN of none. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const copy = Float64Array.from(values)
  return quickselect(copy, copy.length, Math.round(q * (copy.length - 1)))
}

/** Centre and width of the bulk of some numbers: median and 1.4826 × median absolute deviation. */
export function robust(values: ArrayLike<number>): { readonly centre: number; readonly sigma: number } {
  const centre = median(values)
  return { centre, sigma: SIGMA_PER_MAD * median(Float64Array.from(values, value => Math.abs(value - centre))) }
}

export interface Clipped {
  readonly mean: number
  readonly median: number
  readonly sigma: number
  /** Values left after clipping. */
  readonly count: number
}

/**
 * Mean, median and σ of the first `length` values after clipping at ±3 σ around the median until nothing more falls
 * out. Reorders and compacts `values`. `quantum` is the step of quantised data: the median is then interpolated within
 * its step, so that integer pixels do not round the background. σ is corrected for what a cut at 3 σ takes from a
 * normal distribution.
 */
export function clip(values: Float32Array, length: number, quantum: number): Clipped {
  let count = length
  let result: Clipped = { mean: Number.NaN, median: Number.NaN, sigma: Number.NaN, count: 0 }
  // Twelve rounds: convergence takes 3 to 6; a distribution without a bulk may crawl on, and then nothing better would
  // come.
  for (let round = 0; round < 12 && count > 0; round++) {
    const middle = smoothMedian(values, count, quantum)
    let sum = 0
    let squares = 0
    for (let i = 0; i < count; i++) {
      const offset = (values[i] ?? 0) - middle
      sum += offset
      squares += offset * offset
    }
    const mean = sum / count
    const cut = Math.sqrt(Math.max(0, squares / count - mean * mean))
    result = { mean: middle + mean, median: middle, sigma: round === 0 ? cut : cut / SIGMA_CUT_AT_3, count }
    const limit = Math.max(3 * result.sigma, quantum)
    let kept = 0
    for (let i = 0; i < count; i++) {
      const value = values[i] ?? 0
      if (Math.abs(value - middle) <= limit) values[kept++] = value
    }
    if (kept === count) break
    count = kept
  }
  return result
}

function smoothMedian(values: Float32Array, count: number, quantum: number): number {
  const middle = quickselect(values, count, count >> 1)
  if (quantum === 0) return middle
  let below = 0
  let equal = 0
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? 0
    if (value < middle) below++
    else if (value === middle) equal++
  }
  return middle + quantum * ((count / 2 - below) / equal - 0.5)
}
