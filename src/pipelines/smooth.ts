// Smoothing by a Gaussian, the matched filter for stars in white noise (Stetson 1987, PASP 99, 191, §III; Bertin &
// Arnouts 1996, §4).

/** FWHM of a Gaussian per σ, 2 √(2 ln 2). */
export const FWHM_PER_SIGMA = 2.354820045

export interface Kernel {
  /** One axis of the separable kernel from its centre outwards; the whole sums to 1. */
  readonly taps: Float64Array
  /**
   * The noise of a smoothed pixel per noise of a pixel: √Σk² over the two-dimensional kernel, for uncorrelated noise.
   */
  readonly noiseFactor: number
}

/** A Gaussian of the given full width at half maximum, pixels, cut at 2.5 σ. */
export function gaussianKernel(fwhm: number): Kernel {
  const sigma = fwhm / FWHM_PER_SIGMA
  const taps = Float64Array.from({ length: Math.max(2, Math.ceil(2.5 * sigma) + 1) }, (_, i) =>
    Math.exp(-0.5 * (i / sigma) ** 2),
  )
  const total = wholeSum(taps)
  const normalised = taps.map(tap => tap / total)
  return { taps: normalised, noiseFactor: wholeSum(normalised.map(tap => tap * tap)) }
}

/** The sum over both sides of a kernel given from its centre outwards. */
function wholeSum(half: Float64Array): number {
  return half.reduce((sum, value, i) => sum + (i === 0 ? value : 2 * value), 0)
}

/** `pixels` convolved with the kernel; outside the image and where there is no value (NaN) lies the background, 0. */
export function smooth(pixels: Float32Array, width: number, height: number, { taps }: Kernel): Float32Array {
  const radius = taps.length - 1
  const nothing = new Float32Array(width)
  const across = new Float32Array(pixels.length)
  const padded = new Float32Array(width + 2 * radius)
  const shifted = Array.from({ length: 2 * radius + 1 }, (_, k) => padded.subarray(k, k + width))
  for (let y = 0; y < height; y++) {
    const start = y * width
    for (let x = 0; x < width; x++) {
      const value = pixels[start + x] ?? 0
      padded[radius + x] = Number.isNaN(value) ? 0 : value
    }
    weigh(across.subarray(start, start + width), taps, k => shifted[radius + k] ?? nothing)
  }
  const result = new Float32Array(pixels.length)
  const line = (y: number): Float32Array =>
    y < 0 || y >= height ? nothing : across.subarray(y * width, (y + 1) * width)
  for (let y = 0; y < height; y++) weigh(result.subarray(y * width, (y + 1) * width), taps, k => line(y + k))
  return result
}

/** `out` becomes the sum of the lines k = −radius … radius, each by its tap. */
function weigh(out: Float32Array, taps: Float64Array, lineAt: (k: number) => Float32Array): void {
  let centre = lineAt(0)
  let weight = taps[0] ?? 0
  // Four pairs at a time: with the taps in local variables the loop runs three times as fast as one pair at a time.
  for (let k = 1; k < taps.length; k += 4) {
    const [a, b, c, d] = [taps[k] ?? 0, taps[k + 1] ?? 0, taps[k + 2] ?? 0, taps[k + 3] ?? 0]
    // Beyond the last tap the weight is 0 and any line will do.
    const at = (step: number): Float32Array => (Math.abs(step) < taps.length ? lineAt(step) : centre)
    addPairs(
      out,
      centre,
      weight,
      a,
      at(k),
      at(-k),
      b,
      at(k + 1),
      at(-k - 1),
      c,
      at(k + 2),
      at(-k - 2),
      d,
      at(k + 3),
      at(-k - 3),
    )
    centre = out
    weight = 1
  }
}

type Row = Float32Array

// biome-ignore format: one pair of lines per row
function addPairs(
  out: Row, centre: Row, weight: number,
  a: number, a1: Row, a2: Row,
  b: number, b1: Row, b2: Row,
  c: number, c1: Row, c2: Row,
  d: number, d1: Row, d2: Row,
): void {
  for (let x = 0; x < out.length; x++) {
    out[x] =
      weight * (centre[x] ?? 0) +
      a * ((a1[x] ?? 0) + (a2[x] ?? 0)) +
      b * ((b1[x] ?? 0) + (b2[x] ?? 0)) +
      c * ((c1[x] ?? 0) + (c2[x] ?? 0)) +
      d * ((d1[x] ?? 0) + (d2[x] ?? 0))
  }
}
