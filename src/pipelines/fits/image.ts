// An image in memory, as every pipeline here sees it.

import type { Header } from './header.ts'

/** Row by row from the bottom, as in the file: pixel (x, y), both from 0, is `pixels[y * width + x]`. */
export interface Image {
  readonly width: number
  readonly height: number
  /**
   * Physical values (BZERO + BSCALE × stored), adu. Single precision: 32-bit integers and doubles are rounded to 24
   * bits, which is far below the noise of any detector. A pixel without a value (BLANK, or NaN in the file) is NaN.
   */
  readonly pixels: Float32Array
  /** The primary header, overlaid by the header of the extension the image came from. */
  readonly header: Header
  /** The step between neighbouring values, adu; 0 for floating-point images. */
  readonly quantum: number
  /** Bits per pixel as stored: 8, 16, 32, -32 or -64. */
  readonly bitpix: number
}

/** The exposure time, seconds, where the header gives one. */
export function exposureTime(header: Header): number | undefined {
  for (const keyword of ['EXPTIME', 'EXPOSURE']) {
    const value = header.get(keyword)
    if (typeof value === 'number' && Number.isFinite(value)) return value
  }
  return undefined
}
