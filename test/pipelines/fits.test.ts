// Reading and writing FITS: every pixel type, every way a file can be broken.

import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { PipelineFailure } from '../../src/pipelines/failure.ts'
import type { CardValue } from '../../src/pipelines/fits/header.ts'
import { decodeImage } from '../../src/pipelines/fits/read.ts'
import { encodeFloatImage, encodeUint16Image } from '../../src/pipelines/fits/write.ts'
import { hdu } from './support.ts'

type Cards = (readonly [string, CardValue])[]

const primary = (bitpix: number, more: Cards = []): Cards => [
  ['SIMPLE', true],
  ['BITPIX', bitpix],
  ['NAXIS', 2],
  ['NAXIS1', 3],
  ['NAXIS2', 2],
  ...more,
]

/** Six values, big-endian, as BITPIX says. */
function stored(bitpix: number, values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc((values.length * Math.abs(bitpix)) / 8)
  for (const [i, value] of values.entries()) {
    if (bitpix === 8) bytes.writeUInt8(value, i)
    if (bitpix === 16) bytes.writeInt16BE(value, 2 * i)
    if (bitpix === 32) bytes.writeInt32BE(value, 4 * i)
    if (bitpix === -32) bytes.writeFloatBE(value, 4 * i)
    if (bitpix === -64) bytes.writeDoubleBE(value, 8 * i)
  }
  return bytes
}

const pixelsOf = (bytes: Uint8Array): number[] => [...decodeImage(bytes, 'test.fits').pixels]

describe('pixel types', () => {
  test.each([
    [8, [0, 1, 127, 128, 254, 255]],
    [16, [-32_768, -1, 0, 1, 255, 32_767]],
    [32, [-2_147_483_648, -65_536, 0, 1, 65_536, 1_048_576]],
    [-32, [-1.5, 0, 0.25, 1e20, -1e-20, 65_504].map(Math.fround)],
    [-64, [-1.5, 0, 0.25, 3, 1e6, 65_504]],
  ])('BITPIX %d reads back value by value', (bitpix, values) => {
    expect(pixelsOf(hdu(primary(bitpix), stored(bitpix, values)))).toEqual(values)
  })

  test('BZERO and BSCALE turn stored numbers into physical ones', () => {
    const cards = primary(16, [
      ['BZERO', 32_768],
      ['BSCALE', 2],
    ])
    const image = decodeImage(hdu(cards, stored(16, [-16_384, 0, 1, 2, 3, 4])), 'test.fits')
    expect([...image.pixels]).toEqual([0, 32_768, 32_770, 32_772, 32_774, 32_776])
    expect(image.quantum).toBe(2)
  })

  test('a BLANK integer and a NaN float are pixels without a value', () => {
    expect(pixelsOf(hdu(primary(16, [['BLANK', -999]]), stored(16, [1, -999, 3, 4, 5, 6])))[1]).toBeNaN()
    expect(pixelsOf(hdu(primary(-32), stored(-32, [1, Number.NaN, 3, 4, 5, 6])))[1]).toBeNaN()
  })

  test('what we write, 16 bit unsigned and float32, reads back with its header', () => {
    const counts = Uint16Array.of(0, 1, 32_767, 32_768, 65_534, 65_535)
    const integers = decodeImage(encodeUint16Image(3, 2, counts, [['OBJECT', "Barnard's star"]]), 'test.fits')
    expect([...integers.pixels]).toEqual([...counts])
    expect(integers.header.get('OBJECT')).toBe("Barnard's star")
    const floats = Float32Array.of(1.5, Number.NaN, -3, 0, 1e10, 7)
    const cards: Cards = [
      ['EXPTIME', 12.5],
      ['FLAG', false],
    ]
    const image = decodeImage(encodeFloatImage(3, 2, floats, cards), 'test.fits')
    expect([...image.pixels]).toEqual([...floats])
    expect([image.header.get('EXPTIME'), image.header.get('FLAG')]).toEqual([12.5, false])
  })
})

describe('where the image is', () => {
  const empty = hdu(
    [
      ['SIMPLE', true],
      ['BITPIX', 8],
      ['NAXIS', 0],
      ['EXPTIME', 30],
    ],
    Buffer.alloc(0),
  )
  const table = hdu(
    [
      ['XTENSION', 'BINTABLE'],
      ['BITPIX', 8],
      ['NAXIS', 2],
      ['NAXIS1', 10],
      ['NAXIS2', 300],
      ['PCOUNT', 100],
      ['GCOUNT', 1],
    ],
    Buffer.alloc(3100, 7),
  )
  const extension = hdu(
    [['XTENSION', 'IMAGE'], ...primary(16, [['EXTNAME', 'CCD1']]).slice(1)],
    stored(16, [1, 2, 3, 4, 5, 6]),
  )

  test('the first image extension is read when the primary HDU is empty, past tables, with the primary header below its own', () => {
    const image = decodeImage(Buffer.concat([empty, table, extension]), 'test.fits')
    expect([...image.pixels]).toEqual([1, 2, 3, 4, 5, 6])
    expect([image.header.get('EXPTIME'), image.header.get('EXTNAME')]).toEqual([30, 'CCD1'])
  })

  test('a file gzipped as a whole is known by its first bytes, not its name', () => {
    expect(pixelsOf(gzipSync(Buffer.concat([empty, extension])))).toEqual([1, 2, 3, 4, 5, 6])
  })

  test.each([
    ['an empty file', Buffer.alloc(0), 'at least one header block'],
    ['text', Buffer.from('not a FITS file at all. '.repeat(200)), 'to begin with "SIMPLE  ="'],
    ['zeros', Buffer.alloc(5760), 'to begin with "SIMPLE  ="'],
    ['a header that never ends', Buffer.from('SIMPLE  ='.padEnd(5760)), 'an END card'],
    [
      'binary rubbish in the header',
      Buffer.concat([Buffer.from('SIMPLE  ='.padEnd(80)), Buffer.alloc(5680, 200)]),
      'printable',
    ],
    ['pixels cut short', hdu(primary(16, []), Buffer.alloc(0)).subarray(0, 2880), '12 bytes of pixels'],
    ['BITPIX 12', hdu(primary(12), Buffer.alloc(12)), 'BITPIX 8, 16, 32, -32 or -64'],
    ['BITPIX 64', hdu(primary(64), Buffer.alloc(48)), 'found 64'],
    ['a negative axis', hdu([...primary(16).slice(0, 3), ['NAXIS1', -3], ['NAXIS2', 2]], Buffer.alloc(12)), 'NAXIS1'],
    [
      'an image of 10¹² pixels',
      hdu([...primary(16).slice(0, 3), ['NAXIS1', 1e6], ['NAXIS2', 1e6]], Buffer.alloc(12)),
      'at most',
    ],
    ['no image anywhere', Buffer.concat([empty, table]), 'found none'],
    ['a broken gzip', gzipSync(empty).subarray(0, 40), 'gzip'],
    [
      'a tile-compressed image',
      Buffer.concat([
        empty,
        hdu([['XTENSION', 'BINTABLE'], ...primary(8, [['ZIMAGE', true]]).slice(1)], Buffer.alloc(6)),
      ]),
      'funpack',
    ],
  ])('%s is refused in one sentence that names the file', (_, bytes, words) => {
    const read = (): unknown => decodeImage(bytes, '/data/broken.fits')
    expect(read).toThrow(PipelineFailure)
    expect(read).toThrow(/^\/data\/broken\.fits: [^\n]*\.$/u)
    expect(read).toThrow(words)
  })
})
