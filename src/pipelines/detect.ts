// Finds star candidates: local maxima of the smoothed image above a threshold, one per saturated blob, and none that is
// only a bump on a brighter neighbour's flank. Says where something is; what it is, measure.ts finds out.

import { type Background, interpolateLine } from './background.ts'
import type { Image } from './fits/image.ts'
import { createGrid, type Grid } from './grid.ts'
import { type Kernel, smooth } from './smooth.ts'

/**
 * The brightest this many are kept. A globular cluster on a 4k × 4k detector shows about 20 000; more means the noise
 * was misjudged, and time and catalogue must stay bounded.
 */
const CANDIDATES_MAX = 50_000

export interface Candidate {
  /** Pixels, from 0 at the centre of the first pixel. */
  readonly x: number
  readonly y: number
  /** Height of the smoothed image above the background, adu. */
  readonly height: number
  readonly saturated: boolean
}

export interface DetectOptions {
  readonly kernel: Kernel
  /** Times the local noise of the smoothed image. */
  readonly threshold: number
  /** Electrons per adu, for the noise of the stars' own light. */
  readonly gain: number
  /** Index of every saturated pixel. */
  readonly saturated: readonly number[]
}

/** The candidates of `residual` (the image minus its background), brightest first. */
export function detect(
  { width, height }: Pick<Image, 'width' | 'height'>,
  residual: Float32Array,
  background: Background,
  options: DetectOptions,
): Candidate[] {
  const smoothed = smooth(residual, width, height, options.kernel)
  const noise = new Float32Array(width)
  const found: Candidate[] = []
  for (let y = 1; y < height - 1; y++) {
    interpolateLine(background.mesh, background.mesh.noises, y, noise)
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x
      const value = smoothed[at] ?? 0
      const limit = options.threshold * options.kernel.noiseFactor * (noise[x] ?? 0)
      if (value > limit && isPeak(smoothed, at, width, value)) found.push({ x, y, height: value, saturated: false })
    }
  }
  found.sort((a, b) => b.height - a.height)
  const merged = mergeSaturated(found.slice(0, CANDIDATES_MAX), width, height, options.saturated)
  return keepProminent(merged, smoothed, width, background.noise, options)
}

/** Strictly above the four neighbours already passed, not below the four to come: a plateau of two counts once. */
function isPeak(smoothed: Float32Array, at: number, width: number, value: number): boolean {
  return (
    value > (smoothed[at - 1] ?? 0) &&
    value >= (smoothed[at + 1] ?? 0) &&
    value > (smoothed[at - width] ?? 0) &&
    value >= (smoothed[at + width] ?? 0) &&
    value > (smoothed[at - width - 1] ?? 0) &&
    value > (smoothed[at - width + 1] ?? 0) &&
    value >= (smoothed[at + width - 1] ?? 0) &&
    value >= (smoothed[at + width + 1] ?? 0)
  )
}

/**
 * A flat-topped star breaks into several maxima. All candidates within two pixels of one connected saturated blob
 * become one, at the blob's centre.
 */
function mergeSaturated(
  found: readonly Candidate[],
  width: number,
  height: number,
  saturated: readonly number[],
): Candidate[] {
  if (saturated.length === 0) return [...found]
  const blobs = connectedBlobs(saturated, width, height)
  const used = new Set<Blob>()
  const result: Candidate[] = []
  for (const candidate of found) {
    const blob = blobNear(blobs, candidate, width)
    if (blob === undefined) result.push(candidate)
    else if (!used.has(blob)) {
      used.add(blob)
      result.push({
        x: Math.round(blob.x / blob.count),
        y: Math.round(blob.y / blob.count),
        height: candidate.height,
        saturated: true,
      })
    }
  }
  return result
}

/** Sums of coordinates and the count of one connected group of saturated pixels. */
interface Blob {
  x: number
  y: number
  count: number
}

interface Blobs {
  /** Per pixel of the image: 0 for none, otherwise 1 + the index of its blob. */
  readonly labels: Int32Array
  readonly list: readonly Blob[]
}

function connectedBlobs(saturated: readonly number[], width: number, height: number): Blobs {
  const labels = new Int32Array(width * height)
  const waiting = -1
  for (const at of saturated) labels[at] = waiting
  const list: Blob[] = []
  for (const first of saturated) {
    if (labels[first] !== waiting) continue
    const blob: Blob = { x: 0, y: 0, count: 0 }
    list.push(blob)
    labels[first] = list.length
    const open = [first]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const x = at % width
      const y = (at - x) / width
      blob.x += x
      blob.y += y
      blob.count++
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const next = row * width + column
          if (labels[next] !== waiting) continue
          labels[next] = list.length
          open.push(next)
        }
      }
    }
  }
  return { labels, list }
}

function blobNear({ labels, list }: Blobs, { x, y }: Candidate, width: number): Blob | undefined {
  for (let dy = -2; dy <= 2; dy++) {
    for (let dx = -2; dx <= 2; dx++) {
      if (x + dx < 0 || x + dx >= width) continue
      const label = labels[(y + dy) * width + x + dx] ?? 0
      if (label > 0) return list[label - 1]
    }
  }
  return undefined
}

/**
 * Keeps a candidate where the image dips by more than the noise between it and every brighter one nearby. The dip is
 * asked to be 3 σ of the smoothed image including the photon noise of the star light, and 3 % of the candidate's
 * height: a real PSF has knees.
 */
function keepProminent(
  candidates: readonly Candidate[],
  smoothed: Float32Array,
  width: number,
  noise: number,
  { kernel, gain }: DetectOptions,
): Candidate[] {
  const reach = 6 * kernel.taps.length
  const kept: Grid<Candidate> = createGrid(reach)
  return candidates.filter(candidate => {
    const dip = 3 * kernel.noiseFactor * Math.sqrt(noise * noise + candidate.height / gain) + 0.03 * candidate.height
    const hidden = kept
      .near(candidate.x, candidate.y, reach)
      .some(brighter => lowestBetween(smoothed, width, candidate, brighter) > candidate.height - dip)
    if (!hidden) kept.add(candidate)
    return !hidden
  })
}

/** The lowest smoothed value on the straight line between two candidates. */
function lowestBetween(smoothed: Float32Array, width: number, from: Candidate, to: Candidate): number {
  const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y))
  let lowest = Number.POSITIVE_INFINITY
  for (let step = 1; step < steps; step++) {
    const x = Math.round(from.x + ((to.x - from.x) * step) / steps)
    const y = Math.round(from.y + ((to.y - from.y) * step) / steps)
    lowest = Math.min(lowest, smoothed[y * width + x] ?? 0)
  }
  return lowest
}
