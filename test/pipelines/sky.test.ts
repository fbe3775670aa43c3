// The simulated sky: its promises to everyone who tests against it.

import { describe, expect, test } from 'vitest'
import { renderExposure, renderPixels, skyStars } from '../../src/sim/sky.ts'
import { FIELD, frameOf, skyNoise } from './support.ts'

const QUIET = { ...FIELD, width: 256, height: 256, starCount: 40 }

function moments(values: ArrayLike<number>): { mean: number; sigma: number } {
  const all = Array.from(values)
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length
  return { mean, sigma: Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length) }
}

describe('the simulated sky', () => {
  test('gives the same bytes for the same settings', () => {
    expect(Buffer.from(renderExposure(QUIET)).equals(renderExposure(QUIET))).toBe(true)
  })

  test('keeps the field and changes the noise from exposure to exposure', () => {
    const again = { ...QUIET, exposureSeed: 2 }
    expect(skyStars(again)).toEqual(skyStars(QUIET))
    expect(renderPixels(again)).not.toEqual(renderPixels(QUIET))
  })

  test('moves every star by the dither', () => {
    const moved = skyStars({ ...QUIET, dither: { dx: 12.5, dy: -7 } })
    for (const [i, star] of skyStars(QUIET).entries()) {
      expect(moved[i]?.x).toBeCloseTo(star.x + 12.5, 9)
      expect(moved[i]?.y).toBeCloseTo(star.y - 7, 9)
    }
  })

  test.each([3, 60, 3000])('has the photon and read noise of %d adu of sky', skyLevel => {
    const exposure = { ...QUIET, starCount: 0, skyLevel, pedestal: 500 }
    const { mean, sigma } = moments(renderPixels(exposure))
    expect(mean - 500).toBeCloseTo(skyLevel, skyLevel > 1000 ? -1 : 0)
    expect(sigma / skyNoise(exposure)).toBeGreaterThan(0.98)
    expect(sigma / skyNoise(exposure)).toBeLessThan(1.03)
  })

  test('puts each star’s whole light into the image', () => {
    const exposure = { ...QUIET, skyLevel: 0.001, readNoise: 0.001, profile: 'gaussian' as const, saturation: 65_535 }
    const total = renderPixels(exposure).reduce((sum, value) => sum + value, 0)
    const inside = skyStars(exposure).filter(({ x, y }) => x > 0 && y > 0 && x < 255 && y < 255)
    const truth = inside.reduce((sum, star) => sum + star.flux, 0)
    expect(total / truth).toBeGreaterThan(0.9)
    expect(total / truth).toBeLessThan(1.1)
  })

  test('cuts at saturation and tells its settings in the header', () => {
    const { header, pixels } = frameOf({ ...QUIET, saturation: 2000, header: { OBJECT: 'field 7' } })
    expect(pixels.reduce((top, value) => Math.max(top, value), 0)).toBe(2000)
    expect([header.get('SATURATE'), header.get('EXPTIME'), header.get('OBJECT')]).toEqual([2000, 10, 'field 7'])
  })
})
