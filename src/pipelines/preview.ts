// An image a person can judge at a glance: averaged down, stretched by asinh so that the faintest and the brightest
// stars both show (Lupton et al. 2004, PASP 116, 133), first row at the bottom as every FITS viewer draws it.

import { PNG } from 'pngjs'
import { quantile } from './statistics.ts'

/** Longest side of a preview, pixels: fills a browser's width, some 300 kB. */
const SIDE_MAX = 1024
/** How hard asinh compresses: Lupton's Q; larger shows fainter things and flatter stars. */
const SOFTENING = 8
/** Grey of the background, 0…255: dark, and still telling noise from nothing. */
const BACKGROUND_GREY = 26

/**
 * The stretch as a table over light from DARKEST to above white, white being 1: an asinh per pixel would take longer
 * than all the rest.
 */
const STEPS = 8192
const DARKEST = -0.1
const STRETCH = Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
  const stretched = Math.asinh(SOFTENING * (step / STEPS + DARKEST)) / Math.asinh(SOFTENING)
  return Math.max(0, Math.min(255, Math.round(BACKGROUND_GREY + stretched * (255 - BACKGROUND_GREY))))
})

/** Pixels asked for the white level: enough for one in 500 to be 100. */
const SAMPLE_MAX = 50_000

export interface Preview {
  readonly width: number
  readonly height: number
  /** 0 black … 255 white, from the top row down. */
  readonly grey: Uint8Array
}

/**
 * `residual`: the image minus its background, adu; `noise`: of one pixel, adu. Pixels without a value are drawn as
 * background.
 */
export function renderPreview(residual: Float32Array, width: number, height: number, noise: number): Preview {
  const shrink = Math.max(1, Math.max(width, height) / SIDE_MAX)
  const [columns, rows] = [Math.max(1, Math.round(width / shrink)), Math.max(1, Math.round(height / shrink))]
  const averaged = averageDown(residual, width, height, columns, rows)
  const sky = noise > 0 ? noise / shrink : 1
  const white = whiteLevel(averaged, sky)
  const grey = new Uint8Array(columns * rows)
  for (let row = 0; row < rows; row++) {
    const from = (rows - 1 - row) * columns
    for (let column = 0; column < columns; column++) {
      const light = (averaged[from + column] ?? 0) / white
      grey[row * columns + column] = STRETCH[Math.max(0, Math.min(STEPS, Math.round((light - DARKEST) * STEPS)))] ?? 0
    }
  }
  return { width: columns, height: rows, grey }
}

/** An 8-bit greyscale PNG. */
export function encodePng({ width, height, grey }: Preview): Buffer {
  const options = {
    colorType: 0,
    inputColorType: 0,
    inputHasAlpha: false,
    bitDepth: 8,
    filterType: 0,
    deflateLevel: 3,
  } as const
  const png = new PNG({ width, height })
  png.data = Buffer.from(grey.buffer, grey.byteOffset, grey.length)
  // Noise does not compress: no filter and a low level give the same size in a third of the time.
  return PNG.sync.write(png, options)
}

/**
 * White: what one pixel in 500 outshines, at least 15 times the noise. An empty field then shows quiet noise instead of
 * noise blown up to stars, and a crowded one does not burn out.
 */
function whiteLevel(values: Float32Array, noise: number): number {
  const stride = Math.ceil(values.length / SAMPLE_MAX)
  const sample = Float32Array.from({ length: Math.floor(values.length / stride) }, (_, i) => values[i * stride] ?? 0)
  return Math.max(15 * noise, sample.length === 0 ? 0 : quantile(sample, 0.998))
}

/**
 * Each output pixel is the mean over the area it covers, edges weighted by overlap: stars keep their light, noise
 * averages. Pixels without a value are drawn as background.
 */
function averageDown(source: Float32Array, width: number, height: number, columns: number, rows: number): Float32Array {
  const result = new Float32Array(columns * rows)
  const spans = Array.from({ length: columns }, (_, column) => span(column, columns, width))
  const line = new Float64Array(width)
  for (let row = 0; row < rows; row++) {
    const { low, high, first, last } = span(row, rows, height)
    line.fill(0)
    for (let y = first; y <= last; y++) {
      const weight = (Math.min(y + 1, high) - Math.max(y, low)) / (high - low)
      for (let x = 0; x < width; x++) {
        const value = source[y * width + x] ?? 0
        line[x] = (line[x] ?? 0) + (Number.isNaN(value) ? 0 : weight * value)
      }
    }
    for (const [column, across] of spans.entries()) result[row * columns + column] = meanOver(line, across)
  }
  return result
}

interface Span {
  /** Borders, source pixels. */
  readonly low: number
  readonly high: number
  /** The first and last pixel touched. */
  readonly first: number
  readonly last: number
}

/** Where output pixel `index` of `count` lies among `length` source pixels. */
function span(index: number, count: number, length: number): Span {
  const low = (index * length) / count
  const high = ((index + 1) * length) / count
  return { low, high, first: Math.floor(low), last: Math.min(length, Math.ceil(high - 1e-9)) - 1 }
}

function meanOver(line: Float64Array, { low, high, first, last }: Span): number {
  let sum = 0
  for (let x = first; x <= last; x++) sum += (Math.min(x + 1, high) - Math.max(x, low)) * (line[x] ?? 0)
  return sum / (high - low)
}
