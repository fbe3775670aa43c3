// Reads the first two-dimensional image of a FITS file, plain or gzipped as a whole (FITS Standard 4.0, §3–§5, §7.1).
// Strict: what is malformed, truncated or not FITS fails in one sentence naming file, what was expected and what was
// found. Own code because no maintained npm reader runs on Node 20 and knows BITPIX -64, BLANK and extensions.
// Tile-compressed images are refused by name.

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { PipelineFailure, reasonOf } from '../failure.ts'
import { BLOCK_BYTES, type Header, numberIn, readHeader } from './header.ts'
import type { Image } from './image.ts'

/**
 * Four times a 4k × 4k detector with room to spare (0.6 GB as float32); a header that asks for more is taken for a
 * damaged one.
 */
const PIXELS_MAX = 150_000_000
/** A gzipped file may grow to this: PIXELS_MAX doubles. Bounds what a small hostile file can cost. */
const UNZIPPED_BYTES_MAX = 8 * PIXELS_MAX
/** A camera with 189 detectors × 16 amplifiers in one file has about 3 000; more is a loop or damage. */
const HDUS_MAX = 10_000

/** Reads `path`. Throws PipelineFailure (exit 3) where the file is missing, is not FITS, is damaged or has no image. */
export function readImage(path: string): Image {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new PipelineFailure(`${path}: the input cannot be read: ${reasonOf(error)}.`)
  }
  return decodeImage(bytes, path)
}

/** The same from bytes in memory; `name` stands for the file in messages. */
export function decodeImage(bytes: Uint8Array, name: string): Image {
  const fail = (expected: string): never => {
    throw new PipelineFailure(`${name}: not a usable FITS image: expected ${expected}.`)
  }
  const file = bytes[0] === 0x1f && bytes[1] === 0x8b ? unzip(bytes, fail) : bytes
  if (file.length < BLOCK_BYTES) {
    fail(`at least one header block of ${BLOCK_BYTES} bytes, found ${file.length} byte${file.length === 1 ? '' : 's'}`)
  }
  if (Buffer.from(file.subarray(0, 9)).toString('latin1') !== 'SIMPLE  =') {
    fail(`the file to begin with "SIMPLE  =", found ${printable(file.subarray(0, 9))}`)
  }
  let start = 0
  let primary: Header | undefined
  for (let index = 0; index < HDUS_MAX && start + BLOCK_BYTES <= file.length; index++) {
    const block = readHeader(file, start)
    if (typeof block === 'string') return fail(block)
    const { header, dataStart } = block
    if (primary !== undefined && typeof header.get('XTENSION') !== 'string') break
    if (header.get('ZIMAGE') === true) {
      return fail(`an uncompressed image, found a tile-compressed one in HDU ${index} (run funpack first)`)
    }
    const axes = readAxes(header, index, fail)
    if (isImage(header, axes)) {
      const merged = primary === undefined ? header : new Map([...primary, ...header])
      return decodePixels(file, dataStart, merged, axes, fail)
    }
    primary ??= header
    start = dataStart + Math.ceil(dataBytes(header, axes) / BLOCK_BYTES) * BLOCK_BYTES
  }
  return fail('a two-dimensional image in the primary HDU or an IMAGE extension, found none')
}

type Fail = (expected: string) => never

function unzip(bytes: Uint8Array, fail: Fail): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: UNZIPPED_BYTES_MAX })
  } catch (error) {
    return fail(`a whole gzip stream, found one that does not unpack (${reasonOf(error)})`)
  }
}

function readAxes(header: Header, index: number, fail: Fail): number[] {
  const bitpix = numberIn(header, 'BITPIX')
  if (bitpix === undefined || ![8, 16, 32, 64, -32, -64].includes(bitpix)) {
    fail(`BITPIX 8, 16, 32, -32 or -64 in HDU ${index}, found ${shown(header, 'BITPIX')}`)
  }
  const naxis = numberIn(header, 'NAXIS')
  if (naxis === undefined || !Number.isInteger(naxis) || naxis < 0 || naxis > 999) {
    return fail(`NAXIS 0 to 999 in HDU ${index}, found ${shown(header, 'NAXIS')}`)
  }
  return Array.from({ length: naxis }, (_, axis) => {
    const length = numberIn(header, `NAXIS${axis + 1}`)
    if (length === undefined || !Number.isInteger(length) || length < 0) {
      return fail(`NAXIS${axis + 1} to be a whole number in HDU ${index}, found ${shown(header, `NAXIS${axis + 1}`)}`)
    }
    return length
  })
}

/** Two axes longer than nothing; further axes may be there with length 1. */
function isImage(header: Header, axes: readonly number[]): boolean {
  const kind = header.get('XTENSION')
  const flat = axes.length >= 2 && axes.slice(2).every(length => length === 1) && axes.every(length => length > 0)
  return flat && (kind === undefined || kind === 'IMAGE')
}

/** Size of the data, bytes: |BITPIX|/8 × GCOUNT × (PCOUNT + NAXIS1 × …) (FITS Standard 4.0, eq. 2). */
function dataBytes(header: Header, axes: readonly number[]): number {
  if (axes.length === 0) return 0
  const elements = axes.reduce((product, length) => product * length, 1)
  const groups = numberIn(header, 'GCOUNT') ?? 1
  return (Math.abs(numberIn(header, 'BITPIX') ?? 8) / 8) * groups * ((numberIn(header, 'PCOUNT') ?? 0) + elements)
}

function decodePixels(file: Uint8Array, start: number, header: Header, axes: readonly number[], fail: Fail): Image {
  const [width = 0, height = 0] = axes
  const bitpix = numberIn(header, 'BITPIX') ?? 0
  const count = width * height
  if (count > PIXELS_MAX) return fail(`at most ${PIXELS_MAX} pixels, found ${width} × ${height}`)
  const size = (count * Math.abs(bitpix)) / 8
  if (file.length < start + size) {
    return fail(
      `${size} bytes of pixels (${width} × ${height}, BITPIX ${bitpix}), found ${Math.max(0, file.length - start)}`,
    )
  }
  const zero = numberIn(header, 'BZERO') ?? 0
  const scale = numberIn(header, 'BSCALE') ?? 1
  // BLANK is defined for integers only; in a floating-point image it means nothing and NaN says the same.
  const blank = bitpix > 0 ? (numberIn(header, 'BLANK') ?? Number.NaN) : Number.NaN
  const stored = storedValues(file.subarray(start, start + size), bitpix)
  if (stored === undefined) return fail('BITPIX 8, 16, 32, -32 or -64, found 64')
  const pixels = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const value = stored[i] ?? 0
    pixels[i] = value === blank ? Number.NaN : zero + scale * value
  }
  return { width, height, pixels, header, quantum: bitpix > 0 ? Math.abs(scale) : 0, bitpix }
}

type Stored = Uint8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** The big-endian bytes as numbers of this machine (little-endian, as every machine Node 20 runs on but s390x). */
function storedValues(bytes: Uint8Array, bitpix: number): Stored | undefined {
  // A copy: the swap works in place, and a typed array must begin at a multiple of its element size.
  const copy = Buffer.from(new ArrayBuffer(bytes.length))
  copy.set(bytes)
  switch (bitpix) {
    case 8:
      return copy
    case 16:
      return new Int16Array(copy.swap16().buffer)
    case 32:
      return new Int32Array(copy.swap32().buffer)
    case -32:
      return new Float32Array(copy.swap32().buffer)
    case -64:
      return new Float64Array(copy.swap64().buffer)
    default:
      return undefined
  }
}

function shown(header: Header, keyword: string): string {
  const value = header.get(keyword)
  return value === undefined ? 'none' : `"${String(value)}"`
}

function printable(bytes: Uint8Array): string {
  return JSON.stringify(
    Buffer.from(bytes)
      .toString('latin1')
      .replaceAll(/[^\x20-\x7e]/gu, '?'),
  )
}
