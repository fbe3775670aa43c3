// A frame as the reference's pixels would have seen it: Lanczos-3 interpolation, which keeps the noise nearly white and
// stars nearly as sharp as they were; bilinear would smooth both and flatter the measured depth (Bertin et al. 2002,
// ASPC 281, 228).

import type { Transform } from './align.ts'

const REACH = 3
/** Phases of the kernel held as a table: a step of 1/512 pixel is far below any alignment error. */
const PHASES = 512
const TAPS = kernelTable()

/**
 * `pixels` (width × height) at the places the transform gives for every pixel of an equally large reference; NaN
 * outside and beside NaN.
 */
export function resample(pixels: Float32Array, width: number, height: number, transform: Transform): Float32Array {
  const { cos, sin, dx, dy } = transform
  const result = new Float32Array(pixels.length).fill(Number.NaN)
  const size = 2 * REACH
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = cos * x - sin * y + dx
      const v = sin * x + cos * y + dy
      let column = Math.floor(u)
      let row = Math.floor(v)
      let across = Math.round((u - column) * PHASES)
      let down = Math.round((v - row) * PHASES)
      // Phase PHASES is phase 0 of the next pixel; on the very edge that still counts as inside.
      if (across === PHASES) [column, across] = [column + 1, 0]
      if (down === PHASES) [row, down] = [row + 1, 0]
      if (across === 0 && down === 0) {
        if (column >= 0 && row >= 0 && column < width && row < height)
          result[y * width + x] = pixels[row * width + column] ?? Number.NaN
        continue
      }
      const left = column - REACH + 1
      const bottom = row - REACH + 1
      if (left < 0 || bottom < 0 || left + size > width || bottom + size > height) continue
      let sum = 0
      for (let j = 0; j < size; j++) {
        const from = (bottom + j) * width + left
        let line = 0
        for (let i = 0; i < size; i++) line += (TAPS[across * size + i] ?? 0) * (pixels[from + i] ?? 0)
        sum += (TAPS[down * size + j] ?? 0) * line
      }
      result[y * width + x] = sum
    }
  }
  return result
}

/** Six weights for each phase, normalised so that a flat image stays flat. */
function kernelTable(): Float64Array {
  const size = 2 * REACH
  const table = new Float64Array(PHASES * size)
  for (let phase = 0; phase < PHASES; phase++) {
    const weights = Array.from({ length: size }, (_, i) => lanczos(i - REACH + 1 - phase / PHASES))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    for (const [i, weight] of weights.entries()) table[phase * size + i] = weight / total
  }
  return table
}

function lanczos(t: number): number {
  if (t === 0) return 1
  if (Math.abs(t) >= REACH) return 0
  const x = Math.PI * t
  return (REACH * Math.sin(x) * Math.sin(x / REACH)) / (x * x)
}
