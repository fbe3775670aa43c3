// Writes one image as a FITS file (FITS Standard 4.0, §3): float32 for what was computed, 16 bit with BZERO 32768 for
// what a camera reads out. The caller's cards come after the structural ones; a card that would contradict the
// structure is dropped.

import { BLOCK_BYTES, type CardValue, writeHeader } from './header.ts'

const STRUCTURAL = new Set([
  'SIMPLE',
  'BITPIX',
  'NAXIS',
  'NAXIS1',
  'NAXIS2',
  'EXTEND',
  'BZERO',
  'BSCALE',
  'BLANK',
  'END',
])

type Cards = Iterable<readonly [string, CardValue]>

/** A float32 image (BITPIX -32), NaN where a pixel has no value. */
export function encodeFloatImage(width: number, height: number, pixels: Float32Array, cards: Cards): Uint8Array {
  const header = headerOf(-32, width, height, [], cards)
  const file = fileOf(header, pixels.length * 4)
  const view = new DataView(file.buffer, file.byteOffset)
  for (let i = 0; i < pixels.length; i++) view.setFloat32(header.length + i * 4, pixels[i] ?? 0)
  return file
}

/** An unsigned 16-bit image, stored as the standard asks: signed, with BZERO 32768. */
export function encodeUint16Image(width: number, height: number, pixels: Uint16Array, cards: Cards): Uint8Array {
  const zero = [['BZERO', 32_768] as const, ['BSCALE', 1] as const]
  const header = headerOf(16, width, height, zero, cards)
  const file = fileOf(header, pixels.length * 2)
  const view = new DataView(file.buffer, file.byteOffset)
  for (let i = 0; i < pixels.length; i++) view.setInt16(header.length + i * 2, (pixels[i] ?? 0) - 32_768)
  return file
}

function headerOf(bitpix: number, width: number, height: number, scaling: Cards, cards: Cards): Uint8Array {
  return writeHeader([
    ['SIMPLE', true],
    ['BITPIX', bitpix],
    ['NAXIS', 2],
    ['NAXIS1', width],
    ['NAXIS2', height],
    ...scaling,
    ...[...cards].filter(([keyword]) => !STRUCTURAL.has(keyword)),
  ])
}

function fileOf(header: Uint8Array, dataBytes: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(header.length + Math.ceil(dataBytes / BLOCK_BYTES) * BLOCK_BYTES)
  file.set(header)
  return file
}
