// A simulated camera's pixels: a field of stars through a PSF, with photon noise, read noise, saturation and cosmic
// rays. Pure and seeded: the same settings give the same bytes on every machine, `seed` fixes the field and
// `exposureSeed` the noise on it.

import { type CardValue } from '../pipelines/fits/header.ts'
import { encodeUint16Image } from '../pipelines/fits/write.ts'
import { createRandom, type Random } from './random.ts'

export interface Exposure {
  /** The field: same seed, same stars. */
  readonly seed: number
  /** The noise and cosmic rays of this exposure; the seed's own where left out. */
  readonly exposureSeed?: number
  /** pixels */
  readonly width: number
  readonly height: number
  /** Full width at half maximum of the stars as sampled, pixels (the pixel's own response is in it). */
  readonly fwhm: number
  /** 'gaussian', or the exponent β of a Moffat profile. 3.5 where left out: a typical atmosphere. */
  readonly profile?: 'gaussian' | number
  /** Sky brightness in this exposure, adu per pixel. */
  readonly skyLevel: number
  /** Electronic offset, adu; has no photon noise. 0 where left out. */
  readonly pedestal?: number
  /** electrons */
  readonly readNoise: number
  /** electrons per adu */
  readonly gain: number
  /** How far the stars are moved on the detector, pixels. */
  readonly dither?: { readonly dx: number; readonly dy: number }
  /** How far the field is turned about the detector's centre, radians, counter-clockwise. */
  readonly rotation?: number
  /** seconds; stars grow with it. */
  readonly exposureTime: number
  /** Stars on the detector when not dithered (more lie around it, to enter when it is). */
  readonly starCount: number
  /** Where pixels saturate, adu; at most 65535. */
  readonly saturation: number
  /** Cosmic-ray hits; 0 where left out. */
  readonly cosmicRays?: number
  /** Further header cards. */
  readonly header?: Readonly<Record<string, CardValue>>
}

export interface SkyStar {
  /** Place on the detector in this exposure, pixels from 0 at the centre of the first one. May lie outside. */
  readonly x: number
  readonly y: number
  /** adu in this exposure */
  readonly flux: number
}

/**
 * How far around the detector the field goes on, as a fraction of its size: the largest dither that finds stars
 * everywhere.
 */
const MARGIN = 0.25
/**
 * Fluxes of the faintest and brightest stars, adu per second; between them N(>F) ∝ F^−0.8, the slope of a field off the
 * Milky Way.
 */
const FAINTEST = 30
const BRIGHTEST = 60_000
const SLOPE = 0.8

/** Renders one exposure to 16-bit pixels, row by row from the bottom. */
export function renderPixels(exposure: Exposure): Uint16Array {
  const { width, height, gain, pedestal = 0, readNoise, skyLevel } = exposure
  const light = new Float64Array(width * height).fill(skyLevel)
  const stamp = createStamp(exposure)
  for (const star of skyStars(exposure)) stamp(light, star)
  const random = createRandom(exposure.exposureSeed ?? exposure.seed, 'exposure')
  addCosmicRays(light, exposure, random)
  const top = Math.min(65_535, Math.floor(exposure.saturation))
  const pixels = new Uint16Array(light.length)
  for (let i = 0; i < light.length; i++) {
    const electrons = random.poissonPlusNormal((light[i] ?? 0) * gain, readNoise)
    pixels[i] = Math.max(0, Math.min(top, Math.round(pedestal + electrons / gain)))
  }
  return pixels
}

/** The same as the bytes of a FITS file (BITPIX 16, BZERO 32768) whose header tells the exposure's settings. */
export function renderExposure(exposure: Exposure): Uint8Array {
  const cards: Record<string, CardValue> = {
    EXPTIME: exposure.exposureTime,
    EGAIN: exposure.gain,
    RDNOISE: exposure.readNoise,
    SATURATE: Math.min(65_535, Math.floor(exposure.saturation)),
    BUNIT: 'adu',
    ...exposure.header,
  }
  return encodeUint16Image(exposure.width, exposure.height, renderPixels(exposure), Object.entries(cards))
}

/**
 * Where every star of the field falls in this exposure and how bright it is: the truth to measure against. Brightest
 * first.
 */
export function skyStars(exposure: Exposure): SkyStar[] {
  const { width, height, starCount, dither = { dx: 0, dy: 0 }, rotation = 0 } = exposure
  const random = createRandom(exposure.seed, 'field')
  const around = (1 + 2 * MARGIN) ** 2
  const [cos, sin] = [Math.cos(rotation), Math.sin(rotation)]
  const stars = Array.from({ length: Math.round(starCount * around) }, () => {
    const u = (random.uniform() - 0.5) * (1 + 2 * MARGIN) * width
    const v = (random.uniform() - 0.5) * (1 + 2 * MARGIN) * height
    return {
      x: (width - 1) / 2 + cos * u - sin * v + dither.dx,
      y: (height - 1) / 2 + sin * u + cos * v + dither.dy,
      flux: powerLaw(random.uniform()) * exposure.exposureTime,
    }
  })
  return stars.sort((a, b) => b.flux - a.flux)
}

/** Inverse of the cumulative counts: u uniform in 0…1 to a flux between FAINTEST and BRIGHTEST. */
function powerLaw(u: number): number {
  const [low, high] = [FAINTEST ** -SLOPE, BRIGHTEST ** -SLOPE]
  return (high + u * (low - high)) ** (-1 / SLOPE)
}

type Stamp = (light: Float64Array, star: SkyStar) => void

/**
 * Adds a star's light to the image, out to where it is lost in the noise. The profile is tabulated in r², which spares
 * a power per pixel.
 */
function createStamp({ width, height, fwhm, profile = 3.5, skyLevel, gain, readNoise }: Exposure): Stamp {
  const reachMax = 25 * fwhm
  const perStep = 16 / (fwhm * fwhm)
  const density = profile === 'gaussian' ? gaussianDensity(fwhm) : moffatDensity(fwhm, profile)
  const table = Float64Array.from({ length: Math.ceil(reachMax * reachMax * perStep) + 2 }, (_, i) =>
    density(i / perStep),
  )
  const noise = Math.sqrt(skyLevel / gain + (readNoise / gain) ** 2)
  return (light, { x, y, flux }) => {
    // A tenth of the noise is invisible even in the mean of a hundred pixels.
    let reach = fwhm
    while (reach < reachMax && flux * (table[Math.floor(reach * reach * perStep)] ?? 0) > 0.1 * noise) reach *= 1.25
    reach = Math.min(reach, reachMax)
    for (let row = Math.max(0, Math.ceil(y - reach)); row <= Math.min(height - 1, y + reach); row++) {
      for (let column = Math.max(0, Math.ceil(x - reach)); column <= Math.min(width - 1, x + reach); column++) {
        const squared = (column - x) ** 2 + (row - y) ** 2
        if (squared > reach * reach) continue
        const step = squared * perStep
        const index = Math.floor(step)
        const [near, far] = [table[index] ?? 0, table[index + 1] ?? 0]
        const at = row * width + column
        light[at] = (light[at] ?? 0) + flux * (near + (far - near) * (step - index))
      }
    }
  }
}

/** Light per pixel² at squared radius `r2`, of a star of flux 1. */
type Density = (r2: number) => number

function gaussianDensity(fwhm: number): Density {
  const rate = (4 * Math.LN2) / (fwhm * fwhm)
  return r2 => (rate / Math.PI) * Math.exp(-rate * r2)
}

/** Moffat 1969, A&A 3, 455. */
function moffatDensity(fwhm: number, beta: number): Density {
  const alpha2 = (fwhm * fwhm) / (4 * (2 ** (1 / beta) - 1))
  return r2 => ((beta - 1) / (Math.PI * alpha2)) * (1 + r2 / alpha2) ** -beta
}

/** Short straight tracks of a few thousand adu, one pixel wide: sharper than any star. */
function addCosmicRays(light: Float64Array, { width, height, cosmicRays = 0 }: Exposure, random: Random): void {
  for (let hit = 0; hit < cosmicRays; hit++) {
    const [x, y] = [random.uniform() * width, random.uniform() * height]
    const angle = random.uniform() * Math.PI
    const length = 1 + Math.floor(random.uniform() * 6)
    const energy = 1000 + 4000 * random.uniform()
    for (let step = 0; step < length; step++) {
      const column = Math.floor(x + step * Math.cos(angle))
      const row = Math.floor(y + step * Math.sin(angle))
      if (column < 0 || row < 0 || column >= width || row >= height) continue
      const at = row * width + column
      light[at] = (light[at] ?? 0) + energy
    }
  }
}
