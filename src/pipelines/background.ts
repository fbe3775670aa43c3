// Background and noise on a mesh, as SExtractor makes them (Bertin & Arnouts 1996, A&AS 117, 393, §3): each cell's
// pixels are clipped at 3 σ, the mode is estimated from median and mean, the mesh is median-filtered and interpolated.
// Stars are not masked; the clipping and the filter carry that.

import type { Image } from './fits/image.ts'
import { type Clipped, clip, median } from './statistics.ts'

/** Cell size, pixels: large against any star, small against gradients (SExtractor's default). */
const CELL = 64

export interface Background {
  /** The background everywhere, adu: median of the mesh. NaN for an image without a single value. */
  readonly level: number
  /** The noise of one background pixel, adu: median of the mesh. */
  readonly noise: number
  readonly mesh: Mesh
}

interface Mesh {
  readonly columns: number
  readonly rows: number
  readonly cellWidth: number
  readonly cellHeight: number
  /** Background per cell, adu. */
  readonly levels: Float32Array
  /** Noise per cell, adu. */
  readonly noises: Float32Array
}

/**
 * Background and noise of `image`; NaN pixels are left out, cells without enough pixels take their neighbours' values.
 */
export function estimateBackground(image: Image): Background {
  const { width, height } = image
  const columns = Math.max(1, Math.round(width / CELL))
  const rows = Math.max(1, Math.round(height / CELL))
  const levels = new Float32Array(columns * rows)
  const noises = new Float32Array(columns * rows)
  const scratch = new Float32Array((Math.ceil(width / columns) + 1) * (Math.ceil(height / rows) + 1))
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const left = edge(column, columns, width)
      const right = edge(column + 1, columns, width)
      const bottom = edge(row, rows, height)
      const top = edge(row + 1, rows, height)
      const count = gather(image, left, right, bottom, top, scratch)
      const cell = row * columns + column
      // A cell with less than a quarter of its pixels says too little about what surrounds it.
      const enough = count * 8 > (right - left) * (top - bottom)
      const clipped = enough ? clip(scratch, count, image.quantum) : null
      levels[cell] = clipped === null ? Number.NaN : mode(clipped)
      noises[cell] = clipped?.sigma ?? Number.NaN
    }
  }
  const mesh: Mesh = {
    columns,
    rows,
    cellWidth: width / columns,
    cellHeight: height / rows,
    levels: medianFiltered(levels, columns, rows),
    noises: medianFiltered(noises, columns, rows),
  }
  return { level: medianOf(mesh.levels), noise: medianOf(mesh.noises), mesh }
}

/** The image minus its background, adu; pixels without a value stay NaN. */
export function subtractBackground(image: Image, { mesh }: Background): Float32Array {
  const { width, height, pixels } = image
  const result = new Float32Array(pixels.length)
  const line = new Float32Array(width)
  for (let y = 0; y < height; y++) {
    interpolateLine(mesh, mesh.levels, y, line)
    const start = y * width
    for (let x = 0; x < width; x++) result[start + x] = (pixels[start + x] ?? 0) - (line[x] ?? 0)
  }
  return result
}

/** One line of a mesh quantity (levels or noises), bilinear between cell centres, constant beyond the outermost. */
export function interpolateLine(mesh: Mesh, values: Float32Array, y: number, line: Float32Array): void {
  const { columns, rows, cellWidth, cellHeight } = mesh
  const v = Math.min(rows - 1, Math.max(0, (y + 0.5) / cellHeight - 0.5))
  const row = Math.floor(v)
  const above = Math.min(row + 1, rows - 1)
  // Down the columns first: then each pixel is one interpolation, not three.
  const nodes = Float64Array.from({ length: columns }, (_, column) => {
    const [low, high] = [values[row * columns + column] ?? 0, values[above * columns + column] ?? 0]
    return low + (high - low) * (v - row)
  })
  for (let x = 0; x < line.length; x++) {
    const u = Math.min(columns - 1, Math.max(0, (x + 0.5) / cellWidth - 0.5))
    const column = Math.floor(u)
    const node = nodes[column] ?? 0
    line[x] = node + ((nodes[column + 1] ?? node) - node) * (u - column)
  }
}

/** The cell's finite values, of large cells every second one in a chequerboard: twice as fast and still thousands. */
function gather(image: Image, left: number, right: number, bottom: number, top: number, into: Float32Array): number {
  const step = (right - left) * (top - bottom) > 2000 ? 2 : 1
  let count = 0
  for (let y = bottom; y < top; y++) {
    const end = y * image.width + right
    for (let at = y * image.width + left + (y % step); at < end; at += step) {
      const value = image.pixels[at] ?? Number.NaN
      if (Math.abs(value) < Number.POSITIVE_INFINITY) into[count++] = value
    }
  }
  return count
}

/**
 * Where stars skew a cell, mode ≈ 2.5 median − 1.5 mean; where the two are more than 0.3 σ apart that breaks down and
 * the median serves (Bertin & Arnouts 1996, eq. 1).
 */
function mode({ mean, median: middle, sigma }: Clipped): number {
  return sigma > 0 && Math.abs(mean - middle) < 0.3 * sigma ? 2.5 * middle - 1.5 * mean : middle
}

/** Each cell becomes the median of its 3 × 3 neighbourhood; cells without a value are filled by growing rings. */
function medianFiltered(values: Float32Array, columns: number, rows: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let around: number[] = []
      for (let reach = 1; around.length === 0 && reach <= Math.max(columns, rows); reach++) {
        around = neighbours(values, columns, rows, column, row, reach)
      }
      result[row * columns + column] = median(around)
    }
  }
  return result
}

function neighbours(
  values: Float32Array,
  columns: number,
  rows: number,
  column: number,
  row: number,
  reach: number,
): number[] {
  const found: number[] = []
  for (let r = Math.max(0, row - reach); r <= Math.min(rows - 1, row + reach); r++) {
    for (let c = Math.max(0, column - reach); c <= Math.min(columns - 1, column + reach); c++) {
      const value = values[r * columns + c] ?? Number.NaN
      if (!Number.isNaN(value)) found.push(value)
    }
  }
  return found
}

function medianOf(values: Float32Array): number {
  return median(values.filter(value => !Number.isNaN(value)))
}

/** Where cell number `cell` of `cells` begins along `length` pixels. */
function edge(cell: number, cells: number, length: number): number {
  return Math.floor((cell * length) / cells)
}
