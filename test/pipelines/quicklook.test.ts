// Quicklook against skies whose truth is known: what it finds, how wide, on what background.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { describe, expect, test } from 'vitest'
import { type Exposure, renderExposure, renderPixels, skyStars } from '../../src/sim/sky.ts'
import { FIELD, frameOf, measured, metric, runPipeline, skyNoise, temporaryFolder } from './support.ts'
import { analyse } from '../../src/pipelines/analyse.ts'

/**
 * Stars inside the frame that a matched filter must see at `threshold` σ, for a Gaussian PSF: flux > threshold · noise
 * · √(4π) σ.
 */
function detectable(exposure: Exposure, threshold: number) {
  const limit = threshold * skyNoise(exposure) * Math.sqrt(4 * Math.PI) * (exposure.fwhm / 2.3548)
  const { width, height } = exposure
  return skyStars(exposure).filter(
    ({ x, y, flux }) => flux > limit && x > 1 && y > 1 && x < width - 2 && y < height - 2,
  )
}

describe('stars', () => {
  test.each([2, 3, 5])('of %d pixels FWHM are counted to 10 % of those that can be seen', fwhm => {
    const exposure = { ...FIELD, fwhm, width: 1024, height: 1024, starCount: 400 }
    const expected = detectable(exposure, 5).length
    const { stars } = measured(exposure)
    expect(expected).toBeGreaterThan(150)
    expect(Math.abs(stars.length - expected)).toBeLessThan(0.1 * expected)
  })

  test('bright stars are where they should be to a twentieth of a pixel, and as bright to 3 %', () => {
    const { stars } = measured(FIELD)
    const bright = detectable(FIELD, 100).slice(0, 15)
    for (const truth of bright) {
      const nearest = stars.reduce((a, b) =>
        Math.hypot(a.x - truth.x, a.y - truth.y) < Math.hypot(b.x - truth.x, b.y - truth.y) ? a : b,
      )
      expect(Math.hypot(nearest.x - truth.x, nearest.y - truth.y)).toBeLessThan(0.05)
      expect(nearest.flux / truth.flux).toBeCloseTo(1, 1)
    }
  })

  test('an empty field has none, and its FWHM is NaN, not 0', () => {
    const { stars, psf } = measured({ ...FIELD, starCount: 0 })
    expect(stars).toHaveLength(0)
    expect(psf.fwhm).toBeNaN()
  })

  test('a saturated star is one star, marked, and its flat pixels are counted', () => {
    const exposure = { ...FIELD, saturation: 3000 }
    const { stars, saturatedPixels } = measured(exposure)
    const truth = renderPixels(exposure).filter(value => value >= 3000).length
    expect(truth).toBeGreaterThan(20)
    expect(saturatedPixels).toBe(truth)
    const marked = stars.filter(star => star.saturated).length
    const bright = measured(FIELD).stars.filter(star => star.peak > 2900).length
    expect(Math.abs(marked - bright)).toBeLessThanOrEqual(2)
  })

  test('cosmic rays are not stars', () => {
    const clean = measured(FIELD).stars.length
    const hit = measured({ ...FIELD, cosmicRays: 60 }).stars.length
    expect(hit - clean).toBeLessThan(20)
  })
})

describe('the point spread function', () => {
  test.each([
    [1.8, 'gaussian'],
    [2.5, 'gaussian'],
    [4, 'gaussian'],
    [8, 'gaussian'],
    [2.2, 3.5],
    [3, 3.5],
    [4.5, 2.5],
    [6, 4.5],
  ] as const)('of FWHM %d pixels (%s) is measured to 5 %%', (fwhm, profile) => {
    const { psf } = measured({ ...FIELD, fwhm, profile, exposureTime: 30 })
    expect(psf.fwhm / fwhm).toBeGreaterThan(0.95)
    expect(psf.fwhm / fwhm).toBeLessThan(1.05)
  })

  test('round stars have an ellipticity near 0', () => {
    expect(measured(FIELD).psf.ellipticity).toBeLessThan(0.03)
  })

  test('stars too faint for a width of their own still give one together, to 20 %', () => {
    const { psf } = measured({ ...FIELD, fwhm: 7, exposureTime: 3, starCount: 250, readNoise: 25 })
    expect(psf.fwhm / 7).toBeGreaterThan(0.8)
    expect(psf.fwhm / 7).toBeLessThan(1.2)
  })
})

describe('background', () => {
  test.each([20, 300, 5000])('of %d adu and its noise are measured to 1 % and 3 %', skyLevel => {
    const exposure = { ...FIELD, skyLevel }
    const { background } = measured(exposure)
    expect(Math.abs(background.level / skyLevel - 1)).toBeLessThan(0.01)
    expect(Math.abs(background.noise / skyNoise(exposure) - 1)).toBeLessThan(0.03)
  })

  test('a corner of pixels without values is left out and reported', () => {
    const image = frameOf(FIELD)
    for (let y = 0; y < 150; y++) image.pixels.fill(Number.NaN, y * 512, y * 512 + 150)
    const { background, missingPixels, stars } = analyse(image, { threshold: 5, saturation: 60_000 })
    expect(missingPixels).toBe(22_500)
    expect(background.level).toBeCloseTo(300, -1)
    expect(stars.every(star => star.x > 145 || star.y > 145)).toBe(true)
  })
})

describe('as a process', () => {
  test('it reports metrics and datasets on descriptor 3 and leaves both files', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'frame.fits'), renderExposure(FIELD))
    const ran = runPipeline('quicklook.js', ['frame.fits'], folder)
    expect(ran).toMatchObject({ exitCode: 0, stderr: '', stdout: '' })
    expect(metric(ran, 'psf.fwhm')).toBeCloseTo(3, 0)
    expect(metric(ran, 'exposure.time')).toBe(10)
    expect(ran.reports.filter(report => 'dataset' in report).map(report => report['path'])).toEqual([
      'catalogue.json',
      'preview.png',
    ])
    const catalogue: unknown = JSON.parse(readFileSync(join(folder, 'catalogue.json'), 'utf8'))
    expect(catalogue).toMatchObject({ units: {}, image: { width: 512, height: 512 } })
    const png = PNG.sync.read(readFileSync(join(folder, 'preview.png')))
    expect([png.width, png.height]).toEqual([512, 512])
  })

  test('an empty field succeeds with "NaN" for its FWHM and a verdict', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'frame.fits'), renderExposure({ ...FIELD, starCount: 0 }))
    const ran = runPipeline('quicklook.js', ['frame.fits'], folder)
    expect(ran.exitCode).toBe(0)
    expect(ran.metrics.get('stars.count')).toBe(0)
    expect(ran.metrics.get('psf.fwhm')).toBe('NaN')
    expect(ran.reports).toContainEqual({ verdict: 'no stars found' })
  })

  test('an override moves the threshold; a wrong one is refused with exit code 2', () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'frame.fits'), renderExposure(FIELD))
    const strict = runPipeline('quicklook.js', ['frame.fits'], folder, { OCPS_OVERRIDES: '{"threshold":100}' })
    expect(metric(strict, 'stars.count')).toBeLessThan(60)
    const wrong = runPipeline('quicklook.js', ['frame.fits'], folder, { OCPS_OVERRIDES: '{"threshold":"high"}' })
    expect(wrong.exitCode).toBe(2)
    expect(wrong.stderr).toMatch(/^Override "threshold" must be a number above 0[^\n]*\n$/u)
  })

  test.each([
    ['truncated', renderExposure(FIELD).subarray(0, 300_000)],
    ['not FITS', Buffer.from('GIF89a'.repeat(1000))],
  ])('a %s file ends it with exit code 3 and one sentence', (_, bytes) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'frame.fits'), bytes)
    const ran = runPipeline('quicklook.js', ['frame.fits'], folder)
    expect(ran.exitCode).toBe(3)
    expect(ran.stderr).toMatch(/^frame\.fits: not a usable FITS image: expected [^\n]*\.\n$/u)
  })
})
